"""A proxy that loses answers: it lets a request through to the worker and cuts the client off before the answer, or within it."""

from __future__ import annotations

import socket
from typing import Literal

from kit.loopback import accept

Fault = Literal["at once", "after the answer", "within the answer"]


class LossyProxy:
    """Forwards one request a connection; the next `faults` are lost, one each, the others pass."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.faults: list[Fault] = []
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/v1"
        accept(self._listener, self._carry)

    def close(self) -> None:
        self._listener.close()

    def _carry(self, client: socket.socket) -> None:
        request = _without_keep_alive(_read_request(client))
        if not request:
            client.close()
            return
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else None
        with socket.create_connection(("127.0.0.1", self.target)) as worker:
            worker.sendall(request)
            if fault == "at once":
                client.close()
            answer = bytearray()
            while piece := worker.recv(65536):
                answer += piece
                if fault is None:
                    client.sendall(piece)
                elif fault == "within the answer" and answer.count(b"data:") >= 3:
                    client.sendall(bytes(answer))
                    client.close()
                    fault = "at once"
        client.close()


def _read_request(client: socket.socket) -> bytes:
    received = bytearray()
    while b"\r\n\r\n" not in received:
        piece = client.recv(65536)
        if not piece:
            return b""
        received += piece
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body


def _without_keep_alive(request: bytes) -> bytes:
    """So that the worker's closing marks the answer's end."""
    if not request:
        return request
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body
