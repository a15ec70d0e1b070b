"""A web service that keeps every request that it gets, and answers after a time of its own with what it is told to say."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from kit.loopback import LoopbackServer


@dataclass
class Request:
    """One request, as it came."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: Any


@dataclass
class Recorder:
    """Serves on a free loopback port, in threads of this process, until `close`."""

    status: int = 200
    answer: Any = None
    seconds: float = 0.0  # until it answers
    requests: list[Request] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        outer = self

        class Handler(_Handler):
            recorder = outer

        self._server = LoopbackServer(Handler)
        self.url = self._server.origin

    def close(self) -> None:
        self._server.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    recorder: Recorder

    def log_message(self, format: str, *args: object) -> None:
        """Silent: what was asked is in `requests`."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.recorder.requests.append(
            Request(self.command, self.path, headers, json.loads(raw) if raw else None)
        )
        self.recorder.arrived.set()
        time.sleep(self.recorder.seconds)
        answer = json.dumps(self.recorder.answer).encode()
        self.send_response(self.recorder.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
