"""Conversations under way with a pool of two workers on the stores, as clients and the raw rows see them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

from kit.conversation import Conversation, Manner, Styles
from kit.model import Ask, ModelServer, Reply, echo
from kit.server_store import ServerRows, read_servers
from kit.stores import Stores
from kit.worker import Worker, manifest

SESSIONS = 50
STYLES: tuple[Styles, ...] = ("stream", "native", "whole")
ROUNDS = 5
WORKERS = 2
STEADY = Manner(think=(3, 9), retry=0.2, timeout=30, strays=0.1)


@dataclass
class Load:
    """Conversations with a pool of workers that share a scope, and so all sessions."""

    name: str
    stores: Stores
    seed: int
    sessions: int = SESSIONS
    manner: Manner = STEADY
    wait_replicas: int = 1
    program: str | None = None
    options: Sequence[str] = ()
    newcomers: int = 0  # sessions of two turns, begun when they are told to
    workers: list[Worker] = field(default_factory=list)
    talks: list[Conversation] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._model = numbered(self.seed)
        text = self._manifest()
        with ExitStack() as undo:
            undo.callback(self._model.close)
            for _ in range(WORKERS):
                self.workers.append(undo.enter_context(Worker(text, self.program, *self.options)))
            self._undo = undo.pop_all()
        ports = [worker.port for worker in self.workers]
        for number in range(self.sessions + self.newcomers):
            style, limit = STYLES[number % len(STYLES)], None if number < self.sessions else 2
            self.talks.append(Conversation(f"{self.name}-{number}", style, ports, limit, self.manner))
        for talk in self.talks[: self.sessions]:
            talk.start()
        return self

    def begin_newcomers(self) -> None:
        for talk in self.talks[self.sessions :]:
            talk.start()

    def __exit__(self, *_: object) -> None:
        for talk in self.talks:
            talk.finish()
        self._undo.close()

    def _manifest(self) -> str:
        redis = {
            "mode": "Cluster",
            "addresses": self.stores.cluster.addresses,
            "waitReplicas": self.wait_replicas,
        }
        milvus = {"address": f"http://127.0.0.1:{self.stores.milvus.port}", "collection": self.name}
        memory = {"scope": f"acceptance/{self.name}", "redis": redis, "milvus": milvus}
        return manifest(self._model, memory={**memory, "buffer": {"rounds": ROUNDS}})

    def finish(self) -> None:
        """Every turn that was asked for is asked for until it is acknowledged."""
        for talk in self.talks:
            talk.finish()
        for talk in self.talks:
            talk.join()

    def rows(self) -> ServerRows:
        return read_servers(self.stores.cluster, self.stores.milvus, self.name)


def numbered(seed: int) -> ModelServer:
    """A model that never answers the same twice, so that a reply which was made anew can be told from the stored one."""
    rng, numbers = random.Random(seed), itertools.count(1)

    def reply(ask: Ask) -> Reply:
        answer = echo(ask)
        answer.gap = 0.002
        if ask.kind == "chat":
            answer.words = [f"Answer {next(numbers)}", *answer.words]
            answer.gap = rng.uniform(0.002, 0.008)
        return answer

    return ModelServer(reply)
