"""Bad input of every kind, each with the status and the message it gets."""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from kit.checks import Checks, alone
from kit.client import Client
from kit.model import ModelServer
from kit.worker import Worker, manifest

KEYS = {"backend": "sk-test-backend", "alice": "sk-test-alice"}
AUTH = {"apiKeysSecretRef": {"name": "keys"}, "trustedKeys": ["backend"]}
CHAT = "/v1/chat/completions"
SLOW_LIMIT = 60  # seconds within which a slow sender must have been sent away


@dataclass
class Raw:
    """What came back over a raw connection, and whether the worker closed it before the time was over."""

    received: bytes
    closed: bool

    @property
    def status(self) -> int:
        parts = self.received.split(b" ", 2)
        return int(parts[1]) if len(parts) > 2 and parts[0].startswith(b"HTTP/1.1") else 0

    @property
    def error(self) -> dict[str, Any]:
        body = self.received.partition(b"\r\n\r\n")[2]
        value = json.loads(body)["error"] if body.startswith(b"{") else {}
        return value if isinstance(value, dict) else {}


def send(port: int, pieces: list[bytes], pause: float = 0.001, timeout: float = 10) -> Raw:
    """Sends bytes as they are, with a pause after each piece until an answer comes, and reads until the worker closes."""
    received = bytearray()
    deadline = time.monotonic() + timeout
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s:
        for piece in pieces:
            if received or time.monotonic() > deadline:
                break
            try:
                s.sendall(piece)
                s.settimeout(pause)
                received += s.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break  # the worker has hung up; what it said before is read below
        while (left := deadline - time.monotonic()) > 0:
            s.settimeout(left)
            try:
                piece = s.recv(65536)
            except TimeoutError:
                break
            if not piece:
                return Raw(bytes(received), True)
            received += piece
    return Raw(bytes(received), False)


def shaped(checks: Checks, what: str, status: int, error: dict[str, Any], *allowed: int) -> None:
    """The status is one of those allowed, and the error has OpenAI's four members."""
    message = error.get("message")
    whole = set(error) >= {"message", "type", "param", "code"} and isinstance(message, str) and message != ""
    checks.holds(what, status in allowed and whole, f"{status} {error.get('code')}: {message}")


def chat_body(**more: Any) -> dict[str, Any]:
    return {"model": "assistant", "messages": [{"role": "user", "content": "hello"}], **more}


