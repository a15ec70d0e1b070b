"""A real HAProxy before the workers, as an ingress would run one: slots that are filled and emptied over its runtime API."""

from __future__ import annotations

import csv
import shutil
import socket
import subprocess
import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import Literal, Self

from kit.checks import eventually
from kit.stores import HOST, KILLED_WITH_US
from ports import free_port

Affinity = Literal["cookie", "header", "none"]
SLOTS = 24
COOKIE = "agentpool-route"
SERVED_BY = "x-slot"  # the answer's header that names the slot
RULES: dict[Affinity, list[str]] = {
    "cookie": ["balance roundrobin", f"cookie {COOKIE} insert indirect nocache"],
    "header": ["balance hdr(X-Session-Id)", "hash-type consistent"],
    "none": ["balance roundrobin"],
}


def configuration(port: int, runtime: Path, affinity: Affinity) -> str:
    """Times and retries as users of long streams set them; every slot begins in maintenance."""
    cookie = affinity == "cookie"
    slots = [
        f"server slot{n} {HOST}:1{f' cookie slot{n}' if cookie else ''} disabled" for n in range(1, SLOTS + 1)
    ]
    sections = {
        "global": ["maxconn 4000", "nbthread 1", f"stats socket {runtime} mode 600 level admin"],
        "defaults": [
            "mode http",
            "log stdout format raw local0",
            "option httplog",
            "timeout connect 2s",
            "timeout client 1h",
            "timeout server 1h",
            "timeout tunnel 1h",
            "option redispatch",
            "retries 3",
            "retry-on conn-failure empty-response",
        ],
        "frontend fe": [
            f"bind {HOST}:{port}",
            "maxconn 4000",
            f"http-response set-header {SERVED_BY} %s",
            "default_backend be",
        ],
        "backend be": [*RULES[affinity], *slots],
    }
    return "".join(
        f"{name}\n" + "".join(f"    {line}\n" for line in lines) for name, lines in sections.items()
    )


class HAProxy:
    """One process; a slot that is given back is given out again last, so that its name stays that of one worker for long."""

    def __init__(self, affinity: Affinity) -> None:
        program = shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin")
        if program is None:
            raise RuntimeError("there is no haproxy: install Debian's package `haproxy`")
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="agentpool-haproxy-"))
        self._runtime = self._folder / "runtime"
        self._free = deque(f"slot{n}" for n in range(1, SLOTS + 1))
        self._lock = threading.Lock()
        file = self._folder / "haproxy.cfg"
        file.write_text(configuration(self.port, self._runtime, affinity))
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*KILLED_WITH_US, program, "-db", "-f", str(file)], stdout=log, stderr=log
            )
        if not eventually(self._listens, 10):
            said = self.log()
            self.close()
            raise RuntimeError(f"HAProxy did not come up:\n{said}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take_slot(self) -> str:
        """A slot in maintenance, the one that has been free for longest."""
        with self._lock:
            if not self._free:
                raise RuntimeError(f"all {SLOTS} slots are taken")
            return self._free.popleft()

    def give_back(self, slot: str) -> None:
        with self._lock:
            self._free.append(slot)

    def add(self, slot: str, port: int) -> None:
        """Requests go to that port from now on."""
        self._tell(f"set server be/{slot} addr {HOST} port {port}")
        self._tell(f"set server be/{slot} state ready")

    def remove(self, slot: str) -> None:
        """No new request goes there; those that run there run on."""
        self._tell(f"set server be/{slot} state maint")

    def retries(self) -> tuple[int, int]:
        """How often a connection was tried again at the same worker, and a request at another one."""
        rows = csv.DictReader(self._ask("show stat").removeprefix("# ").splitlines())
        row = next(row for row in rows if (row["pxname"], row["svname"]) == ("be", "BACKEND"))
        return int(row["wretr"]), int(row["wredis"])

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _listens(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
            return True
        except OSError:
            return False

    def _tell(self, order: str) -> None:
        said = self._ask(order).strip()
        if said and "changed" not in said and "no need to change" not in said:
            raise RuntimeError(f"HAProxy answers `{order}` with: {said}")

    def _ask(self, order: str) -> str:
        with socket.socket(socket.AF_UNIX) as runtime:
            runtime.settimeout(5)
            runtime.connect(str(self._runtime))
            runtime.sendall(order.encode() + b"\n")
            answer = b""
            while piece := runtime.recv(65536):
                answer += piece
        return answer.decode()
