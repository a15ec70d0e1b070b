"""Runs every measurement in one go, rounds interleaved between the servers, and prints one table."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path

import measures
import processes
import report
from measures import Load, Sample
from processes import Server

Samples = dict[str, list[Sample]]


class Plan:
    """How much is run; `quick` shows that everything works and measures nothing."""

    def __init__(self, quick: bool) -> None:
        self.rounds = 1 if quick else 5
        self.first_token = [Load(1, 20 if quick else 300), Load(8, 5 if quick else 100)]
        self.cpu = Load(16, 4 if quick else 50)
        self.full = Load(64, 5 if quick else 40)
        self.streams = (100, 600) if quick else (1_000, 10_000)
        # Turns of history, sessions, measured turns of each.
        long = (100,) if quick else (300, 1_000, 3_000)
        self.histories = [(10, 20, 10), *((history, 4, 50) for history in long)]


def first_token_rounds(plan: Plan) -> Samples:
    """Words 1 ms apart, for many turns in little time: how long the first one takes, with the model directly beside it."""
    samples: Samples = {}
    with ExitStack() as stack:
        model, servers = start_all(stack, gap_microseconds=1_000)
        for turn in range(plan.rounds):
            for load in plan.first_token:
                for server in (model, *servers):
                    keep(samples, f"first token, {load.connections} clients", server, load, turn)
    return samples


def cpu_rounds(plan: Plan) -> Samples:
    """Words 5 ms apart, as a model sends them: the CPU time of a turn whose every word is an event of its own."""
    samples: Samples = {}
    with ExitStack() as stack:
        _, servers = start_all(stack, gap_microseconds=5_000)
        for turn in range(plan.rounds):
            for server in servers:
                keep(samples, "paced", server, plan.cpu, turn)
    return samples


def saturated_rounds(plan: Plan) -> Samples:
    """Words at once and 64 clients: requests a second. The model asked directly is the ceiling of the set-up."""
    samples: Samples = {}
    whole = Load(plan.full.connections, plan.full.turns_each, streams=False)
    with ExitStack() as stack:
        model, servers = start_all(stack, gap_microseconds=0)
        for turn in range(plan.rounds):
            for server in (model, *servers):
                keep(samples, "streamed", server, plan.full, turn)
                keep(samples, "whole", server, whole, turn)
    return samples


def start_all(stack: ExitStack, gap_microseconds: int) -> tuple[Server, list[Server]]:
    """The model and, warm, those who talk to it."""
    model = processes.standin(stack, gap_microseconds)
    servers = [processes.agentpool(stack, model), processes.peer(stack, model)]
    for server in (model, *servers):
        measures.generate(server, Load(16, 4), "warm")
    return model, servers


def keep(samples: Samples, what: str, server: Server, load: Load, turn: int) -> None:
    """One round of one load, with sessions of its own."""
    prefix = f"{what.split(',')[0].replace(' ', '-')}-{load.connections}-round-{turn}"
    sample = measures.with_cpu(server, load, prefix)
    samples.setdefault(f"{server.name}: {what}", []).append(sample)
    print(f"  round {turn + 1}: {server.name}, {what}", file=sys.stderr)


def idle_streams(plan: Plan) -> dict[str, float]:
    with ExitStack() as stack:
        model = processes.standin(stack, gap_microseconds=0)
        servers = [processes.agentpool(stack, model), processes.peer(stack, model)]
        for server in servers:
            measures.generate(server, Load(16, 20), "warm")
        return {s.name: measures.idle_stream_bytes(s, *plan.streams) for s in servers}


def allocations(plan: Plan) -> dict[str, list[Sample]]:
    with ExitStack() as stack:
        model = processes.standin(stack, gap_microseconds=0)
        servers = [start(stack, model, True) for start in (processes.agentpool, processes.peer)]
        for server in servers:
            measures.generate(server, Load(16, 20), "warm")
        return {
            s.name: [measures.allocations_per_turn(s, *h) for h in plan.histories]
            for s in servers
        }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="a smoke run: one small round, no result kept")
    options.add_argument(
        "--json", type=Path, help="where the figures go (default: results.json beside this file)"
    )
    chosen = options.parse_args()
    plan = Plan(chosen.quick)
    processes.compile_tools()
    results = {
        "quick": chosen.quick,
        "machine": report.machine()
        | {"peer": report.versions("fastapi", "uvicorn", "uvloop", "httptools", "httpx")},
        "first_token": first_token_rounds(plan),
        "cpu": cpu_rounds(plan),
        "saturated": saturated_rounds(plan),
        "idle_streams": {"from_to": plan.streams, "bytes_each": idle_streams(plan)},
        "allocations": allocations(plan),
    }
    target = chosen.json or (
        processes.BUILD / "quick.json" if chosen.quick else processes.HERE / "results.json"
    )
    target.write_text(json.dumps(results, indent=1) + "\n")
    table = report.table(results)
    target.with_suffix(".md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()
