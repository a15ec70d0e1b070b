"""The workers of a pool on a Redis of its own: started, drained and killed one by one, and asked for the load all the time."""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from redis import Redis

from kit.census import Census, Kind, Row, total_of
from kit.checks import eventually
from kit.client import Client
from kit.fleet import Pod, Rendered
from kit.model import ModelServer
from kit.stores import HOST, Server
from kit.worker import manifest
from ports import free_port

PAUSE = 0.2  # seconds between two looks
FEW = 5  # pods that are shown one by one
END = 60.0  # seconds in which a drained pod must have ended


@dataclass(frozen=True)
class Look:
    """What one worker answered to `GET /load`; the status is 0 where it did not. Times are `time.monotonic`."""

    asked: float
    answered: float
    pod: str
    status: int
    total: tuple[int, int, int] = (0, 0, 0)
    rows: dict[str, Row] | None = None
    doubled: tuple[str, ...] = ()  # pods that are told of more than once

    def is_right(self, expected: dict[str, Row]) -> bool:
        return not self.doubled and self.rows == expected and self.total == total_of(expected)

    @property
    def own(self) -> Row:
        """What the worker that was asked told of itself."""
        return (self.rows or {}).get(self.pod, Row())

    def __str__(self) -> str:
        return f"{self.status} {shown(self.rows or {})} by {self.pod}"


def shown(rows: dict[str, Row]) -> str:
    pods = ", ".join(f"{pod} {tuple(vars(row).values())}" for pod, row in sorted(rows.items()))
    return f"{total_of(rows)} of {pods if len(rows) <= FEW else f'{len(rows)} pods'}"


@dataclass(frozen=True)
class Terms:
    """What of a pool's manifest matters here; times in seconds."""

    idle: int
    running: int = 64  # concurrency.maxRunningTurns
    delay: int = 1  # drain.delay


class Crew:
    """Used by the thread that made it: a process ends with the thread that started it."""

    def __init__(self, name: str, size: int, terms: Terms, model: ModelServer) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="agentpool-crew-"))
        port = free_port()
        command = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--dir", "."]
        self.redis = Server("redis", self.folder / "redis", port, [*command, "--appendonly", "yes"])
        self.census = Census(terms.idle)
        self.pods: list[Pod] = []
        self.looks: list[Look] = []
        self._started: list[Pod] = []
        self._rng = random.Random(name)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        try:
            self.redis.start()
            if not eventually(self.redis.listens, 20):
                raise RuntimeError("Redis did not come up")
            memory = {"scope": f"acceptance/{name}", "redis": {"addresses": [f"{HOST}:{port}"]}}
            text = manifest(
                model,
                memory={**memory, "session": {"idleTTL": f"{terms.idle}s"}},
                replicas=size,
                drain={"delay": f"{terms.delay}s", "timeout": "10m"},
                concurrency={"turnTimeout": "10m", "maxRunningTurns": terms.running, "maxQueuedTurns": 64},
            )
            (self.folder / "secrets").mkdir()
            self._config = self.folder / "worker.json"
            self._config.write_text(Rendered.of(text, self.folder).config)
            self.add(size)
            self._thread.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def client(self) -> Redis:
        return Redis(HOST, self.redis.port, decode_responses=True)

    def choose(self, but: Collection[str] = ()) -> Pod:
        """Some pod that takes new turns, another than the named ones where there is any."""
        able = [pod for pod in self.pods if not pod.is_leaving]
        return self._rng.choice([pod for pod in able if pod.name not in but] or able)

    def named(self, name: str) -> Pod:
        return next(pod for pod in self._started if pod.name == name)

    def add(self, count: int = 1) -> list[Pod]:
        """Returns when they are ready."""
        new = []
        for _ in range(count):
            pod = Pod(len(self._started) + 1, self.folder, self._config, "", True)
            self._started.append(pod)
            new.append(pod)
        for pod in new:
            if not eventually(pod.is_ready, END):
                raise RuntimeError(f"{pod.name} is not ready:\n{pod.log()[-3000:]}")
            self.census.came(pod.name)
            self.pods.append(pod)
        return new

    def begin_drain(self, pod: Pod) -> None:
        pod.is_leaving = True
        pod.process.terminate()
        self.census.draining.add(pod.name)

    def end_drain(self, pod: Pod) -> int:
        """Returns when the pod has ended, with its exit code."""
        code = pod.process.wait(END)
        self._lost(pod, "drained")
        return code

    def kill(self, pod: Pod) -> None:
        pod.is_leaving = True
        pod.kill()
        self._lost(pod, "killed")

    def say(self, session: str, pod: Pod, at: str | None = None, text: str = "hello") -> None:
        """One whole turn at the pod, which runs at `at` where that is another one."""
        turn = Client(pod.port, f"user-of-{session}", timeout=120).native(text, session)
        if not turn.acknowledged:
            raise RuntimeError(f"{session} at {pod.name}: {turn.status} {turn.error}")
        self.census.spoke(session, at or pod.name)

    def close(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        for pod in self._started:
            pod.kill()
        self.redis.resume()
        self.redis.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _lost(self, pod: Pod, how: Kind) -> None:
        self.census.went(pod.name, how)
        self.pods.remove(pod)

    def _ask(self) -> None:
        """Some living pod, again and again."""
        while not self._over.wait(PAUSE):
            self.looks.append(_look(self._rng.choice(list(self.pods))))


def _look(pod: Pod) -> Look:
    asked = time.monotonic()
    try:
        answer = Client(pod.admin_port, timeout=5).ask("GET", "/load")
    except OSError:
        return Look(asked, time.monotonic(), pod.name, 0)
    now = time.monotonic()
    if answer.status != 200:
        return Look(asked, now, pod.name, answer.status)
    told = answer.json
    rows = {
        row["name"]: Row(row["activeSessions"], row["runningTurns"], row["pendingRequests"], row["draining"])
        for row in told["pods"]
    }
    names = Counter(row["name"] for row in told["pods"])
    total = (told["activeSessions"], told["runningTurns"], told["pendingRequests"])
    return Look(asked, now, pod.name, 200, total, rows, tuple(n for n, count in names.items() if count > 1))
