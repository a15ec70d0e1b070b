"""A stand-in for a model's server: says what it is told to say and calls the tools that it is told to call, at the pace it is told, and shows live what it is being asked."""

from __future__ import annotations

import json
import re
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from kit.loopback import LoopbackServer
from kit.tool_calls import ToolCall

DIMENSIONS = 64
PIECES = 0.02  # seconds between two pieces of a call, at most
INSTRUCTIONS = "You are the front desk of the parcel office."


@dataclass
class Ask:
    """One request that the worker sent to the model, and how far its answer has come. Times are `time.monotonic`."""

    kind: str  # chat, summary or embedding
    body: dict[str, Any]
    begun: float
    bytes_sent: int = 0
    sent_all: float | None = None
    client_gone: float | None = None

    @property
    def active(self) -> bool:
        return self.sent_all is None and self.client_gone is None

    @property
    def said(self) -> str:
        """The last user message without the memories that the worker put in front of it."""
        messages = self.body.get("messages", [])
        text = next((str(m["content"]) for m in reversed(messages) if m["role"] == "user"), "")
        return text.rpartition("</recalled_memories>\n\n")[2]

    @property
    def since(self) -> list[dict[str, Any]]:
        """The messages after the user's last one: what the model itself has said and called since, and the results."""
        messages = self.body.get("messages", [])
        last = max((at for at, m in enumerate(messages) if m["role"] == "user"), default=-1)
        return list(messages[last + 1 :])

    @property
    def answers(self) -> list[str]:
        """What the tools said since then, without the quotation in which the model was sent it."""
        return [unquoted(str(m["content"])) for m in self.since if m["role"] == "tool"]

    @property
    def offered(self) -> list[str]:
        """The names of the tools that may be called."""
        return [tool["function"]["name"] for tool in self.body.get("tools") or []]

    @property
    def prompt(self) -> str:
        """Everything that the model was sent, as one text."""
        return json.dumps(self.body, ensure_ascii=False)


@dataclass
class Reply:
    """What the model answers: words, the seconds between them, calls of tools after them, or an error's status.

    `before_each` is called with every word's index and may wait; from word `cut_at` on nothing comes but the end of the connection.
    """

    words: list[str]
    gap: float = 0.0
    status: int = 200
    before_each: Callable[[int], None] | None = None
    cut_at: int | None = None
    lead: str = ""  # what stands before the first word
    calls: list[ToolCall] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.lead + " ".join(self.words) if self.words else ""

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.calls else "stop"


def echo(ask: Ask) -> Reply:
    """Repeats what the user said; a summary repeats what users said in the turns that are quoted in its prompt."""
    if ask.kind == "summary":
        return Reply(["Summary:", *" / ".join(quoted_user_texts(ask.said)).split()[:300]])
    return Reply(["You", "said:", *ask.said.split()])


def unquoted(content: str) -> str:
    """A tool's answer; anything else is what it is."""
    lines = content.split("\n")
    if lines[0] not in ("<tool_result>", "<skill_text>"):
        return content
    quoted = json.loads(lines[-2])
    return str(quoted.get("content", quoted.get("left_out")))


