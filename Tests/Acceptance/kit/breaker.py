"""Kills stores and workers one after another while conversations go on, and puts each back; never what the promise does not cover."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from kit.checks import eventually
from kit.ledger import Outage
from kit.stores import Shard, Stores
from kit.worker import Worker

FAILS_OVER = "master killed, its replica took over"
COMES_BACK = "master killed and started at once"
WORKER = "worker killed and started at once"
MILVUS = "Milvus killed and started"


@dataclass(frozen=True)
class Kills:
    """How many of each; every other master is left to fail over."""

    masters: int = 0
    workers: int = 0
    milvus: int = 0


class Breaker:
    """Works through a plan that a seed has shuffled."""

    def __init__(self, stores: Stores, workers: list[Worker], rng: random.Random) -> None:
        self.stores, self.workers, self.rng = stores, workers, rng
        self.outages: list[Outage] = []
        self.amid = 0  # kills of workers while a store was down or catching up
        self.took_over: list[float] = []  # seconds from a master's death to its replica's promotion
        self.came_too_late = 0  # masters that were started at once, and whose replica took over nevertheless
        self._amid_left = 0

    def carry_out(self, kills: Kills) -> None:
        plan: list[Callable[[], None]] = []
        plan += [self.fail_over] * ((kills.masters + 1) // 2) + [self.bring_back] * (kills.masters // 2)
        plan += [self.kill_milvus] * kills.milvus
        # A third of the workers die while a store is down or catching up.
        self._amid_left = min(len(plan), kills.workers // 3)
        plan += [self.kill_worker] * (kills.workers - self._amid_left)
        self.rng.shuffle(plan)
        for step in plan:
            time.sleep(self.rng.uniform(0.5, 2.5))
            self.stores.cluster.wait_until_whole()
            step()

    def fail_over(self) -> None:
        """The replica becomes the master; the dead node comes back afterwards and follows it."""
        shard = self._shard()
        begun = time.monotonic()
        shard.master.kill()
        self._perhaps_a_worker()
        if not eventually(shard.replica.is_master, 30, step=0.05):
            raise RuntimeError("no failover in 30 s")
        self.took_over.append(time.monotonic() - begun)
        time.sleep(self.rng.uniform(0, 1))
        shard.master.start()
        self._settle(shard, begun, FAILS_OVER)

    def bring_back(self) -> None:
        """The master is back before its replica could follow it, with what its append-only file holds."""
        shard = self._shard()
        begun = time.monotonic()
        shard.master.kill()
        shard.master.start()
        self._perhaps_a_worker()
        self._settle(shard, begun, COMES_BACK)
        self.came_too_late += not shard.master.is_master()

    def kill_worker(self) -> None:
        worker = self.rng.choice(self.workers)
        begun = time.monotonic()
        worker.kill()
        worker.start()
        self.outages.append(Outage(WORKER, begun, time.monotonic()))

    def kill_milvus(self) -> None:
        begun = time.monotonic()
        self.stores.milvus.kill()
        self._perhaps_a_worker()
        time.sleep(self.rng.uniform(0, 3))
        self.stores.milvus.start()
        self.stores.milvus.wait()
        self.outages.append(Outage(MILVUS, begun, time.monotonic()))

    def _shard(self) -> Shard:
        return self.rng.choice(self.stores.cluster.shards())

    def _settle(self, shard: Shard, begun: float, kind: str) -> None:
        self.stores.cluster.wait_until_whole()
        self.outages.append(Outage(kind, begun, time.monotonic(), shard.slots))

    def _perhaps_a_worker(self) -> None:
        if self._amid_left > 0:
            self._amid_left -= 1
            self.amid += 1
            self.kill_worker()
