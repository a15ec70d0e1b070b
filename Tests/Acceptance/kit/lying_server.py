"""Servers of tools that lie about them, one for each lie: about schemas, names, pages, and what a result is. Over streamable HTTP, newest revision."""

from __future__ import annotations

import json
import socket
from http.server import BaseHTTPRequestHandler
from typing import Any

from kit.loopback import LoopbackServer

REVISION = "2026-07-28"
OBJECT = {"type": "object"}
LOOP = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/a"}},
    "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
}
TREE = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def tool(name: Any, schema: Any = OBJECT, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": "Lies.", "inputSchema": schema, **more}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


# By the server's name: its pages of tools. After an endless one comes another.
LISTS: dict[str, list[list[Any]]] = {
    "schemas": [
        [
            *(
                tool(f"schema_{n}", schema)
                for n, schema in enumerate([[], "object", None, 7, {"type": "string"}])
            ),
            tool("schema_huge", {**OBJECT, "description": "x" * 100_000}),
            tool("schema_loop", LOOP),
            {"name": "schema_missing"},
            tool("schema_tree", TREE),
            tool("schema_empty", {}),
        ]
    ],
    "names": [
        [
            tool(None),
            tool({}),
            tool(["a"]),
            tool("two words"),
            tool("twice"),
            tool("twice"),
            tool("names_good"),
            "tool",
            7,
        ],
        [tool("twice", CITY), tool("names_late")],
    ],
    "endless": [],
    "listless": [],
    "strict": [[tool("strict", CITY)]],
    "warm": [[tool("warm", outputSchema={"type": "object", "properties": {"degrees": {"type": "number"}}})]],
    "textual": [[tool("textual")]],
    "kinds": [[tool("kinds")]],
    "stranger": [[tool("stranger")]],
    "wordless": [[tool("wordless")]],
}
RESULTS: dict[str, Any] = {
    "warm": {"content": [text("It is warm.")], "structuredContent": {"degrees": "warm", "isError": "no"}},
    "textual": {"content": "all is well"},
    "kinds": {
        "content": [
            {"type": "hologram", "data": 7},
            7,
            None,
            {"type": ["text"]},
            {"text": "typeless"},
            text("plain"),
        ],
        "isError": "perhaps",
    },
}


class LyingServers:
    """All of them, at `/NAME/mcp` of a free loopback port, in threads of this process, until `close`."""

    def __init__(self) -> None:
        self._server = LoopbackServer(_Handler)

    def url(self, name: str) -> str:
        return f"{self._server.origin}/{name}/mcp"

    def close(self) -> None:
        self._server.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def log_message(self, format: str, *args: object) -> None:
        """Silent: clients tell what they were told."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = self.path.split("/")[1]
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request.get("id")}
        match request.get("method"):
            case "server/discover":
                answer["result"] = {"supportedVersions": [REVISION], "capabilities": {"tools": {}}}
            case "tools/list":
                answer["result"] = self._page(name, request["params"].get("cursor"))
            case _:
                self._call(name, request["params"], answer)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _page(self, name: str, cursor: str | None) -> dict[str, Any]:
        number = int(cursor or 0)
        if name == "endless":
            return {"tools": [tool(f"endless_{number}")], "nextCursor": str(number + 1)}
        if name == "listless":
            return {"tools": {"first": tool("listless")}}
        pages = LISTS[name]
        page: dict[str, Any] = {"tools": pages[number], "ttlMs": "soon", "cacheScope": 7}
        return page if number + 1 == len(pages) else {**page, "nextCursor": str(number + 1)}

    def _call(self, name: str, params: dict[str, Any], answer: dict[str, Any]) -> None:
        if name == "strict":
            # It says that it wants a city.
            answer["error"] = {"code": -32602, "message": "number is required, city is not known"}
        elif name == "stranger":
            answer["id"] = int(answer["id"]) + 1000
            answer["result"] = {"content": [text("for somebody else")]}
        elif name == "wordless":
            answer["error"] = "no"
        else:
            answer["result"] = RESULTS.get(name, {"content": [text(f"{params['name']} was called")]})
