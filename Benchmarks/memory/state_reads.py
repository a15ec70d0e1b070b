"""How many state reads L1 saves: commands and bytes a turn at Redis, with L1 and without, some turns at the wrong worker."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from kit.worker import Worker
from pool import Client, Pool, summed, wait_until, workers
from relay import PUSHED, Relays, Tally
from servers import LITE, Counters, Nodes, milvus_lite, model, redis_cluster
from tables import Cell, percent, table

# All else that is sent loads a session or its memories, so a command that is new to this list counts against L1.
WRITES = {f"script {name}" for name in ("commit", "claim", "record", "finish", "give back", "forget", "enter", "keep recalled", "take session", "add events")}
ROUNDS = {f"script {name}" for name in ("attend", "reschedule", "forget work", "complete forget")}
INDEXES = {"ZADD", "ZREM", "ZRANGE", "ZCOUNT", "ZCARD", "HSET", "HDEL", "HLEN", "HSCAN"}
CONNECTION = {"AUTH", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "HELLO", "INFO", "PING", "ROLE", "SUBSCRIBE", "WAIT"}
# What workers tell themselves and each other, and the look whether a node takes writes. `live turn` asks who has a session: it is what
# a release costs, which only the pool without L1 makes, so counting it would flatter L1.
BETWEEN_WORKERS = {"PUBLISH", "SET", PUSHED, "script report", "script live turn"}
NO_STATE_READS = WRITES | ROUNDS | INDEXES | CONNECTION | BETWEEN_WORKERS | {"scripts not yet known to the node"}
CLIENTS = 8


@dataclass(frozen=True)
class Plan:
    sessions: int
    lengths: tuple[int, ...]
    idle_seconds: float
    wrong: float = 0.05

    @staticmethod
    def of(quick: bool) -> Plan:
        return Plan(12, (5, 10), 6) if quick else Plan(100, (5, 10, 30), 15)


@dataclass
class Reading:
    """What has been counted up to a moment."""

    at: float
    redis: Counters
    sent: dict[str, Tally]
    tiers: dict[str, float] = field(default_factory=dict)

    def since(self, earlier: Reading) -> Reading:
        sent = {n: t.minus(earlier.sent.get(n, Tally())) for n, t in self.sent.items()}
        tiers = {n: v - earlier.tiers.get(n, 0) for n, v in self.tiers.items()}
        return Reading(self.at - earlier.at, self.redis.minus(earlier.redis), sent, tiers)

    def state_reads(self) -> Tally:
        reads = [t for name, t in self.sent.items() if name not in NO_STATE_READS]
        return Tally(sum(t.calls for t in reads), sum(t.sent for t in reads), sum(t.answered for t in reads))


@dataclass
class Stores:
    nodes: Nodes
    relays: Relays
    address: str
    milvus: int
    model: str

    def reading(self, started: list[Worker]) -> Reading:
        # Redis first: what its own counters miss of the relays' is our asking, which is taken out below.
        names = [f'agentpool_sessions_opened_total{{tier="{tier}"}}' for tier in ("l1", "l2", "new")]
        names += ["agentpool_recalls_total", "agentpool_stale_commits_total"]
        redis = self.nodes.counters()
        return Reading(time.monotonic(), redis, self.relays.reading(), {n: summed(started, n) for n in names})


def measure(quick: bool) -> str:
    plan = Plan.of(quick)
    # Each on stores of its own, so that both may run at the same time: counts don't mind.
    with ThreadPoolExecutor(2) as threads:
        modes = (True, False)
        results = dict(zip(modes, threads.map(partial(_on_stores, plan), modes), strict=True))
    return _report(plan, results)


def _on_stores(plan: Plan, with_l1: bool) -> dict[int, Reading]:
    with ExitStack() as stack:
        ports = redis_cluster(stack)
        nodes, relays = Nodes(ports), Relays()
        # Clients are told the relays' ports, so all that they say to a node goes through its relay.
        fronts = {port: relays.before(port) for port in ports}
        for connection, port in zip(nodes.connections, ports, strict=True):
            connection.config_set("cluster-announce-port", fronts[port])

        def announced() -> set[int]:
            slots = [c.execute_command("CLUSTER", "SLOTS") for c in nodes.connections]
            return {server[1] for ranges in slots for _, _, *servers in ranges for server in servers}

        wait_until(lambda: announced() == set(fronts.values()), 30, lambda: "the nodes announce other ports")
        milvus = milvus_lite(stack, LITE).port
        address = f"127.0.0.1:{fronts[ports[0]]}"
        return _run(plan, Stores(nodes, relays, address, milvus, model(stack)), with_l1)


def _run(plan: Plan, all_stores: Stores, with_l1: bool) -> dict[int, Reading]:
    """Turns in rounds over all sessions; what was counted from the first turn on, by the rounds so far."""
    memory = {} if with_l1 else {"session": {"idleTTL": "1s", "maxBytes": "1Mi"}}
    pool = Pool(
        f"reads-{'with' if with_l1 else 'without'}-l1",
        all_stores.model,
        {"mode": "Cluster", "addresses": [all_stores.address]},
        all_stores.milvus,
        memory=memory,
    )
    found: dict[int, Reading] = {}
    with workers(pool, 2) as pair:
        time.sleep(3)
        idle = _idle(plan, all_stores, pair)
        chance = random.Random(7)
        begun = all_stores.reading(pair)
        for number in range(1, max(plan.lengths) + 1):
            places = [(index + (chance.random() < plan.wrong)) % 2 for index in range(plan.sessions)]
            if not with_l1:
                time.sleep(2.5)  # past the time that L1 keeps what is unused
            with ThreadPoolExecutor(CLIENTS) as threads:
                turns = partial(_turns, pair, places, number, with_l1)
                list(threads.map(turns, range(CLIENTS)))
            if number in plan.lengths:
                _settle(pair, plan.sessions * (number // 10))
                found[number] = _less(all_stores.reading(pair).since(begun), idle)
                print(f"  {pool.name}: {number} turns a session", file=sys.stderr)
    return found


def _turns(pair: list[Worker], places: list[int], number: int, with_l1: bool, part: int) -> None:
    """One turn of every eighth session, in its worker or the wrong one."""
    clients = [Client(worker.port) for worker in pair]
    for index in range(part, len(places), CLIENTS):
        session, client = f"session-{index}", clients[places[index]]
        if not with_l1:
            client.release(session, f"user-{index}")
        text = f"Question {number} of client {index}: which of the parcels is still on its way?"
        client.turn(session, f"user-{index}", text)


def _settle(pair: list[Worker], batches: int) -> None:
    """Until what the turns left to do is done."""
    wait_until(
        lambda: summed(pair, "agentpool_batches_archived_total") >= batches,
        90,
        lambda: f"{summed(pair, 'agentpool_batches_archived_total'):.0f} of {batches} batches archived",
    )
    time.sleep(1)


def _idle(plan: Plan, all_stores: Stores, pair: list[Worker]) -> Reading:
    """What a second costs while nobody asks: the workers' own rounds, cluster and replication."""
    before = all_stores.reading(pair)
    time.sleep(plan.idle_seconds)
    rest = all_stores.reading(pair).since(before)
    # Two readings in a row differ by what reading costs.
    first = all_stores.reading(pair)
    cost = all_stores.reading(pair).since(first).redis
    rest.redis = rest.redis.minus(cost)
    return rest


