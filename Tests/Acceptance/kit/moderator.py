"""A stand-in for OpenAI's moderations endpoint: flags texts that hold a word, as slowly or as badly as it is told."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from kit.loopback import LoopbackServer

WORD = "gunpowder"


@dataclass
class Moderator:
    """Serves on a free loopback port until `close`. `seconds` and `status` may be changed at any time."""

    seconds: float = 0.0
    status: int = 200
    asked: list[list[str]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        outer = self

        class Handler(_Handler):
            moderator = outer

        self._server = LoopbackServer(Handler)
        self.url = f"{self._server.origin}/v1"

    def close(self) -> None:
        self._server.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    moderator: Moderator

    def log_message(self, format: str, *args: object) -> None:
        """Silent: what was asked is in `asked`."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        moderator = self.moderator
        moderator.asked.append(body["input"])
        moderator.keys.append(self.headers.get("authorization"))
        time.sleep(moderator.seconds)
        if moderator.status != 200:
            self._answer(moderator.status, {"error": {"message": f"no verdict on {body['input']}"}})
            return
        self._answer(
            200,
            {"id": "modr-1", "model": body["model"], "results": [_result(text) for text in body["input"]]},
        )

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        raw = json.dumps(value).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
        except OSError:
            self.close_connection = True  # the worker waits no longer


def _result(text: str) -> dict[str, Any]:
    flagged = WORD in text
    return {
        "flagged": flagged,
        "categories": {"violence": flagged, "hate": False},
        "category_scores": {"violence": 0.97 if flagged else 0.01, "hate": 0.02},
    }
