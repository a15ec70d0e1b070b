"""Runs programs in processes of their own, several at a time: most of them wait most of the time, for deadlines and for what they killed."""

from __future__ import annotations

import re
import resource
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from kit.stores import KILLED_WITH_US

TALLY = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)


@dataclass
class Lanes:
    """What is left to run, and what came of the rest. Each program's lines are printed together, when it has ended."""

    command: list[str]  # that runs the program whose name follows
    names: Sequence[str]
    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def run(self, lanes: int) -> int:
        """Begins no program after a failure, and prints the closing line; the exit code."""
        waiting, lock = deque(self.names), threading.Lock()

        def lane() -> None:
            while True:
                with lock:
                    if self.failed or not waiting:
                        return
                    name = waiting.popleft()
                code, printed = self._run_one(name)
                with lock:
                    self._ended(name, code, printed)

        begun = time.monotonic()
        threads = [threading.Thread(target=lane) for _ in range(lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"{time.monotonic() - begun:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor time")
        for name in self.failed:
            print(f"failed: {name}")
        print(f"{self.passed} passed, {len(self.failed)} failed")
        return 1 if self.failed else 0

    def _run_one(self, name: str) -> tuple[int, str]:
        # A file and no pipe, which a server that outlives its program would hold open.
        with tempfile.TemporaryFile("w+", errors="replace") as out:
            command = [*KILLED_WITH_US, *self.command, name]
            code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT).returncode
            out.seek(0)
            return code, out.read()

    def _ended(self, name: str, code: int, printed: str) -> None:
        tally = TALLY.search(printed)
        print(TALLY.sub("", printed).rstrip("\n"), flush=True)
        self.passed += int(tally[1]) if tally else 0
        # A program may also die without a word of its own.
        if code != 0 or tally is None:
            self.failed.append(name)
