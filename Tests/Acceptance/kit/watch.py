"""Watches a worker from its admin port while something goes wrong: readiness over time, metrics, and the peak of its own memory."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import Self

from kit.client import Client
from kit.worker import Worker

INTERVAL = 0.1


@dataclass(frozen=True)
class Look:
    """What `/readyz` said, so many seconds after the watch began."""

    at: float
    status: int
    word: str
    reasons: tuple[str, ...]


class Watch:
    """Looks ten times a second between `__enter__` and `__exit__`."""

    def __init__(self, worker: Worker) -> None:
        self.looks: list[Look] = []
        self.unanswered = 0  # looks that the admin port gave no answer to
        self.peak = 0
        self._worker = worker
        self._admin = Client(worker.admin_port, timeout=5)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.before = self._worker.anonymous_bytes()
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        """Bytes of the worker's own memory at the peak, above those at the beginning."""
        return max(0, self.peak - self.before)

    def first(self, status: int, word: str | None = None) -> float | None:
        """Seconds until `/readyz` first answered so."""
        return next((x.at for x in self.looks if x.status == status and word in (None, x.word)), None)

    def said(self, status: int) -> bool:
        return self.first(status) is not None

    @property
    def complained(self) -> bool:
        """It said anything but that all is well."""
        return any((look.status, look.word) != (200, "ok") for look in self.looks)

    def words(self) -> list[str]:
        """What `/readyz` said, each thing once, in the order of its first time."""
        said = (f"{look.status} {'; '.join((look.word, *look.reasons))}" for look in self.looks)
        return list(dict.fromkeys(said))

    def _run(self) -> None:
        while not self._over.wait(INTERVAL):
            self.peak = max(self.peak, self._worker.anonymous_bytes())
            try:
                answer = self._admin.ask("GET", "/readyz")
            except OSError:
                self.unanswered += 1
                continue
            at = time.monotonic() - self._began
            reasons = tuple(answer.json.get("reasons", ()))
            self.looks.append(Look(at, answer.status, answer.json["status"], reasons))


def readiness(worker: Worker) -> Look:
    answer = Client(worker.admin_port, timeout=5).ask("GET", "/readyz")
    return Look(0, answer.status, answer.json["status"], tuple(answer.json.get("reasons", ())))


def metric(worker: Worker, name: str) -> float:
    """A sample by its name with its labels, as the page writes them: `agentpool_recall_skips_total{stage="index"}`."""
    page = Client(worker.admin_port, timeout=5).ask("GET", "/metrics").body.decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return float(found.group(1)) if found else 0
