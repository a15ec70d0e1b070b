"""How long a session takes to come back from L2 while Redis holds many: the first byte of cold turns beside that of warm ones."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from pool import JSON, Client, Pool, summed, wait_until, workers
from redis import Redis
from redis.cluster import ClusterNode, RedisCluster
from servers import LITE, milvus_lite, model, redis_cluster
from tables import Cell, quantile, table

POOL = "resume"
# Greetings and thanks ask for no recall, so the session is all that such a turn reads.
GREETING = "Hello, thanks!"


@dataclass(frozen=True)
class Plan:
    sessions: int
    samples: int
    turns: tuple[int, ...] = (5, 25)

    @staticmethod
    def of(quick: bool) -> Plan:
        return Plan(2_000, 100) if quick else Plan(100_000, 2_000)


def digest(*parts: str) -> str:
    """The product's digest of a list of texts: half a SHA-256 over them, each after its length."""
    whole = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        whole.update(len(raw).to_bytes(8, "little") + raw)
    return whole.hexdigest()[:32]


@dataclass(frozen=True)
class Place:
    """A session of a user of its own, as the client and as the keys name it."""

    session: str
    user: str

    @property
    def principal(self) -> str:
        return digest("principal", f"default/{POOL}", "anonymous", "user", self.user)

    @property
    def key(self) -> str:
        return digest("session", f"default/{POOL}", "anonymous", "user", self.user, self.session)


def measure(quick: bool) -> str:
    plan = Plan.of(quick)
    with ExitStack() as stack:
        ports = redis_cluster(stack)
        pool = Pool(
            POOL,
            model(stack),
            {"mode": "Cluster", "addresses": [f"127.0.0.1:{ports[0]}"]},
            milvus_lite(stack, LITE).port,
        )
        cluster = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", ports[0])])
        with workers(pool) as [worker]:
            templates = _templates(plan, Client(worker.port), cluster)
            batches = sum(turns // pool.rounds for turns in plan.turns)
            archived = "agentpool_batches_archived_total"
            wait_until(lambda: summed([worker], archived) >= batches, 90, lambda: "batches are not archived")
            begun = time.monotonic()
            places = _fill(plan, cluster, templates)
            held = sum(Redis(port=port).dbsize() for port in ports)
            seconds = time.monotonic() - begun
            print(f"  {plan.sessions:,} sessions ({held:,} keys) in {seconds:.0f} s", file=sys.stderr)
            rows = _time(plan, worker.port, places)
    text = (
        f"### Resume from L2, {plan.sessions:,} sessions in a Redis Cluster of three masters and three replicas\n\n"
        f"Half of them have {plan.turns[0]} turns, half {plan.turns[1]}. One client on a kept connection; streamed turns that "
        f"ask for no recall, in {plan.samples:,} sessions that L1 did not have, each asked twice in a row.\n\n"
    )
    return text + table(["time to the answer's first byte, ms", "p50", "p99", "max"], rows)


def _templates(plan: Plan, client: Client, cluster: RedisCluster) -> list[Place]:
    """Sessions that the worker itself has written, under the keys that we expect."""
    templates = [Place(f"template-{turns}", f"template-user-{turns}") for turns in plan.turns]
    for place, turns in zip(templates, plan.turns, strict=True):
        for number in range(turns):
            client.turn(place.session, place.user, f"Question {number}: which parcel is still on its way?")
    for place in templates:
        if not _keys(cluster, place):
            raise RuntimeError("the product names its keys in another way than this program")
    return templates


def _keys(cluster: RedisCluster, place: Place) -> list[bytes]:
    slot = cluster.keyslot(f"{{{place.principal}}}")
    found = cluster.get_node_from_key(f"{{{place.principal}}}").redis_connection
    keys: list[bytes] = found.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    return [key for key in keys if place.principal.encode() in key]


def _fill(plan: Plan, cluster: RedisCluster, templates: list[Place]) -> list[Place]:
    """Copies the templates' keys, byte for byte, under the digests of other users' sessions."""
    originals = [
        [(key, cluster.dump(key), cluster.pttl(key)) for key in _keys(cluster, place)] for place in templates
    ]
    places = [Place(f"session-{index}", f"user-{index}") for index in range(plan.sessions)]
    # A pipeline for each master: the client's own of a cluster asks for the slot of each key in turn.
    pipes: dict[str, Any] = {}
    for index, place in enumerate(places):
        node = cluster.get_node_from_key(f"{{{place.principal}}}")
        pipe = pipes.setdefault(node.name, node.redis_connection.pipeline(transaction=False))
        template = templates[index % len(templates)]
        for key, value, left in originals[index % len(templates)]:
            name = key.decode().replace(template.principal, place.principal).replace(template.key, place.key)
            if name.endswith(":open"):
                pipe.zadd(name, {place.key: time.time() * 1000})
                pipe.pexpire(name, left)
            else:
                pipe.restore(name, left, value)
            if ":session:" in name:
                pipe.hset(name, "n", place.session)
        if len(pipe) > 2_000:
            pipe.execute()
    for pipe in pipes.values():
        pipe.execute()
    return places


def _time(plan: Plan, port: int, places: list[Place]) -> list[list[Cell]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    chosen = random.Random(11).sample(places, plan.samples + 50)
    for place in chosen[plan.samples :]:
        _first_byte(connection, place, "l2")
    cold: list[float] = []
    warm: list[float] = []
    known: list[float] = []
    floor: list[float] = []
    for place in chosen[: plan.samples]:
        cold.append(_first_byte(connection, place, "l2"))
        warm.append(_first_byte(connection, place, "l1"))
        known.append(_plain(connection, f"/v1/sessions/{place.session}", place.user))
        floor.append(_plain(connection, "/v1/models", place.user))
    names = ["a turn, session in L2", "a turn, session in L1"]
    rows = [_row(name, times) for name, times in zip(names, (cold, warm), strict=True)]
    rows.append(_less("**resume: the first less the second**", cold, warm))
    rows += [
        _row("GET of the session (always reads its checkpoint in L2)", known),
        _row("GET /v1/models", floor),
    ]
    rows.append(_less("**read of the checkpoint: the first less the second**", known, floor))
    pairs = [a - b for a, b in zip(cold, warm, strict=True)]
    rows.append(_row("resume of one session, cold less warm (noise of both in it)", pairs))
    return rows


def _row(name: str, times: list[float]) -> list[Cell]:
    return [name, quantile(times, 0.5), quantile(times, 0.99), max(times)]


def _less(name: str, more: list[float], less: list[float]) -> list[Cell]:
    return [name, *(quantile(more, share) - quantile(less, share) for share in (0.5, 0.99)), ""]


def _first_byte(connection: http.client.HTTPConnection, place: Place, tier: str) -> float:
    body = {"model": "assistant", "stream": True, "messages": [{"role": "user", "content": GREETING}]}
    raw = json.dumps(body).encode()
    headers = JSON | {"X-Session-Id": place.session, "X-AgentPool-User": place.user}
    begun = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", raw, headers)
    response = connection.getresponse()
    response.read(1)
    taken = (time.perf_counter() - begun) * 1e3
    response.read()
    if response.getheader("X-Memory-Tier") != tier:
        raise RuntimeError(f"{place.session} came from {response.getheader('X-Memory-Tier')}, not {tier}")
    return taken


def _plain(connection: http.client.HTTPConnection, path: str, user: str) -> float:
    begun = time.perf_counter()
    connection.request("GET", path, headers={"X-AgentPool-User": user})
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise RuntimeError(f"{path}: {response.status}")
    return (time.perf_counter() - begun) * 1e3
