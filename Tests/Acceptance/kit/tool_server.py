"""A tool server in a process of its own, whose tools take their time, take effect whoever is still there to hear of it, and are entered in a ledger."""

from __future__ import annotations

import argparse
import dataclasses
import json
import select
import socket
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler
from typing import Any

from kit.loopback import LoopbackServer
from kit.server_process import ServerProcess
from kit.tool_ledger import Execution, ToolLedger
from kit.tool_protocol import (
    HINTS,
    INVALID_PARAMS,
    NO_METHOD,
    Refusal,
    arguments_of,
    discovery,
    listing,
    outcome,
    request_of,
)

LARGEST = 1 << 20  # bytes of a request


class ToolServer:
    """Serves `/mcp`, and its ledger at `/ledger`, on a free loopback port, in threads of this process, until `close`."""

    def __init__(self, lies: bool = False) -> None:
        self.lies = lies
        self._ledger = ToolLedger()
        self._lock = threading.Lock()
        outer = self

        class Handler(_Handler):
            tools = outer

        self._server = LoopbackServer(Handler)
        self.url = f"{self._server.origin}/mcp"

    def close(self) -> None:
        self._server.close()

    def begin(self, execution: Execution) -> None:
        with self._lock:
            self._ledger.executions.append(execution)

    def end(self, execution: Execution, heard: bool) -> None:
        with self._lock:
            execution.ended, execution.heard = time.monotonic(), heard

    def refuse(self, why: str) -> None:
        with self._lock:
            self._ledger.refusals.append(why)

    def ledger(self) -> dict[str, Any]:
        with self._lock:
            return dataclasses.asdict(self._ledger)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tools: ToolServer

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def log_message(self, format: str, *args: object) -> None:
        """Silent: what was done is in the ledger."""

    def do_GET(self) -> None:
        if self.path == "/ledger":
            self._answer(200, self.tools.ledger())
        else:
            self._refuse(405, "GET")

    def do_DELETE(self) -> None:
        self._refuse(405, "DELETE")

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > LARGEST:
            self.close_connection = True
            self._refuse(411 if not length else 413, f"Content-Length {length!r}")
            return
        raw = self.rfile.read(int(length))
        if len(raw) < int(length):
            self.close_connection = True  # the caller is gone in the middle of its request
        elif status := _misfit(self.path, headers):
            self._refuse(status, f"{self.path} {headers}")
        else:
            self._serve(raw, headers)

    def _serve(self, raw: bytes, headers: dict[str, str]) -> None:
        body: dict[str, Any] = {}
        try:
            body = request_of(raw, headers)
            if "id" not in body:
                self._answer(202, None)
                return
            answer = {"result": self._result(body["method"], body.get("params") or {})}
        except Refusal as refusal:
            self.tools.refuse(f"{refusal.code} {refusal.message}: {raw[:500]!r}")
            self._answer(refusal.status, {"jsonrpc": "2.0", "id": body.get("id"), "error": refusal.error})
            return
        self._answer(200, {"jsonrpc": "2.0", "id": body["id"], **answer})

    def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "server/discover":
                return discovery()
            case "tools/list":
                return listing(self.tools.lies)
            case "tools/call":
                return self._call(params)
            case _:
                raise Refusal(NO_METHOD, f"no method {method}")

    def _call(self, params: dict[str, Any]) -> dict[str, Any]:
        name, arguments = params.get("name"), arguments_of(params)
        if name not in HINTS:
            raise Refusal(INVALID_PARAMS, f"no tool {name}")
        if arguments is None:
            self.tools.refuse(f"arguments of {name}: {params.get('arguments')!r}")
            return outcome("The arguments are not as the schema says.", is_error=True)
        key, milliseconds = arguments
        execution = Execution(str(name), key, milliseconds, self.client_address[1], time.monotonic())
        self.tools.begin(execution)
        time.sleep(milliseconds / 1000)
        self.tools.end(execution, heard=not self._is_left())
        return outcome(f"{name} {key}: done")

    def _is_left(self) -> bool:
        """Whether the caller hung up."""
        left = select.poll()
        left.register(self.connection, select.POLLIN)
        try:
            return bool(left.poll(0)) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _refuse(self, status: int, why: str) -> None:
        self.tools.refuse(f"{status}: {why}")
        self._answer(status, {"error": why}, {"Allow": "POST"} if status == 405 else {})

    def _answer(self, status: int, value: object, more: dict[str, str] | None = None) -> None:
        raw = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in (more or {}).items():
            self.send_header(name, text)
        if raw:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def _misfit(path: str, headers: dict[str, str]) -> int | None:
    """The status for a request that does not fit the transport."""
    accepted = headers.get("accept", "")
    if path != "/mcp":
        return 404
    if "origin" in headers:
        return 403
    if "application/json" not in accepted or "text/event-stream" not in accepted:
        return 406
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return 415
    return None


class ToolServerProcess(ServerProcess):
    """The tool server in a process of its own, which lives on when workers die."""

    def __init__(self, lies: bool = False) -> None:
        super().__init__("kit.tool_server", *(["--lies"] if lies else []))

    def ledger(self) -> ToolLedger:
        with urllib.request.urlopen(f"{self.url.removesuffix('/mcp')}/ledger", timeout=10) as answer:
            return ToolLedger.read(json.load(answer))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lies", action="store_true", help="say that every tool may be called again")
    print(ToolServer(options.parse_args().lies).url, flush=True)
    sys.stdin.read()
