"""Measures the memory on real stores and prints a page of Markdown tables; names on the command line choose what is measured."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import affinity
import locomo
import processes
import recall
import report
import resume
import rows
import state_reads
import throughput

MEASUREMENTS = {
    "reads": state_reads.measure,
    "affinity": affinity.measure,
    "resume": resume.measure,
    "rows": rows.measure,
    "recall": recall.measure,
    "redis": throughput.measure,
}


def main() -> None:
    options = argparse.ArgumentParser(prog="Benchmarks/run memory", description=__doc__)
    options.add_argument("--quick", action="store_true", help="a smoke run; its figures mean nothing")
    options.add_argument(
        "--locomo", type=Path, metavar="FILE", help="locomo10.json: measure on it too, or only"
    )
    options.add_argument(
        "--held-out", action="store_true", help="on the conversations that nothing was tuned on"
    )
    options.add_argument(
        "what", nargs="*", help=f"of {', '.join(MEASUREMENTS)}; default: all, or LoCoMo alone"
    )
    chosen = options.parse_args()
    if unknown := set(chosen.what) - set(MEASUREMENTS):
        options.error(f"nothing is called {', '.join(sorted(unknown))}")
    # Who is told to end ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    processes.compile_tools()
    for name, value in report.machine().items():
        print(f"- {name}: {value}")
    print("- clients: " + report.versions("redis", "hiredis", "pymilvus", "numpy"))
    print("- a quick run: its figures mean nothing\n" if chosen.quick else "", flush=True)
    for name in chosen.what or ([] if chosen.locomo else MEASUREMENTS):
        _print(name, partial(MEASUREMENTS[name], chosen.quick))
    if chosen.locomo:
        _print("locomo", partial(locomo.measure, chosen.locomo, chosen.quick, chosen.held_out))


def _print(name: str, run: Callable[[], str]) -> None:
    begun = time.monotonic()
    print(run(), flush=True)
    print(f"  {name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
