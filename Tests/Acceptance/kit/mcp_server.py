"""A genuine tool server: PyPI's `mcp` SDK over streamable HTTP, speaking both eras of the protocol or held to one of them."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import socket
import sys
import threading
import urllib.request
from collections import Counter
from typing import Any, Literal

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import (
    AudioContent,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from pydantic import BaseModel

from kit.server_process import ServerProcess

Era = Literal["both", "modern", "older"]
MODERN = "2026-07-28"
PIXEL = base64.b64encode(bytes(range(70))).decode()
FLOOD = 10 << 20  # characters of the longest answer

executions: Counter[str] = Counter()
revisions: Counter[str] = Counter()
server = MCPServer("parcel-office", version="1", instructions="Tools of a parcel office.")
READS = ToolAnnotations(read_only_hint=True)


class Parcel(BaseModel):
    """Where a parcel is."""

    number: str
    city: str
    weight: float


@server.tool(annotations=READS)
def find_parcel(number: str) -> Parcel:
    """Says where a parcel is."""
    executions["find_parcel"] += 1
    return Parcel(number=number, city="Zürich", weight=2.5)


@server.tool(annotations=ToolAnnotations(read_only_hint=False, idempotent_hint=False))
def send_parcel(city: str) -> str:
    """Sends a parcel. Each call sends another."""
    executions["send_parcel"] += 1
    return f"parcel {executions['send_parcel']} is on its way to {city}"


@server.tool(annotations=READS, structured_output=False)
def photograph(
    number: str,
) -> list[TextContent | ImageContent | AudioContent | EmbeddedResource | ResourceLink]:
    """Shows a parcel, in every type of content that there is."""
    executions["photograph"] += 1
    note = TextResourceContents(uri="parcel://note", mime_type="text/plain", text="Fragile.")
    return [
        TextContent(type="text", text=f"Parcel {number}:"),
        ImageContent(type="image", data=PIXEL, mime_type="image/png"),
        AudioContent(type="audio", data=PIXEL, mime_type="audio/wav"),
        EmbeddedResource(type="resource", resource=note),
        ResourceLink(type="resource_link", uri="parcel://label", name="label", mime_type="application/pdf"),
    ]


@server.tool(annotations=ToolAnnotations(idempotent_hint=True))
async def weigh(seconds: float, steps: int, ctx: Context[Any, Any]) -> str:
    """Weighs a parcel slowly, and says how far it is."""
    executions["weigh begun"] += 1
    try:
        for step in range(steps):
            await ctx.report_progress(step, steps, f"step {step} of {steps}")
            await asyncio.sleep(seconds / max(1, steps))
    except asyncio.CancelledError:
        executions["weigh cancelled"] += 1
        raise
    executions["weigh"] += 1
    return "2.5 kg"


@server.tool(annotations=READS)
def list_everything() -> str:
    """Lists every parcel that there ever was."""
    executions["list_everything"] += 1
    return "p" * FLOOD


@server.tool(annotations=READS)
def read_label(text: str) -> str:
    """Answers what is written on a parcel's label, whoever wrote it."""
    executions["read_label"] += 1
    return text


@server.tool()
def lose_parcel(number: str) -> str:
    """Always fails."""
    executions["lose_parcel"] += 1
    raise ValueError(f"parcel {number} is lost")


class HeldToEra:
    """Counts the revisions that are asked in, refuses those of another era, and answers /ledger."""

    def __init__(self, app: Any, era: Era) -> None:
        self._app = app
        self._era = era

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == "/ledger":
            await self._answer(send, 200, {"executions": executions, "revisions": revisions})
        else:
            revision = dict(scope["headers"]).get(b"mcp-protocol-version", b"none").decode("latin-1")
            revisions[revision] += 1
            if self._era == "older" and revision == MODERN:
                # In the words of version 1 of the SDK.
                error = {"code": -32600, "message": f"Bad Request: Unsupported protocol version: {revision}"}
                await self._answer(send, 400, {"jsonrpc": "2.0", "id": "server-error", "error": error})
            elif self._era == "modern" and revision != MODERN:
                data = {"supported": [MODERN], "requested": revision}
                error = {"code": -32022, "message": "Unsupported protocol version", "data": data}
                await self._answer(send, 400, {"jsonrpc": "2.0", "id": None, "error": error})
            else:
                await self._app(scope, receive, send)

    async def _answer(self, send: Any, status: int, value: Any) -> None:
        fields = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": json.dumps(value).encode()})


class MCPServerProcess(ServerProcess):
    """The server in a process of its own. On a port that another one had, clients take it for that one, restarted."""

    def __init__(self, era: Era = "both", json_answers: bool = False, port: int = 0) -> None:
        more = ["--json"] if json_answers else []
        super().__init__("kit.mcp_server", "--era", era, "--port", str(port), *more)

    @property
    def port(self) -> int:
        return int(self.url.removesuffix("/mcp").rpartition(":")[2])

    def ledger(self) -> tuple[Counter[str], Counter[str]]:
        """How often each tool was carried out, and how many requests came in each revision."""
        with urllib.request.urlopen(f"{self.url.removesuffix('/mcp')}/ledger", timeout=10) as answer:
            value = json.load(answer)
        return Counter(value["executions"]), Counter(value["revisions"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--era", choices=["both", "modern", "older"], default="both")
    parser.add_argument("--json", action="store_true", help="answer with JSON in place of event streams")
    options = parser.parse_args()
    # Tools that fail are asked for.
    logging.disable(logging.CRITICAL)
    app = HeldToEra(server.streamable_http_app(json_response=options.json), options.era)
    listener = socket.create_server(("127.0.0.1", options.port))
    serving = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))

    def end_with_input() -> None:
        sys.stdin.read()
        serving.should_exit = True

    threading.Thread(target=end_with_input, daemon=True).start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    serving.run(sockets=[listener])


if __name__ == "__main__":
    main()
