"""Many event streams on which nothing happens, held by processes of their own, and how each of them ended."""

from __future__ import annotations

import json
import resource
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

from kit.stores import HOST, KILLED_WITH_US

ACCEPTANCE = Path(__file__).resolve().parents[1]
PER_PROCESS = 10_000
IP_BIND_ADDRESS_NO_PORT = 24  # of linux/in.h; Python has no name for it
FAREWELL = b"event: reconnect\n"


@dataclass
class Stream:
    """How one stream ended; times are `time.monotonic`, which all processes of a machine share."""

    told: float | None = None  # when it got `reconnect`
    ended: float | None = None
    manner: str = "open"  # or FIN, or the error of its socket


class IdleStreams:
    """Opens them from so many processes as their open files take; `ends` waits until all have ended."""

    def __init__(self, port: int, count: int) -> None:
        self._children = [
            subprocess.Popen(
                [*KILLED_WITH_US, sys.executable, "-m", "kit.idle_streams", str(port), str(first), str(size)],
                cwd=ACCEPTANCE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for first, size in _shares(count)
        ]
        for child in self._children:
            if _line(child.stdout) != "open\n":
                self.close()
                raise RuntimeError("the streams can't be opened")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ends(self, seconds: float) -> list[Stream]:
        """Streams that are still open after this time are said to be."""
        for child in self._children:
            if child.stdin is not None:
                child.stdin.write(f"{seconds}\n")
                child.stdin.flush()
        return [Stream(**row) for child in self._children for row in json.loads(_line(child.stdout))]

    def close(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()


def _line(pipe: IO[str] | None) -> str:
    return pipe.readline() if pipe is not None else ""


def _shares(count: int) -> list[tuple[int, int]]:
    return [(first, min(PER_PROCESS, count - first)) for first in range(0, count, PER_PROCESS)]


def _open(port: int, number: int) -> socket.socket:
    """Returns when the answer's head is there."""
    s = socket.socket()
    s.settimeout(30)
    # From many addresses, for the kernel is slow to find a free port where most of one address are taken.
    s.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    s.bind((f"127.0.0.{2 + number // 2000}", 0))
    s.connect((HOST, port))
    s.sendall(f"GET /v1/sessions/idle-{number}/events HTTP/1.1\r\nHost: acceptance\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        piece = s.recv(4096)
        if not piece:
            raise RuntimeError(f"stream {number} was closed: {head!r}")
        head += piece
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise RuntimeError(f"stream {number} was refused: {head!r}")
    s.setblocking(False)
    return s


def _watch(sockets: list[socket.socket], seconds: float) -> list[Stream]:
    streams = [Stream() for _ in sockets]
    places = {s.fileno(): place for place, s in enumerate(sockets)}
    heard = [b"" for _ in sockets]
    poll = select.epoll()
    for s in sockets:
        poll.register(s, select.EPOLLIN)
    deadline, left = time.monotonic() + seconds, len(sockets)
    while left and time.monotonic() < deadline:
        for number, _ in poll.poll(0.5, 4096):
            place = places[number]
            stream, now = streams[place], time.monotonic()
            try:
                piece = sockets[place].recv(65536)
            except OSError as error:
                piece, stream.manner = b"", type(error).__name__
            heard[place] += piece
            if stream.told is None and FAREWELL in heard[place]:
                stream.told = now
            if not piece:
                stream.ended = now
                stream.manner = "FIN" if stream.manner == "open" else stream.manner
                poll.unregister(number)
                sockets[place].close()
                left -= 1
    return streams


def _main(port: int, first: int, count: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets = [_open(port, first + number) for number in range(count)]
    print("open", flush=True)
    seconds = float(sys.stdin.readline())
    print(json.dumps([asdict(stream) for stream in _watch(sockets, seconds)]), flush=True)


if __name__ == "__main__":
    _main(*(int(word) for word in sys.argv[1:4]))
