"""Servers of the tests' own in processes of theirs, which share no interpreter with the clients and live on when workers die."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kit.stores import KILLED_WITH_US

ACCEPTANCE = Path(__file__).resolve().parents[1]


class ServerProcess:
    """A module of the kit that prints its URL and serves until its standard input ends."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [*KILLED_WITH_US, sys.executable, "-m", module, *arguments],
            cwd=ACCEPTANCE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"{module} ended at its start")
        self.url = line.strip()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
