"""The worker's Redis client beside redis-benchmark and redis-py, in one run on one server: small values, pipelines of sixteen."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median

from processes import ROOT
from redis import ConnectionPool, Redis
from redis._parsers import _HiredisParser, _RESP2Parser
from servers import standalone_redis
from tables import Cell, table

PROGRAM = ROOT / ".build" / "release" / "redis-throughput"
PIPELINE, VALUE, KEYS = 16, 100, 100_000
COMMANDS = ("SET", "GET")
Rates = dict[str, float]


@dataclass(frozen=True)
class Plan:
    rounds: int
    commands: int
    few: int = 5  # of these a Python client is given one

    @staticmethod
    def of(quick: bool) -> Plan:
        return Plan(1, 50_000) if quick else Plan(3, 400_000)


def measure(quick: bool) -> str:
    plan = Plan.of(quick)
    program = os.environ.get("REDIS_THROUGHPUT") or _built()
    with ExitStack() as stack:
        port = standalone_redis(stack)
        # What an append-only file costs is the server's, the same for all.
        runs: dict[str, Callable[[], Rates]] = {}
        for callers in (2, 50):
            who = f"{callers} connections"
            runs[f"redis-benchmark, {who}"] = partial(_redis_benchmark, plan, port, callers)
        for callers in (2, 50):
            who = f"{callers} callers on two connections"
            runs[f"AgentPool's client, {who}"] = partial(_swift, plan, program, port, callers)
        for name, parser in (("redis-py", _RESP2Parser), ("redis-py with hiredis", _HiredisParser)):
            runs[f"{name}, 1 connection"] = partial(_redis_py, plan, port, parser)
        found: dict[str, list[Rates]] = {name: [] for name in runs}
        for number in range(plan.rounds):
            for name, run in runs.items():
                found[name].append(run())
            print(f"  redis: round {number + 1}", file=sys.stderr)
    return _report(plan, found)


def _built() -> str:
    if not PROGRAM.exists():
        subprocess.check_call(["swift", "build", "-c", "release", "--product", PROGRAM.name], cwd=ROOT)
    return str(PROGRAM)


def _redis_benchmark(plan: Plan, port: int, connections: int) -> Rates:
    command = [
        "redis-benchmark",
        "-p",
        str(port),
        "-t",
        "set,get",
        "-n",
        str(plan.commands),
        "-P",
        str(PIPELINE),
    ]
    command += ["-d", str(VALUE), "-c", str(connections), "-r", str(KEYS), "--csv"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    cells = [line.replace('"', "").split(",") for line in lines]
    return {cell[0]: float(cell[1]) for cell in cells if cell[0] in COMMANDS}


def _swift(plan: Plan, program: str, port: int, callers: int) -> Rates:
    numbers = [port, callers, plan.commands, VALUE, PIPELINE]
    shown = subprocess.run([program, *map(str, numbers)], capture_output=True, text=True, check=True).stdout
    pairs = [line.split() for line in shown.splitlines()]
    return {name: float(rate) for name, rate in pairs}


def _redis_py(plan: Plan, port: int, parser: type) -> Rates:
    client = Redis(connection_pool=ConnectionPool(host="127.0.0.1", port=port, parser_class=parser))
    value, rounds = b"x" * VALUE, plan.commands // plan.few // PIPELINE
    rates: Rates = {}
    for command in COMMANDS:
        begun = time.perf_counter()
        for _ in range(rounds):
            pipe = client.pipeline(transaction=False)
            for _ in range(PIPELINE):
                key = f"key:{random.randrange(KEYS):012}"
                pipe.set(key, value) if command == "SET" else pipe.get(key)
            pipe.execute()
        rates[command] = rounds * PIPELINE / (time.perf_counter() - begun)
    client.close()
    return rates


def _report(plan: Plan, found: dict[str, list[Rates]]) -> str:
    middle = {
        name: {command: median(rates[command] for rates in rounds) for command in COMMANDS}
        for name, rounds in found.items()
    }
    best = {
        command: max(middle[name][command] for name in middle if "benchmark" in name) for command in COMMANDS
    }
    text = (
        f"### Redis client, pipelines of {PIPELINE}, values of {VALUE} bytes, {KEYS:,} keys\n\n"
        f"Commands a second, median of {plan.rounds} rounds of {plan.commands:,} commands (redis-py: a fifth). Server and "
        "clients share the cores.\n\n"
    )
    rows: list[list[Cell]] = [
        [name, *(cell for c in COMMANDS for cell in (rates[c], rates[c] / best[c]))]
        for name, rates in middle.items()
    ]
    heads = [""]
    for command in COMMANDS:
        heads += [command, "of redis-benchmark's best"]
    return text + table(heads, rows)
