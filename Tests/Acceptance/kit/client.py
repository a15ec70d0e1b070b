"""A plain client of the worker's public port: one connection a request, no retries, nothing hidden."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The `error` member; empty if the answer is none."""
        value = self.json.get("error", {}) if self.body else {}
        return value if isinstance(value, dict) else {}


@dataclass
class Turn:
    """What a client has seen of a turn."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    acknowledged: bool = False  # the last event has been seen: `[DONE]`, `turn.completed`, a whole body
    events: list[tuple[str, Any]] = field(default_factory=list)
    error: dict[str, Any] = field(default_factory=dict)


OnText = Callable[[str], None]


@dataclass
class Client:
    """Who is asking, and whom."""

    port: int
    user: str | None = None
    key: str | None = None
    timeout: float = 30

    def headers(self, **more: str | None) -> dict[str, str]:
        fields = {
            "Content-Type": "application/json",
            "X-AgentPool-User": self.user,
            "Authorization": f"Bearer {self.key}" if self.key else None,
            "X-Session-Id": more.get("session"),
            "Idempotency-Key": more.get("turn_id"),
            "X-Stainless-Retry-Count": more.get("attempt"),
        }
        return {name: value for name, value in fields.items() if value is not None}

    def ask(self, method: str, path: str, body: Any = None, **more: str | None) -> Answer:
        """One request with a JSON body and its whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            connection.request(method, path, raw, self.headers(**more))
            response = connection.getresponse()
            return Answer(response.status, _lower(response), response.read())
        finally:
            connection.close()

    def chat(
        self,
        text: str,
        session: str | None = None,
        turn_id: str | None = None,
        stream: bool = True,
        on_text: OnText | None = None,
        attempt: str | None = None,
    ) -> Turn:
        """A chat-completions turn, of which `attempt` says, as the SDKs do, how often it was sent before.

        Raises OSError or HTTPException where the connection breaks.
        """
        body: dict[str, Any] = {"model": "assistant", "messages": [{"role": "user", "content": text}]}
        named = {"session": session, "turn_id": turn_id, "attempt": attempt}
        if not stream:
            return _whole_turn(self.ask("POST", "/v1/chat/completions", body, **named))
        turn = Turn()
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        for _, data in self._events("/v1/chat/completions", body, turn, **named):
            if data == "[DONE]":
                turn.acknowledged = True
                break
            chunk = json.loads(data)
            turn.events.append(("", chunk))
            turn.error = chunk.get("error", turn.error)
            for choice in chunk.get("choices", []):
                _add(turn, choice["delta"].get("content") or "", on_text)
        return turn

    def native(
        self, text: str, session: str, turn_id: str | None = None, on_text: OnText | None = None
    ) -> Turn:
        """A native turn, read until its last event."""
        body = {"input": text} if turn_id is None else {"input": text, "turn_id": turn_id}
        return self.stream(f"/v1/sessions/{session}/turns", body, on_text)

    def stream(self, path: str, body: Any, on_text: OnText | None = None) -> Turn:
        """A turn in the worker's own format, whatever began it, read until its last event."""
        turn = Turn()
        for name, data in self._events(path, body, turn):
            value = json.loads(data)
            turn.events.append((name, value))
            if name == "text.delta":
                _add(turn, value["text"], on_text)
            elif name in ("turn.completed", "turn.paused"):
                turn.acknowledged = True
                break
            elif name == "turn.failed":
                turn.error = value["error"]
                break
        return turn

    def _events(self, path: str, body: Any, turn: Turn, **more: str | None) -> Iterator[tuple[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            connection.request("POST", path, json.dumps(body).encode(), self.headers(**more))
            response = connection.getresponse()
            turn.status, turn.headers = response.status, _lower(response)
            if response.status != 200:
                turn.error = json.loads(response.read()).get("error", {})
                return
            yield from _parse(response)
        finally:
            connection.close()

    def history(self, session: str) -> list[dict[str, Any]]:
        """All messages of a session, page by page."""
        messages: list[dict[str, Any]] = []
        after = 0
        while True:
            answer = self.ask("GET", f"/v1/sessions/{session}/messages?limit=100&after={after}")
            if answer.status != 200:
                raise RuntimeError(f"messages: {answer.status} {answer.body[:300]!r}")
            page = answer.json
            messages += page["data"]
            if not page["has_more"]:
                return messages
            after = page["data"][-1]["turn"]

    def search(self, query: str, limit: int = 10) -> list[dict[str, Any]]:
        answer = self.ask("POST", "/v1/memories/search", {"query": query, "limit": limit})
        if answer.status != 200:
            raise RuntimeError(f"search: {answer.status} {answer.body[:300]!r}")
        rows: list[dict[str, Any]] = answer.json["data"]
        return rows


def _lower(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _add(turn: Turn, text: str, on_text: OnText | None) -> None:
    turn.text += text
    if text and on_text:
        on_text(text)


def _whole_turn(answer: Answer) -> Turn:
    turn = Turn(answer.status, answer.headers, error=answer.error)
    if answer.status == 200:
        turn.text = answer.json["choices"][0]["message"]["content"]
        turn.acknowledged = True
        turn.events = [("", answer.json)]
    return turn


def _parse(response: http.client.HTTPResponse) -> Iterator[tuple[str, str]]:
    """Server-sent events as (name, data); comments and fields we do not need are passed over."""
    name = ""
    data: list[str] = []
    for raw in response:
        line = raw.decode().rstrip("\r\n")
        if line == "" and data:
            yield name, "\n".join(data)
            name, data = "", []
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
