"""The measurements themselves: each takes running servers and returns plain numbers."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from processes import BUILD, Server

Sample = dict[str, Any]


@dataclass
class Load:
    """A way of asking: `connections` keep-alive clients, each with a session of its own and `turns_each` turns."""

    connections: int
    turns_each: int
    streams: bool = True


def generate(server: Server, load: Load, prefix: str, first_turn: int = 0) -> Sample:
    """Runs the load generator once; raises where a single turn of the run was not whole."""
    mode = "stream" if load.streams else "whole"
    command = [str(BUILD / "loadgen"), str(server.port), str(load.connections), str(load.turns_each), mode]
    done = subprocess.run([*command, prefix, str(first_turn)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{server.name}: {done.stderr.strip()}")
    sample: Sample = json.loads(done.stdout)
    return sample


def with_cpu(server: Server, load: Load, prefix: str, first_turn: int = 0) -> Sample:
    """One run of the generator with the server's own CPU time beside it."""
    before = server.cpu_seconds()
    sample = generate(server, load, prefix, first_turn)
    time.sleep(0.3)  # work that follows the last reply (archiving) belongs to the turns too
    sample["cpu_us_per_turn"] = (server.cpu_seconds() - before) * 1e6 / sample["turns"]
    return sample


def idle_stream_bytes(server: Server, first: int, last: int) -> float:
    """User-space bytes that each idle event stream adds between `first` and `last` open streams."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets: list[socket.socket] = []
    try:
        _open_streams(server, sockets, first)
        before = _settled_bytes(server)
        _open_streams(server, sockets, last)
        return (_settled_bytes(server) - before) / (last - first)
    finally:
        for s in sockets:
            s.close()


def _open_streams(server: Server, sockets: list[socket.socket], until: int) -> None:
    """Opens streams from several loopback addresses and reads each one's head, so that all are live."""
    started = len(sockets)
    for i in range(started, until):
        s = socket.socket()
        s.bind((f"127.0.0.{2 + i % 40}", 0))
        s.connect(("127.0.0.1", server.port))
        s.sendall(
            f"GET /v1/sessions/idle-{i}/events HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n"
            "X-AgentPool-User: bench\r\n\r\n".encode()
        )
        sockets.append(s)
    for s in sockets[started:]:
        s.settimeout(30)
        head = s.recv(2048).lower()
        if b" 200 " not in head.split(b"\r\n")[0] or b"text/event-stream" not in head:
            raise RuntimeError(f"{server.name}: no event stream: {head[:200]!r}")


def _settled_bytes(server: Server) -> int:
    time.sleep(3)
    return server.anonymous_bytes()


def allocations_per_turn(server: Server, history: int, sessions: int, turns_each: int) -> Sample:
    """Bytes and calls of the allocator a turn, over sessions that hold `history` turns at the start of the count."""
    prefix = f"history-{history}"
    generate(server, Load(sessions, history), prefix)
    time.sleep(1.5)  # what the last batch's archiving allocates is not the measured turns'
    idle = _allocated_while_idle(server)
    bytes_before, calls_before = server.allocated()
    begun = time.monotonic()
    sample = generate(server, Load(sessions, turns_each), prefix, history)
    time.sleep(1.5)
    seconds = time.monotonic() - begun
    bytes_after, calls_after = server.allocated()
    return {
        "history": history,
        "turns": sample["turns"],
        "bytes_per_turn": (bytes_after - bytes_before - idle * seconds) / sample["turns"],
        "calls_per_turn": (calls_after - calls_before) / sample["turns"],
    }


def _allocated_while_idle(server: Server) -> float:
    """Bytes a second that the server allocates with nobody asking."""
    before = server.allocated()[0]
    time.sleep(1)
    return server.allocated()[0] - before
