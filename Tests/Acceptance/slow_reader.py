"""Clients that stop reading, and clients that leave: what happens to memory, to the model's stream, and to the turn."""

from __future__ import annotations

import json
import socket
import time

from kit.checks import Checks, alone, eventually
from kit.client import Client
from kit.model import Ask, ModelServer, Reply, echo
from kit.worker import Worker, manifest

FLOOD_WORD = "x" * 1000
FLOOD_WORDS = 200_000  # 200 MB, which nobody reads
KERNEL_BUFFERS = 16 << 20  # what the sockets of both connections may hold between them
WORKER_BUFFERS = 8 << 20
PATIENCE = 30  # seconds that a reader may take nothing


def open_turn(port: int, path: str, body: dict[str, object], headers: str = "") -> socket.socket:
    """Sends a turn and returns the connection, with a small receive buffer, when the first bytes of the answer are there."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(20)
    s.connect(("127.0.0.1", port))
    raw = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-AgentPool-User: dora\r\nContent-Type: application/json\r\n"
    s.sendall((head + headers + f"Content-Length: {len(raw)}\r\n\r\n").encode() + raw)
    seen = b""
    while b"data:" not in seen:
        piece = s.recv(512)
        if not piece:
            raise RuntimeError(f"the worker closed: {seen!r}")
        seen += piece
    return s


def chat_turn(port: int, session: str, text: str) -> socket.socket:
    body: dict[str, object] = {"model": "assistant", "stream": True}
    body["messages"] = [{"role": "user", "content": text}]
    return open_turn(port, "/v1/chat/completions", body, f"X-Session-Id: {session}\r\n")


def the_ask(model: ModelServer, text: str) -> Ask:
    return next(ask for ask in model.of_kind("chat") if ask.said == text)


def last_ending(client: Client, session: str) -> str | None:
    answer = client.ask("GET", f"/v1/sessions/{session}/messages?limit=100")
    return answer.json["data"][-1]["ending"] if answer.status == 200 and answer.json["data"] else None


def a_reader_that_stops(checks: Checks, worker: Worker, model: ModelServer) -> None:
    client = Client(worker.port, "dora")
    client.chat("warm up", "warm")
    before = worker.anonymous_bytes()
    begun = time.monotonic()
    stuck = chat_turn(worker.port, "stuck", "flood me")
    ask = the_ask(model, "flood me")
    time.sleep(4)
    first, peak = ask.bytes_sent, worker.anonymous_bytes()
    time.sleep(3)
    checks.holds("the model's stream stands still", ask.bytes_sent == first, f"{first:,} bytes were taken")
    checks.holds(
        "after what sockets hold", first < KERNEL_BUFFERS, f"{first:,} of {FLOOD_WORDS * 1180:,} bytes"
    )
    grown = max(peak, worker.anonymous_bytes()) - before
    checks.holds(
        "the worker's own memory is bounded", grown < WORKER_BUFFERS, f"{grown:,} bytes more than before"
    )
    other = Client(worker.port, "erik").chat("and me?", "other")
    checks.holds("others are served meanwhile", other.acknowledged)
    closed = eventually(lambda: ask.client_gone is not None, PATIENCE + 20, 0.1)
    seconds = time.monotonic() - begun
    checks.holds("the reader that takes nothing is closed", closed, f"after {seconds:.0f} s")
    checks.holds("not before its 30 s are over", seconds > PATIENCE - 2)
    held = eventually(lambda: last_ending(client, "stuck") == "cancelled", 10)
    checks.holds("its turn is committed as far as it got, marked", held, last_ending(client, "stuck"))
    stuck.close()
    again = client.chat("still there?", "stuck")
    checks.holds("and holds the session no longer", again.acknowledged)


def a_chat_client_that_leaves(checks: Checks, worker: Worker, model: ModelServer) -> None:
    client, text = Client(worker.port, "dora"), "slowly " + "word " * 100 + "end"
    s = chat_turn(worker.port, "left", text)
    time.sleep(0.3)
    s.close()
    ask = the_ask(model, text)
    checks.holds("the model's stream is closed", eventually(lambda: ask.client_gone is not None, 3))
    marked = eventually(lambda: last_ending(client, "left") == "cancelled", 5)
    checks.holds("the turn is marked cancelled", marked, last_ending(client, "left"))
    reply = client.history("left")[-1]
    kept = reply["content"]
    whole = "You said: " + text.strip()
    checks.holds(
        "and holds what had been said", kept != "" and whole.startswith(kept) and kept != whole, kept[:60]
    )
    checks.equal("by the assistant", reply["role"], "assistant")


def a_native_client_that_leaves(checks: Checks, worker: Worker, model: ModelServer) -> None:
    client, text = Client(worker.port, "dora"), "slowly " + "step " * 40 + "end"
    s = open_turn(worker.port, "/v1/sessions/kept/turns", {"input": text, "turn_id": "kept-1"})
    time.sleep(0.2)
    s.close()
    ended = eventually(lambda: last_ending(client, "kept") == "complete", 20)
    checks.holds("a native turn runs on after its client left", ended, last_ending(client, "kept"))
    whole = "You said: " + text.strip()
    checks.equal("to its end", client.history("kept")[-1]["content"], whole)
    again = client.native(text, "kept", "kept-1")
    checks.equal("who asks again with its id is told it", again.text, whole)
    asked = sum(ask.said == text for ask in model.of_kind("chat"))
    checks.equal("and the model was asked once", asked, 1)


def program(checks: Checks) -> None:
    def reply(ask: Ask) -> Reply:
        if ask.said == "flood me":
            return Reply([FLOOD_WORD] * FLOOD_WORDS)
        answer = echo(ask)
        answer.gap = 0.02 if ask.said.startswith("slowly") else 0
        return answer

    model = ModelServer(reply)
    with Worker(manifest(model)) as worker:
        a_chat_client_that_leaves(checks, worker, model)
        a_native_client_that_leaves(checks, worker, model)
        a_reader_that_stops(checks, worker, model)
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
