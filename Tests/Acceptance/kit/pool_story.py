"""What happens to a pool, event by event, and how long the load that its workers tell was wrong after each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from kit.checks import Checks, eventually
from kit.crew import Crew, Look, shown
from kit.fleet import Pod
from kit.model import Ask, ModelServer, Reply, echo

REPORT = 2.5  # seconds: a report's interval, that in which it is read, and the asking
GONE = 6.5  # a pod that died is left out 5 s after its last report
STEADY = 0.7  # seconds in which the answers must stay right before the next event
SESSIONS = 5  # made at each pod
RUNNING, PENDING = 4, 3  # turns that are held open at a pod
STOPPED = 9.0  # seconds for which Redis is stopped
UNKNOWN = (1.0, 6.0)  # seconds after which the load is unknown then, at least and at most
HOLD = "hold this turn open"


class Gate:
    """A model whose turns wait, where they say so, until they are let go."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.model = ModelServer(self._reply, keeps_asks=False)
        self.waiting = 0
        self._lock = threading.Lock()

    def _reply(self, ask: Ask) -> Reply:
        answer = echo(ask)
        if HOLD in ask.said and ask.kind == "chat":
            with self._lock:
                self.waiting += 1
            answer.before_each = self._wait
        return answer

    def _wait(self, _: int) -> None:
        self._open.wait(120)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Turns that ask for it are held for as long as the body takes."""
        self._open.clear()
        self.waiting = 0
        try:
            yield
        finally:
            self._open.set()


def together(calls: Iterable[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()


@dataclass
class Story:
    """The events of one pool, with the longest time until its load was right after each kind."""

    crew: Crew
    checks: Checks
    what: str
    took: dict[str, float] = field(default_factory=dict)

    def settles(self, kind: str, limit: float = REPORT, since: float | None = None) -> list[Look]:
        """Every answer is right once the limit is over, and stays so; all looks since the event."""
        since = since or time.monotonic()
        expected = self.crew.census.rows()
        time.sleep(max(0, since + limit + STEADY - time.monotonic()))
        looks = [look for look in self.crew.looks if look.asked >= since]
        wrong = [look for look in looks if not look.is_right(expected)]
        last = wrong[-1].asked if wrong else since
        took = next((look.answered - since for look in looks if look.asked > last), float("inf"))
        seen = f"{took:.2f} s" if took <= limit else f"{looks[-1]}, expected {shown(expected)}"
        self.checks.holds(f"{self.what}, {kind}: right within {limit:.1f} s", took <= limit, seen)
        self.took[kind] = max(self.took.get(kind, 0), took)
        return looks

    def line(self) -> str:
        took = ", ".join(f"{kind} {seconds:.2f}" for kind, seconds in self.took.items())
        return f"{self.what}, seconds until the load was right, at most: {took}"

    def pods_come(self, count: int) -> list[Pod]:
        new = self.crew.add(count)
        self.settles("pods came")
        return new

    def sessions_come(self, pods: list[Pod], name: str) -> list[Look]:
        together(
            partial(self.crew.say, f"{name}-{pod.name}-{n}", pod) for pod in pods for n in range(SESSIONS)
        )
        return self.settles("sessions made")

    def sessions_stray(self) -> None:
        """Asked at another worker than theirs, they stay where they are and count once."""
        crew = self.crew
        strays = [(session, pod.name) for pod in crew.pods for session in crew.census.sessions_of(pod.name)[:2]]
        together(partial(crew.say, session, crew.choose(but={home}), home) for session, home in strays)
        self.settles("asked elsewhere")

    def sessions_move(self, kind: str, sessions: list[str]) -> None:
        """Their pods can't have them any more: they speak at others."""
        together(partial(self.crew.say, session, self.crew.choose()) for session in sessions)
        self.settles(kind)

    def turns_are_held(self, gate: Gate, pods: list[Pod], name: str) -> None:
        with self._held(gate, pods, name, PENDING):
            self.settles("turns begun")
        self.settles("turns ended")

    def pods_drain(self, gate: Gate, pods: list[Pod], name: str) -> None:
        """Marked from the beginning, counted to their end; their sessions go to others meanwhile."""
        crew, names = self.crew, [pod.name for pod in pods]
        with self._held(gate, pods, name, 0):
            moving = [session for pod in names for session in crew.census.sessions_of(pod)[RUNNING:]]
            for pod in pods:
                crew.begin_drain(pod)
            self.settles("draining")
            self.sessions_move("moved from a draining pod", moving)
        codes = [crew.end_drain(pod) for pod in pods]
        self.checks.equal(f"{self.what}: drained pods end with 0", codes, [0] * len(pods))
        self.settles("drained")
        left = [session for pod in names for session in crew.census.sessions_of(pod)]
        self.sessions_move("moved from a drained pod", left)

    def pods_die(self, pods: list[Pod]) -> None:
        since = time.monotonic()
        for pod in pods:
            self.crew.kill(pod)
        self.settles("killed", GONE, since)
        left = [session for pod in pods for session in self.crew.census.sessions_of(pod.name)]
        self.sessions_move("moved from a dead pod", left)

    def redis_stops(self) -> None:
        """That nobody knows must not look like few: an error comes, and then the truth."""
        crew, checks = self.crew, self.checks
        expected = crew.census.rows()
        crew.redis.pause()
        stopped = time.monotonic()
        time.sleep(STOPPED)
        resumed = time.monotonic()
        crew.redis.resume()
        after = self.settles("Redis back", since=resumed)
        before = [look for look in crew.looks if stopped <= look.asked < resumed]
        least, most = UNKNOWN
        late = [str(look) for look in before if look.asked > stopped + most and look.status != 503]
        checks.equal(f"{self.what}: without Redis the load is unknown after {most:.0f} s", late, [])
        first = min(look.answered - stopped for look in before if look.status == 503)
        checks.holds(f"{self.what}: and not before {least:.0f} s", first > least, f"{first:.1f} s")
        told = [look for look in before + after if look.status == 200 and not look.is_right(expected)]
        wrong = [f"{look.answered - resumed:+.2f} s after its return {look}" for look in told]
        checks.equal(f"{self.what}: and then right, or still unknown", wrong, [])

    @contextmanager
    def _held(self, gate: Gate, pods: list[Pod], name: str, pending: int) -> Iterator[None]:
        """Turns run at the pods, and wait there, until the body is done; some come by way of workers that have room."""
        crew = self.crew
        turns: list[Future[None]] = []
        with ExitStack() as undo:
            pool = undo.enter_context(ThreadPoolExecutor(len(pods) * (RUNNING + pending)))
            undo.enter_context(gate.closed())
            for pod in pods:
                for n, session in enumerate(crew.census.sessions_of(pod.name)[:RUNNING]):
                    way = crew.choose(but={other.name for other in pods}) if n % 2 else pod
                    turns.append(pool.submit(crew.say, session, way, pod.name, HOLD))
            if not eventually(lambda: gate.waiting == len(turns) == len(pods) * RUNNING, 20):
                raise RuntimeError(f"{gate.waiting} of {len(turns)} turns run; ended: {[t for t in turns if t.done()]}")
            for pod in pods:
                for n in range(pending):
                    turns.append(pool.submit(crew.say, f"{name}-{pod.name}-waits-{n}", pod, None, HOLD))
                undo.enter_context(crew.census.held(pod.name, RUNNING, pending))
            time.sleep(0.3)  # those that are to wait have arrived
            yield
        for turn in turns:
            turn.result()
