"""Who should be counted at which pod of a pool, by the test's own ledger of turns, and of pods that came and went."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["turns", "drained", "killed", "idle"]  # what can change a pool's sum


@dataclass(frozen=True)
class Row:
    """What there is at one pod, or in a whole pool."""

    active: int = 0
    running: int = 0
    pending: int = 0
    draining: bool = False


@dataclass(frozen=True)
class Change:
    """A moment at which the true sum changed; `time.monotonic`."""

    at: float
    kind: Kind


@dataclass
class Census:
    """A session counts at the pod that had its last turn, if that is there and the turn was within the idle time."""

    idle: float  # the pool's idleTTL in seconds
    draining: set[str] = field(default_factory=set)
    running: Counter[str] = field(default_factory=Counter)
    pending: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._turns: dict[str, list[tuple[float, str]]] = defaultdict(list)  # by session, in order
        self._came: dict[str, float] = {}
        self._went: dict[str, tuple[float, Kind]] = {}
        self._lock = threading.Lock()

    def came(self, pod: str) -> None:
        with self._lock:
            self._came[pod] = time.monotonic()

    def went(self, pod: str, how: Kind) -> None:
        with self._lock:
            self._went[pod] = (time.monotonic(), how)
        self.draining.discard(pod)

    def spoke(self, session: str, pod: str) -> None:
        """A turn of the session has ended at the pod."""
        with self._lock:
            self._turns[session].append((time.monotonic(), pod))

    @contextmanager
    def held(self, pod: str, running: int = 0, pending: int = 0) -> Iterator[None]:
        """Turns that run, and that wait, at the pod for as long as the body does."""
        self.running[pod] += running
        self.pending[pod] += pending
        yield
        self.running[pod] -= running
        self.pending[pod] -= pending

    def home(self, session: str) -> str | None:
        """The pod of the session's last turn, if it is there."""
        with self._lock:
            turns = self._turns.get(session)
            return turns[-1][1] if turns and turns[-1][1] not in self._went else None

    def sessions_of(self, pod: str) -> list[str]:
        with self._lock:
            return [session for session, turns in self._turns.items() if turns[-1][1] == pod]

    def rows(self) -> dict[str, Row]:
        """As a pool should tell it now, pod by pod."""
        now = time.monotonic()
        active = self._active(now)
        return {
            pod: Row(active[pod], self.running[pod], self.pending[pod], pod in self.draining)
            for pod in self._there(now)
        }

    def total(self, at: float) -> int:
        """Active sessions of the whole pool."""
        return self._active(at).total()

    def changes(self, until: float) -> list[Change]:
        """All moments at which the sum may have changed, in order."""
        with self._lock:
            found = [Change(at, kind) for at, kind in self._went.values()]
            for turns in self._turns.values():
                found += [Change(at, "turns") for at, _ in turns]
                later = [at for at, _ in turns[1:]] + [float("inf")]
                ends = [at + self.idle for (at, _), after in zip(turns, later, strict=True) if at + self.idle < after]
                found += [Change(at, "idle") for at in ends if at <= until]
        return sorted(found, key=lambda change: change.at)

    def _there(self, at: float) -> list[str]:
        with self._lock:
            never = (float("inf"), "drained")
            return [pod for pod, came in self._came.items() if came <= at < self._went.get(pod, never)[0]]

    def _active(self, at: float) -> Counter[str]:
        there = set(self._there(at))
        counts: Counter[str] = Counter()
        with self._lock:
            for turns in self._turns.values():
                last = next((turn for turn in reversed(turns) if turn[0] <= at), None)
                if last and last[1] in there and at - last[0] < self.idle:
                    counts[last[1]] += 1
        return counts


def total_of(rows: dict[str, Row]) -> tuple[int, int, int]:
    """Active sessions, running turns and pending requests of all pods together."""
    all_rows = rows.values()
    return (sum(r.active for r in all_rows), sum(r.running for r in all_rows), sum(r.pending for r in all_rows))