def bad_bodies(checks: Checks, client: Client) -> None:
    cases: list[tuple[str, Any, int]] = [
        ("broken JSON", b'{"model": "assistant", "messages": [', 400),
        ("an empty body", b"", 400),
        ("a body that is no object", [], 400),
        ("no messages", chat_body(messages=[]), 400),
        ("messages of the wrong type", chat_body(messages="hello"), 400),
        ("an unknown role", chat_body(messages=[{"role": "boss", "content": "x"}]), 400),
        ("an unknown model", chat_body(model="nobody"), 404),
        ("a function without a proper name", chat_body(tools=[{"type": "function", "function": {"name": "a b"}}]), 400),
        ("a tool of another type", chat_body(tools=[{"type": "custom", "custom": {"name": "f"}}]), 400),
        ("a choice without functions", chat_body(tool_choice="required"), 400),
        ("the older form of tools", chat_body(functions=[{"name": "f", "parameters": {}}]), 400),
        ("an answer to no call", chat_body(messages=[{"role": "tool", "tool_call_id": "c", "content": "x"}]), 400),
        ("two choices", chat_body(n=2), 400),
        ("a temperature out of range", chat_body(temperature=9), 400),
        ("a bad session id", chat_body(metadata={"session_id": "a\nb"}), 400),
        ("deep nesting", b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
        ("bytes that are no UTF-8", b'{"model":"\xff\xfe","messages":[]}', 400),
    ]
    for what, body, status in cases:
        answer = client.ask("POST", CHAT, body)
        shaped(checks, what, answer.status, answer.error, status)
    answer = client.ask("POST", "/v1/memories/search", {"query": ""})
    shaped(checks, "a search for nothing", answer.status, answer.error, 400)
    answer = client.ask("POST", "/v1/sessions/s/turns", {"inptu": "hello"})
    shaped(checks, "a native turn with a field misspelt", answer.status, answer.error, 400)


def bad_routes(checks: Checks, client: Client) -> None:
    cases = [
        ("an unknown route", "GET", "/v1/nothing", 404),
        ("a path outside", "GET", "/", 404),
        ("a wrong method", "GET", CHAT, 405),
        ("an unknown session", "GET", "/v1/sessions/never-heard-of", 404),
        ("messages of an unknown session", "GET", "/v1/sessions/never-heard-of/messages", 404),
        ("an unknown model's card", "GET", "/v1/models/nobody", 404),
        ("a bad page size", "GET", "/v1/sessions/never-heard-of/messages?limit=banana", 400),
    ]
    for what, method, path, status in cases:
        answer = client.ask(method, path)
        shaped(checks, what, answer.status, answer.error, status)
        if status == 405:
            checks.equal("and says which method it takes", answer.headers.get("allow"), "POST")


def bad_callers(checks: Checks, port: int) -> None:
    cases = [
        ("no key", Client(port), 401),
        ("a wrong key", Client(port, key="sk-wrong"), 401),
        ("an end user named by an untrusted key", Client(port, key=KEYS["alice"], user="bob"), 403),
    ]
    for what, client, status in cases:
        answer = client.ask("POST", CHAT, chat_body())
        shaped(checks, what, answer.status, answer.error, status)
        checks.holds("  and the key is not in the message", "sk-" not in json.dumps(answer.error))
    answer = Client(port, key=KEYS["alice"]).ask("POST", CHAT, chat_body(user="bob"))
    shaped(checks, "an end user in an untrusted key's body", answer.status, answer.error, 403)
    answer = Client(port, key=KEYS["backend"], user="bob").ask("POST", CHAT, chat_body())
    checks.equal("an end user named by a trusted key is served", answer.status, 200)


def bad_bytes(checks: Checks, port: int) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['alice']}\r\n".encode()
    declared = send(port, [head + b"Content-Length: 1073741824\r\n\r\n"])
    shaped(checks, "a body over the limit, declared", declared.status, declared.error, 413)
    checks.holds("  and the connection is closed", declared.closed)
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    counted = send(port, [head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 64], timeout=20)
    shaped(checks, "a body over the limit, in chunks", counted.status, counted.error, 413)
    large = send(port, [head + b"X-Large: " + b"a" * 200_000 + b"\r\n\r\n"])
    shaped(checks, "header fields over the limit", large.status, large.error, 431)
    endless = send(port, [b"GET /" + b"a" * 200_000])
    shaped(checks, "a request line over the limit", endless.status, endless.error, 431, 414, 400)
    garbage = send(port, [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n"])
    shaped(checks, "a TLS hello", garbage.status, garbage.error, 400)
    both = send(port, [head + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
    shaped(checks, "two lengths for one body", both.status, both.error, 400)
    body = json.dumps(chat_body()).encode()
    good = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    piped = send(port, [good + b"\x00\x01garbage that is no request\r\n\r\n"])
    statuses = [
        int(line.split(b" ")[1]) for line in piped.received.splitlines() if line.startswith(b"HTTP/1.1 ")
    ]
    checks.holds("garbage behind a good request: the good one is served", statuses[:1] == [200], statuses)
    checks.holds("  and the garbage refused, if it is answered at all", statuses[1:] in ([], [400]), statuses)
    checks.holds("  and the connection is closed after it", piped.closed)
    models = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['alice']}\r\n\r\n".encode()
    thrice = send(port, [models * 3], timeout=3)
    served = thrice.received.count(b"HTTP/1.1 200")
    checks.holds(
        "requests sent at once are all served, or the connection says that they are not",
        served == 3 or thrice.closed,
        f"{served} of 3 served, {'closed' if thrice.closed else 'left open'}",
    )


def slow_senders(checks: Checks, port: int) -> None:
    """Both drip a byte a second; both must be sent away. They run side by side, for the limits are long."""
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['alice']}\r\n".encode()
    seen: dict[str, tuple[Raw, float]] = {}

    def drip(what: str, first: bytes, rest: bytes) -> None:
        begun = time.monotonic()
        pieces = [first, *[rest[i : i + 1] for i in range(len(rest))]]
        raw = send(port, pieces, pause=1.0, timeout=SLOW_LIMIT)
        seen[what] = (raw, time.monotonic() - begun)

    slow = {
        "a slow sender of header fields": (head, b"X-Slow: " + b"a" * 100),
        "a slow sender of a body": (head + b"Content-Length: 1000\r\n\r\n", b'{"model":' + b" " * 900),
    }
    threads = [threading.Thread(target=drip, args=(what, *parts)) for what, parts in slow.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for what, (raw, seconds) in seen.items():
        shaped(checks, f"{what}, after {seconds:.0f} s", raw.status, raw.error, 408)
        checks.holds("  and the connection is closed", raw.closed)


def still_serves(checks: Checks, client: Client) -> None:
    turn = client.chat("still there?")
    checks.holds("after all this the worker serves", turn.acknowledged, turn.text)


def program(checks: Checks) -> None:
    model = ModelServer()
    with Worker(manifest(model, {"keys": KEYS}, auth=AUTH)) as worker:
        client = Client(worker.port, key=KEYS["alice"])
        bad_bodies(checks, client)
        bad_routes(checks, client)
        bad_callers(checks, worker.port)
        bad_bytes(checks, worker.port)
        slow_senders(checks, worker.port)
        still_serves(checks, client)
        log = worker.log.read_text(errors="replace")
        checks.holds("no key is in the log", not any(key in log for key in KEYS.values()))
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