def quoted_user_texts(text: str) -> list[str]:
    """The contents of the users' messages among the JSON objects that stand a line each."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line["content"] for line in lines if line.get("role") == "user"]


def vector(text: str) -> list[float]:
    """A unit vector by hashed words: texts that share words are near."""
    values = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        digest = 2166136261
        for byte in word.encode():
            digest = ((digest ^ byte) * 16777619) & 0xFFFFFFFF
        values[digest % DIMENSIONS] += 1.0
    length = sum(v * v for v in values) ** 0.5 or 1.0
    return [v / length for v in values]


@dataclass
class ModelServer:
    """Serves on a free loopback port, in threads of this process, until `close`."""

    reply: Callable[[Ask], Reply] = echo
    asks: list[Ask] = field(default_factory=list)
    on_sent_all: Callable[[Ask], None] | None = None
    on_begun: Callable[[Ask], None] | None = None
    send_buffer: int | None = None
    keeps_asks: bool = True  # else `asks` stays empty, for runs that are too long to keep everything

    def __post_init__(self) -> None:
        outer = self

        class Handler(_Handler):
            model = outer

        self._server = LoopbackServer(Handler)
        self.url = f"{self._server.origin}/v1"

    def close(self) -> None:
        self._server.close()

    def of_kind(self, kind: str) -> list[Ask]:
        return [ask for ask in list(self.asks) if ask.kind == kind]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: ModelServer

    def setup(self) -> None:
        if self.model.send_buffer is not None:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.model.send_buffer)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def log_message(self, format: str, *args: object) -> None:
        """Silent: what was asked is in `asks`."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        ask = Ask(_kind(self.path, body), body, time.monotonic())
        if self.model.keeps_asks:
            self.model.asks.append(ask)
        if self.model.on_begun:
            self.model.on_begun(ask)
        if ask.kind == "embedding":
            self._answer(200, _embeddings(body))
        else:
            self._talk(ask, self.model.reply(ask))
        if ask.client_gone is None:
            ask.sent_all = time.monotonic()
            if self.model.on_sent_all:
                self.model.on_sent_all(ask)

    def _talk(self, ask: Ask, reply: Reply) -> None:
        if reply.status != 200:
            message = " ".join(reply.words)
            self._answer(reply.status, {"error": {"message": message, "type": "server_error", "code": None}})
            return
        try:
            self._stream(ask, reply) if ask.body.get("stream") else self._whole(ask, reply)
        except (BrokenPipeError, ConnectionResetError):
            ask.client_gone = time.monotonic()
            self.close_connection = True

    def _whole(self, ask: Ask, reply: Reply) -> None:
        for index in range(len(reply.words)):
            if self._pause(ask, reply, index):
                return
        message: dict[str, Any] = _assistant(reply.text)
        if reply.calls:
            message["tool_calls"] = [call.whole for call in reply.calls]
        self._answer(200, _completion("chat.completion", {"message": message}, reply))

    def _stream(self, ask: Ask, reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for index, word in enumerate(reply.words):
            if self._pause(ask, reply, index):
                return
            text = reply.lead + word if index == 0 else " " + word
            self._event(ask, _completion("chat.completion.chunk", {"delta": _assistant(text)}))
        for piece in [piece for at, call in enumerate(reply.calls) for piece in call.pieces(at)]:
            if self._hangs_up(ask, min(reply.gap, PIECES)):
                return
            self._event(ask, _completion("chat.completion.chunk", {"delta": {"tool_calls": [piece]}}))
        self._event(ask, _completion("chat.completion.chunk", {"delta": {}}, reply))
        self._frame(ask, b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _pause(self, ask: Ask, reply: Reply, index: int) -> bool:
        """Waits for the next word's time; true if nothing more is to be sent, for the worker hung up or the reply is cut."""
        if index == reply.cut_at:
            self.close_connection = True
            return True
        if reply.before_each:
            reply.before_each(index)
        return self._hangs_up(ask, reply.gap if index else 0)

    def _hangs_up(self, ask: Ask, seconds: float) -> bool:
        """Waits; true if the worker hung up meanwhile."""
        hang_up = select.poll()
        hang_up.register(self.connection, select.POLLIN)
        if hang_up.poll(seconds * 1000) and not self.connection.recv(1, socket.MSG_PEEK):
            ask.client_gone = time.monotonic()
            self.close_connection = True
            return True
        return False

    def _event(self, ask: Ask, chunk: dict[str, Any]) -> None:
        self._frame(ask, b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def _frame(self, ask: Ask, payload: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(payload), payload))
        ask.bytes_sent += len(payload)

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        raw = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def _kind(path: str, body: dict[str, Any]) -> str:
    """A conversation is led with the agent's instructions; what is asked without them is a summary."""
    if path.endswith("/embeddings"):
        return "embedding"
    system = " ".join(str(m["content"]) for m in body["messages"] if m["role"] in ("system", "developer"))
    return "chat" if INSTRUCTIONS in system else "summary"


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _completion(object_name: str, choice: dict[str, Any], end: Reply | None = None) -> dict[str, Any]:
    value: dict[str, Any] = {"id": "chatcmpl-1", "object": object_name, "created": 1, "model": "stand-in"}
    value["choices"] = [{"index": 0, "finish_reason": end.finish_reason if end else None, **choice}]
    if end:
        words = len(end.words)
        value["usage"] = {"prompt_tokens": 10, "completion_tokens": words, "total_tokens": 10 + words}
    return value


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [{"object": "embedding", "index": i, "embedding": vector(t)} for i, t in enumerate(texts)]
    return {
        "object": "list",
        "data": data,
        "model": "stand-in",
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
