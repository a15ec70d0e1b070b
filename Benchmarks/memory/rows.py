"""How many rows reach Milvus for each round of conversation: a curve over batch sizes and session lengths, failures and all."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from kit.worker import Worker
from milvus_relay import MilvusRelay
from pool import Client, Pool, summed, wait_until, workers
from pymilvus import MilvusClient
from servers import LITE, STANDALONE, MilvusServer, milvus_lite, milvus_standalone, model, standalone_redis
from tables import Cell, percent, table

CLIENTS = 4
Start = Callable[[ExitStack], MilvusServer]
SERVERS: dict[str, Start] = {
    "milvus-lite": lambda stack: milvus_lite(stack, LITE),
    "Milvus 2.3.5": lambda stack: milvus_standalone(stack, STANDALONE),
}


@dataclass(frozen=True)
class Plan:
    sessions: int  # of each length
    rounds: tuple[int, ...]
    lengths: tuple[int, ...] = (3, 10, 25, 60)
    refused: float = 0.1  # of the writes that are due
    forgotten: float = 0.1  # of the sessions

    @staticmethod
    def of(quick: bool) -> Plan:
        return Plan(2, (5, 10)) if quick else Plan(10, (5, 10, 20))

    def names(self) -> list[tuple[str, int]]:
        return [
            (f"length-{length}-{index}", length) for length in self.lengths for index in range(self.sessions)
        ]

    @property
    def turns(self) -> int:
        return sum(length for _, length in self.names())

    def forgotten_names(self) -> list[str]:
        count = max(1, round(self.sessions * self.forgotten))
        return [f"length-{length}-{index}" for length in self.lengths for index in range(count)]


@dataclass
class Outcome:
    rounds: int
    written: Counter[str]
    left: Counter[str]  # before sessions were forgotten
    covered: int  # turns of which a row tells
    refused: int
    archived: int
    retries: int
    upserts: int
    deleted: int
    left_at_last: int


def measure(quick: bool) -> str:
    plan = Plan.of(quick)
    text = (
        f"### Rows written to Milvus\n\n{plan.sessions} sessions of each length. Full batches are archived after their "
        "turn, what is left of a session by the sweep before its checkpoint's end. One write in ten is carried out and then "
        "answered as failed; one session in ten is forgotten afterwards. Rows are read from Milvus, requests counted on the "
        "way to it.\n"
    )
    # Side by side: most of the time is spent waiting for the sweep, and counts don't mind.
    with ThreadPoolExecutor(len(SERVERS)) as threads:
        return text + "".join(threads.map(partial(_on_server, plan), SERVERS.values()))


def _on_server(plan: Plan, start: Start) -> str:
    with ExitStack() as stack:
        server = start(stack)
        redis, url = standalone_redis(stack), model(stack)
        with ThreadPoolExecutor(len(plan.rounds)) as threads:
            outcomes = list(threads.map(partial(_run, plan, server, redis, url), plan.rounds))
    print(f"  rows: {server.name}", file=sys.stderr)
    return f"\n{server.name}:\n\n" + _report(plan, outcomes)


def _run(plan: Plan, server: MilvusServer, redis: int, url: str, rounds: int) -> Outcome:
    relay = MilvusRelay(server.port)
    # The shortest time a checkpoint may have: its fragments are due as soon as the sweep looks at them.
    stores = {"mode": "Standalone", "addresses": [f"127.0.0.1:{redis}"], "checkpointTTL": "1m"}
    pool = Pool(f"rows-{rounds}", url, stores, relay.port, rounds=rounds)
    due = sum(math.ceil(length / rounds) for _, length in plan.names())
    with workers(pool) as [worker]:
        relay.refuse_writes(round(due * plan.refused))
        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(partial(_talk, plan, worker), range(CLIENTS)))
        raw = MilvusClient(uri=f"http://127.0.0.1:{server.port}")
        wait_until(
            lambda: sum(_covered(row) for row in _rows(raw, pool)) >= plan.turns,
            180,
            lambda: f"{len(_rows(raw, pool))} rows do not hold every turn: {worker.tail()[-600:]}",
            step=1,
        )
        rows = _rows(raw, pool)
        client = Client(worker.port)
        for name in plan.forgotten_names():
            wait_until(partial(client.forget, name, name), 60, lambda: "a session is not forgotten")
        gone = set(plan.forgotten_names())
        if any(row["session_name"] in gone for row in _rows(raw, pool)):
            raise RuntimeError("rows of a forgotten session are left")
        archived, retries = (
            int(summed([worker], f"agentpool_{name}_total"))
            for name in ("batches_archived", "archive_retries")
        )
        last = len(_rows(raw, pool))
    relay.close()
    return Outcome(
        rounds,
        _by_length(relay.written),
        _by_length(Counter(str(row["session_name"]) for row in rows)),
        sum(map(_covered, rows)),
        relay.refused,
        archived,
        retries,
        relay.calls["Upsert"],
        relay.rows_deleted,
        last,
    )


def _talk(plan: Plan, worker: Worker, part: int) -> None:
    """Whole sessions, one after the other; each is over long before anybody sweeps it."""
    client = Client(worker.port)
    for name, length in plan.names()[part::CLIENTS]:
        for number in range(1, length + 1):
            client.turn(name, name, f"Question {number}: which of the parcels is still on its way?")


def _rows(raw: MilvusClient, pool: Pool) -> list[dict[str, int | str]]:
    if not raw.has_collection(pool.collection):
        return []
    fields = ["session_name", "first_turn", "last_turn"]
    found: list[dict[str, int | str]] = raw.query(
        pool.collection,
        filter="first_turn >= 0",
        output_fields=fields,
        limit=16_000,
        consistency_level="Strong",
    )
    return found


def _covered(row: dict[str, int | str]) -> int:
    return int(row["last_turn"]) - int(row["first_turn"]) + 1


def _by_length(sessions: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, count in sessions.items():
        found[name.split("-")[1]] += count
    return found


def _report(plan: Plan, outcomes: list[Outcome]) -> str:
    rows: list[list[Cell]] = []
    for length in plan.lengths:
        turns = plan.sessions * length
        row: list[Cell] = [f"{length}", turns]
        for o in outcomes:
            written, left = o.written[f"{length}"], o.left[f"{length}"]
            row += [left, percent(left / turns), percent(written / turns)]
        rows.append(row)
    totals: list[Cell] = ["all", plan.turns]
    for o in outcomes:
        left, written = sum(o.left.values()), sum(o.written.values())
        totals += [left, percent(left / plan.turns), percent(written / plan.turns)]
    heads = ["turns a session", "rows at one a round"]
    for o in outcomes:
        heads += [f"N = {o.rounds}: rows", "of one a round", "written, repeats too"]
    checks: list[list[Cell]] = [
        [
            f"N = {o.rounds}",
            o.upserts,
            sum(o.written.values()),
            o.refused,
            o.archived,
            o.retries,
            sum(o.left.values()),
            f"{o.covered:,} of {plan.turns:,}",
            o.deleted,
            o.left_at_last,
        ]
        for o in outcomes
    ]
    check_heads = ["", "upsert requests", "rows in them", "answered as failed", "batches archived (/metrics)"]
    check_heads += [
        "archive retries (/metrics)",
        "rows in Milvus",
        "turns in them",
        "rows deleted",
        "rows left",
    ]
    return table(heads, [*rows, totals]) + "\n" + table(check_heads, checks)
