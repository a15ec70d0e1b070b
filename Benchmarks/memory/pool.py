"""The pool under measurement: its manifest, its workers on shared stores, and a client that keeps its connection."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kit.model import INSTRUCTIONS
from kit.worker import Worker

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Embeddings:
    """An embedding model behind OpenAI's API; a pool without one uses the built-in embedder."""

    url: str
    model: str
    dimensions: int


@dataclass(frozen=True)
class Pool:
    """What a manifest says that matters here. Pools of different names share nothing in the stores."""

    name: str
    model_url: str | None
    redis: dict[str, Any]
    milvus_port: int
    rounds: int = 10
    memory: dict[str, Any] = field(default_factory=dict)
    embeddings: Embeddings | None = None
    retention: str = "876000h"

    @property
    def collection(self) -> str:
        return f"default_{self.name.replace('-', '_')}"

    def manifest(self) -> str:
        models: list[dict[str, Any]] = []
        agent: dict[str, Any] = {"name": "assistant", "instructions": INSTRUCTIONS}
        memory = {"redis": self.redis, "buffer": {"rounds": self.rounds}, **self.memory}
        memory["milvus"] = {
            "address": f"http://127.0.0.1:{self.milvus_port}",
            "retention": self.retention,
            "collection": self.collection,
        }
        if self.model_url:
            models.append(
                {"name": "chat", "provider": "openai", "baseURL": self.model_url, "model": "stand-in"}
            )
            agent["model"] = "chat"
        if self.embeddings:
            models.append(
                {
                    "name": "embed",
                    "provider": "openai",
                    "baseURL": self.embeddings.url,
                    "model": self.embeddings.model,
                    "dimensions": self.embeddings.dimensions,
                }
            )
            memory["embeddingModel"] = "embed"
        spec = {"models": models, "agents": [agent], "memory": memory, "auth": {"mode": "None"}}
        pool = {"apiVersion": "agentpool.dev/v1alpha1", "kind": "AgentPool"}
        return json.dumps(pool | {"metadata": {"name": self.name}, "spec": spec}, indent=1)


@contextmanager
def workers(pool: Pool, count: int = 1, status: str = "ok") -> Iterator[list[Worker]]:
    """Workers of one pool, as soon as they say `status`; a drain ends them."""
    started: list[Worker] = []
    try:
        for _ in range(count):
            started.append(Worker(pool.manifest()))
        for worker in started:
            wait_until(partial(is_ready, worker, status), 60, worker.tail)
        yield started
    finally:
        for worker in started:
            worker.terminate()
        for worker in started:
            worker.wait(20)
            worker.close()


def is_ready(worker: Worker, status: str) -> bool:
    try:
        return bool(Client(worker.admin_port).ask("GET", "/readyz")[1].get("status") == status)
    except OSError:
        return False


def wait_until(
    condition: Callable[[], bool], seconds: float, otherwise: Callable[[], str], step: float = 0.1
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds:.0f} s in vain: {otherwise()}")
        time.sleep(step)


def metrics(worker: Worker) -> dict[str, float]:
    """The worker's counters, by name with labels."""
    connection = http.client.HTTPConnection("127.0.0.1", worker.admin_port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()
    pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def summed(started: list[Worker], name: str) -> float:
    return sum(metrics(worker).get(name, 0) for worker in started)


class Client:
    """One keep-alive connection to a worker; not for several threads."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """One request; its status and JSON body. The answer's header fields are in `headers` then."""
        raw = None if body is None else json.dumps(body).encode()
        fields = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, raw, fields)
        response = self._connection.getresponse()
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, json.loads(response.read() or b"{}")

    def turn(self, session: str, user: str, text: str) -> str:
        """A whole turn; the tier that had the session."""
        body = {"model": "assistant", "messages": [{"role": "user", "content": text}]}
        status, answer = self.ask(
            "POST", "/v1/chat/completions", body, X_Session_Id=session, X_AgentPool_User=user
        )
        if status != 200:
            raise RuntimeError(f"turn of {session}: {status} {answer}")
        return self.headers["x-memory-tier"]

    def release(self, session: str, user: str) -> None:
        self._expect(200, self.ask("POST", f"/v1/sessions/{session}/release", X_AgentPool_User=user))

    def forget(self, session: str, user: str) -> bool:
        """True once nothing is left of it."""
        status, answer = self.ask("DELETE", f"/v1/sessions/{session}", X_AgentPool_User=user)
        self._expect(200 if status == 200 else 202, (status, answer))
        return status == 200

    def search(self, user: str, query: str, limit: int = 6) -> dict[str, Any]:
        answer = self.ask(
            "POST", "/v1/memories/search", {"query": query, "limit": limit}, X_AgentPool_User=user
        )
        self._expect(200, answer)
        return answer[1]

    @staticmethod
    def _expect(status: int, answer: tuple[int, dict[str, Any]]) -> None:
        if answer[0] != status:
            raise RuntimeError(f"{answer[0]} {answer[1]}")
