"""Two workers of one manifest on one Redis and one Milvus, with a model that never says the same thing twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kit.model import Ask, ModelServer, Reply, echo
from kit.server_rows import read_servers
from kit.servers import Servers
from kit.store import Rows
from kit.store_proxy import StoreProxy
from kit.watch import metric
from kit.worker import Worker, manifest

ROUNDS = 5
COLLECTION = "two_workers"
SLOWLY = "tell me slowly"  # a turn that says so is answered over a second
HARD = "hard-turn"  # turns that say so are summarised slowly
HARD_SUMMARY = 3.0  # seconds; long enough for the other worker to look in meanwhile


def never_the_same() -> ModelServer:
    """A model that numbers its replies: who asks twice gets other words."""
    numbers = itertools.count(1)

    def reply(ask: Ask) -> Reply:
        answer = echo(ask)
        if ask.kind == "chat":
            answer.words = [f"Reply-{next(numbers)}:", *answer.words]
            answer.gap = 0.1 if SLOWLY in ask.said else 0.02
        elif HARD in ask.said:
            answer.gap = HARD_SUMMARY / len(answer.words)
        return answer

    return ModelServer(reply)


@dataclass
class Pool:
    """Two workers of one manifest and what they share; Milvus is reached by a proxy."""

    a: Worker
    b: Worker
    model: ModelServer
    redis: list[int]
    milvus: int
    proxy: StoreProxy

    def rows(self) -> Rows:
        return read_servers(self.redis)

    def rows_with_memories(self) -> Rows:
        return read_servers(self.redis, self.milvus, COLLECTION)

    def asked(self, text: str) -> int:
        """How often the model was asked for the turn of this text."""
        return sum(ask.said == text for ask in self.model.of_kind("chat"))

    def metric(self, name: str) -> float:
        return metric(self.a, name) + metric(self.b, name)


@contextmanager
def two_workers(cluster: bool) -> Iterator[Pool]:
    model = never_the_same()
    with Servers() as servers:
        redis = servers.cluster() if cluster else [servers.redis()]
        milvus = servers.milvus()
        proxy = StoreProxy(milvus)
        memory = {
            "redis": {
                "mode": "Cluster" if cluster else "Standalone",
                "addresses": [f"127.0.0.1:{redis[0]}"],
                "waitReplicas": int(cluster),
            },
            "milvus": {"address": f"http://127.0.0.1:{proxy.port}", "collection": COLLECTION},
            "buffer": {"rounds": ROUNDS},
        }
        text = manifest(model, memory=memory)
        with Worker(text) as a, Worker(text) as b:
            yield Pool(a, b, model, redis, milvus, proxy)
        proxy.close()
    model.close()
