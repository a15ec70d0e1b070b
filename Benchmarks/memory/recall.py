"""How long recall takes, with the query's embedding and without, from L1 and from Milvus, on each Milvus server."""

from __future__ import annotations

import http.client
import json
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from kit.worker import Worker
from pool import JSON, Client, Embeddings, Pool, wait_until, workers
from pymilvus import MilvusClient
from rows import SERVERS
from servers import MilvusServer, embeddings, model, standalone_redis
from tables import Cell, quantile, table

WORDS = "parcel customs label depot courier invoice refund address signature harbour locker pallet".split()
CLIENTS = 4
# Long enough that no stage is left out: what is late would look fast.
PATIENT = {"deadline": "5s", "embeddingDeadline": "5s"}


@dataclass(frozen=True)
class Plan:
    users: int
    memories: int  # of each user
    searches: int
    delay_milliseconds: float = 10

    @staticmethod
    def of(quick: bool) -> Plan:
        return Plan(2, 10, 40) if quick else Plan(10, 30, 300)


@dataclass(frozen=True)
class Case:
    """A server with an embedder, and the pool that keeps its memories there."""

    server: MilvusServer
    embeddings: Embeddings | None
    pool: Pool


def measure(quick: bool) -> str:
    plan = Plan.of(quick)
    with ExitStack() as stack:
        delayed = embeddings(stack, "hashed", plan.delay_milliseconds)
        redis, url = standalone_redis(stack), model(stack)
        servers = [start(stack) for start in SERVERS.values()]
        cases = [_case(server, embedder, redis, url) for server in servers for embedder in (None, delayed)]
        # Waiting for the archive is what takes the time, and that they may do together.
        with ThreadPoolExecutor(len(cases)) as threads:
            list(threads.map(partial(_seed, plan), cases))
        print("  recall: memories are there", file=sys.stderr)
        rows = [row for case in cases for row in _run(plan, case)]
    text = (
        f"### Recall, {plan.users} users with {plan.memories} memories each\n\n"
        f"Time of POST /v1/memories/search, one client on a kept connection, {plan.searches:,} questions that were not asked "
        f"before, each of a user by chance. The embedding server waits {plan.delay_milliseconds:.0f} ms; after each search it "
        "is asked once directly, and the median of that is taken off in the columns without it.\n\n"
    )
    heads = ["", "embedder", "memories from", "p50, ms", "p99, ms", "embedding asked directly, p50"]
    heads += ["without the embedding: p50", "p99", "bytes to Milvus a search", "stages skipped"]
    return text + table(heads, rows)


def _case(server: MilvusServer, embedder: Embeddings | None, redis: int, url: str) -> Case:
    name = re.sub(r"[^a-z0-9]+", "-", f"recall {server.name} {'delayed' if embedder else 'builtin'}".lower())
    settings = {"mode": "Standalone", "addresses": [f"127.0.0.1:{redis}"]}
    pool = Pool(name, url, settings, server.port, rounds=1, memory={"recall": PATIENT}, embeddings=embedder)
    return Case(server, embedder, pool)


def _seed(plan: Plan, case: Case) -> None:
    """Turns that become a memory each."""
    due = plan.users * plan.memories

    def stored(raw: MilvusClient) -> int:
        if not raw.has_collection(case.pool.collection):
            return 0
        fields, every = ["first_turn"], "first_turn >= 0"
        query = raw.query(case.pool.collection, filter=every, output_fields=fields, limit=16_000)
        return len(query)

    with workers(case.pool) as [worker]:
        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(partial(_talk, plan, worker), range(CLIENTS)))
        raw = MilvusClient(uri=f"http://127.0.0.1:{case.server.port}")
        wait_until(lambda: stored(raw) >= due, 240, lambda: f"{stored(raw)} of {due} memories", step=2)
        raw.close()


def _run(plan: Plan, case: Case) -> list[list[Cell]]:
    """A new worker knows nobody's memories: until a turn has brought them into L1, Milvus is asked."""
    found: list[list[Cell]] = []
    name = f"server, {plan.delay_milliseconds:.0f} ms" if case.embeddings else "built-in"
    with workers(replace(case.pool, rounds=1000)) as [worker]:
        for place in ("Milvus", "L1"):
            if place == "L1":
                for index in range(plan.users):
                    Client(worker.port).turn("warming", f"user-{index}", "Hello, thanks!")
                    time.sleep(0.2)
                time.sleep(1)
            sent = Sent(case.server.port)
            times, direct, skipped = _search(plan, Client(worker.port), case, sent, place)
            each = sent.since() / plan.searches
            p50, p99 = quantile(times, 0.5), quantile(times, 0.99)
            usual = quantile(direct, 0.5) if direct else 0.0
            found.append(
                [case.server.name, name, place, p50, p99, usual, p50 - usual, p99 - usual, each, skipped]
            )
    print(f"  recall: {case.server.name}, {name}", file=sys.stderr)
    return found


def _talk(plan: Plan, worker: Worker, part: int) -> None:
    client, chance = Client(worker.port), random.Random(part)
    for index in range(part, plan.users, CLIENTS):
        for number in range(plan.memories):
            words = " ".join(chance.choices(WORDS, k=12))
            client.turn(f"session-{index}", f"user-{index}", f"Note {number} of user {index}: {words}.")


def _search(
    plan: Plan, client: Client, case: Case, sent: Sent, place: str
) -> tuple[list[float], list[float], int]:
    """Milliseconds of each search and of each direct embedding beside it, and how many stages were left out in all."""
    chance = random.Random(place)
    times: list[float] = []
    direct: list[float] = []
    skipped = 0
    for number in range(plan.searches):
        user = f"user-{chance.randrange(plan.users)}"
        query = f"Which note has {' and '.join(chance.choices(WORDS, k=3))} in it, {number}?"
        begun = time.perf_counter()
        answer = client.search(user, query)
        times.append((time.perf_counter() - begun) * 1e3)
        skipped += len(answer["skipped"])
        if not answer["data"]:
            raise RuntimeError(f"nothing was recalled for {user}")
        if case.embeddings:
            direct.append(_embedding(case.embeddings, query))
        if number % 10 == 0:
            sent.look()
    return times, direct, skipped


_kept: dict[str, http.client.HTTPConnection] = {}


def _embedding(model: Embeddings, text: str) -> float:
    """Milliseconds, on a kept connection as the worker has one."""
    address = model.url.removeprefix("http://").removesuffix("/v1")
    connection = _kept.setdefault(address, http.client.HTTPConnection(address))
    raw = json.dumps({"model": model.model, "input": [text]}).encode()
    begun = time.perf_counter()
    connection.request("POST", "/v1/embeddings", raw, JSON)
    connection.getresponse().read()
    return (time.perf_counter() - begun) * 1e3


class Sent:
    """Bytes sent to a server, as the kernel counts them; looked at often enough that a connection may end in between."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._by_connection: dict[str, int] = {}
        self._before = self.look()

    def look(self) -> int:
        shown = subprocess.run(
            ["ss", "--tcp", "--info", "--no-header", "--oneline", "dst", f"127.0.0.1:{self._port}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for line in shown.splitlines():
            if sent := re.search(r"bytes_sent:(\d+)", line):
                self._by_connection[line.split()[3]] = int(sent[1])
        return sum(self._by_connection.values())

    def since(self) -> int:
        return self.look() - self._before