def _less(counted: Reading, idle: Reading) -> Reading:
    share = counted.at / idle.at
    redis = Counters(
        *(round(getattr(counted.redis, n) - getattr(idle.redis, n) * share) for n in vars(idle.redis))
    )
    sent = {
        name: Tally(
            *(round(getattr(t, n) - getattr(idle.sent.get(name, Tally()), n) * share) for n in vars(t))
        )
        for name, t in counted.sent.items()
    }
    return Reading(counted.at, redis, sent, counted.tiers)


def _report(plan: Plan, results: dict[bool, dict[int, Reading]]) -> str:
    text = (
        f"### State reads\n\n{plan.sessions} sessions, each with a user of its own, on a Redis Cluster of three masters "
        "and three replicas; every turn asks for a recall, with another question each time; "
        f"{percent(plan.wrong)} of the turns at the wrong one of two workers. Off: the session released before each turn, "
        "and more than the shortest `idleTTL` between two turns.\n\n"
    )
    rows: list[list[Cell]] = []
    for length in plan.lengths:
        for with_l1 in (True, False):
            rows.append(_row(plan, length, with_l1, results[with_l1][length]))
        ours, theirs = (results[mode][length].state_reads() for mode in (True, False))
        gone = [percent(1 - ours.calls / theirs.calls), percent(1 - ours.bytes / theirs.bytes)]
        rows.append([f"{length}", "**gone**", "", *gone, *[""] * 6])
    heads = [
        "turns a session",
        "L1",
        "opened from L1, L2, new (recalls; stale commits)",
        "state reads a turn",
    ]
    heads += [
        "their bytes",
        "commands sent a turn",
        "commands with those in scripts",
        "bytes from and to clients",
    ]
    heads += ["by the relays", "replication, both ends", "state read commands"]
    return text + table(heads, rows) + "\n" + _details(plan, results)


def _row(plan: Plan, length: int, with_l1: bool, r: Reading) -> list[Cell]:
    turns = plan.sessions * length
    reads, all_sent = r.state_reads(), list(r.sent.values())
    opened = ", ".join(f"{r.tiers[n]:,.0f}" for n in r.tiers if "opened" in n)
    opened += f" ({r.tiers['agentpool_recalls_total']:,.0f}; {r.tiers['agentpool_stale_commits_total']:,.0f})"
    return [
        f"{length}",
        "on" if with_l1 else "off",
        opened,
        reads.calls / turns,
        reads.bytes / turns,
        sum(t.calls for t in all_sent) / turns,
        r.redis.commands / turns,
        (r.redis.received + r.redis.sent) / turns,
        sum(t.bytes for t in all_sent) / turns,
        r.redis.replicated / turns,
        reads.calls,
    ]


def _details(plan: Plan, results: dict[bool, dict[int, Reading]]) -> str:
    """Every command that was sent in the longest sessions, so that nothing hides behind a sum."""
    length = max(plan.lengths)
    turns = plan.sessions * length
    on, off = (results[mode][length].sent for mode in (True, False))
    rows = [
        [
            name,
            "yes" if name not in NO_STATE_READS else "",
            *(
                value
                for sent in (on, off)
                for value in (sent.get(name, Tally()).calls / turns, sent.get(name, Tally()).bytes / turns)
            ),
        ]
        for name in _by_bytes(on, off)
    ]
    heads = ["sent", "state read", "L1 on: a turn", "bytes", "L1 off: a turn", "bytes"]
    return f"What was sent at {length} turns a session, idle rounds subtracted:\n\n" + table(heads, rows)


def _by_bytes(*readings: dict[str, Tally]) -> Iterable[str]:
    names = {name for sent in readings for name in sent}
    return sorted(names, key=lambda n: -sum(sent.get(n, Tally()).bytes for sent in readings))
