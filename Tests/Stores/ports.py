"""Which ports servers of tests and benchmarks listen on: free ones that the system gives to nobody else in the meantime."""

from __future__ import annotations

import random
import socket
import threading

# Below those that the system gives to outgoing connections (from 32,768 on): what is free now must still be so when the server listens.
PORTS = range(12_000, 32_000)
# A Redis Cluster's nodes talk to each other on a port this much higher.
BUS = 10_000

_handed_out: set[int] = set()
_handing_out = threading.Lock()


def free_port() -> int:
    """Never the same twice, for servers may start side by side."""
    return _take(PORTS, (0,))


def cluster_port() -> int:
    """A port whose cluster bus port is free as well."""
    return _take(range(PORTS.start, PORTS.stop - BUS), (0, BUS))


def _take(ports: range, offsets: tuple[int, ...]) -> int:
    while True:
        port = random.choice(ports)
        needed = {port + offset for offset in offsets}
        with _handing_out:
            if needed & _handed_out or not all(_is_free(one) for one in needed):
                continue
            _handed_out.update(needed)
            return port


def _is_free(port: int) -> bool:
    # On every interface: some servers listen on all.
    with socket.socket() as s:
        try:
            s.bind(("", port))
        except OSError:
            return False
        return True
