"""A proxy before a store that makes the store slow, silent, or somebody who is no such store at all, for as long as a fault lasts."""

from __future__ import annotations

import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kit.loopback import accept

PIECE = 65536


@dataclass(frozen=True)
class Slow:
    """Every answer comes so many seconds late."""

    seconds: float


@dataclass(frozen=True)
class Silent:
    """Connections are accepted and kept; nothing passes either way. What waited passes when the fault is over."""


@dataclass(frozen=True)
class Answers:
    """The store is asked nothing: each piece of a request gets these bytes instead."""

    to: Callable[[bytes], Iterator[bytes]]


Fault = Slow | Silent | Answers
# Takes a piece, where it came from and where it is to go; false where the connection is to end.
PassOn = Callable[[bytes, socket.socket, socket.socket], bool]


def random_bytes(_: bytes) -> Iterator[bytes]:
    # A seed of its own, so that every run and every connection gets the same garbage.
    yield random.Random(7).randbytes(256)


def wrong_type(request: bytes) -> Iterator[bytes]:
    """A number, where no command of ours is answered by this one."""
    yield b":7\r\n" * max(1, len(re.findall(rb"(?:^|\r\n)\*\d+\r\n\$", request)))


def endless_bulk(_: bytes) -> Iterator[bytes]:
    """A bulk string of a gigabyte, at 64 MB a second and connection at most: other faults share the machine."""
    yield b"$1073741824\r\n"
    while True:
        yield b"x" * PIECE
        time.sleep(0.001)


def http1(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n"


class StoreProxy:
    """Forwards connections to a store's port; `fault` may be set and taken back at any time, for old and new connections."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._fault: Fault | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        accept(self._listener, self._connect)

    def begin(self, fault: Fault) -> None:
        self._fault = fault

    def end(self) -> None:
        self._fault = None

    def close(self) -> None:
        self.end()
        self._listener.close()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._carry, args=(server, client, self._answer), daemon=True).start()
        self._carry(client, server, self._request)

    def _carry(self, source: socket.socket, sink: socket.socket, pass_on: PassOn) -> None:
        try:
            while (piece := source.recv(PIECE)) and pass_on(piece, source, sink):
                pass
        except OSError:
            pass  # either side may hang up: both ends are closed below
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already
            one.close()

    def _request(self, piece: bytes, client: socket.socket, server: socket.socket) -> bool:
        """False after made-up answers: nobody knows any more which answers belong to which questions."""
        self._wait_out_silence()
        fault = self._fault
        if not isinstance(fault, Answers):
            server.sendall(piece)
            return True
        for part in fault.to(piece):
            if self._fault is not fault:
                return False
            client.sendall(part)
        return True

    def _answer(self, piece: bytes, _: socket.socket, client: socket.socket) -> bool:
        self._wait_out_silence()
        fault = self._fault
        if isinstance(fault, Slow):
            time.sleep(fault.seconds)
        if isinstance(fault, Answers):
            return False
        client.sendall(piece)
        return True

    def _wait_out_silence(self) -> None:
        while isinstance(self._fault, Silent):
            time.sleep(0.01)
