"""A worker with many idle event streams is ended: each is told to come again and closed properly, a few at a time."""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from kit.checks import Checks, run
from kit.idle_streams import IdleStreams, Stream
from kit.model import ModelServer
from kit.worker import Worker, manifest

STREAMS = 1500
DRAIN = 60  # the pool's drain.timeout, in seconds
RATE = 1000  # streams that are told in a second, as long as drain.timeout allows


def most_in_a_second(times: list[float]) -> int:
    """Over every window of a second, wherever it begins."""
    most = first = 0
    for last, end in enumerate(times):
        while times[first] <= end - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def check(checks: Checks, count: int = STREAMS) -> None:
    model = ModelServer()
    text = manifest(model, drain={"timeout": f"{DRAIN}s"}, concurrency={"turnTimeout": f"{DRAIN}s"})
    with Worker(text) as worker:
        begun = time.monotonic()
        with IdleStreams(worker.port, count) as idle:
            print(f"  {count} streams opened in {time.monotonic() - begun:.1f} s", flush=True)
            asked = time.monotonic()
            worker.terminate()
            streams = idle.ends(DRAIN + 30)
            code = worker.wait(30)
            print(f"  ended after {time.monotonic() - asked:.1f} s", flush=True)
    model.close()
    told_and_closed(checks, streams, asked)
    checks.equal("the worker's exit code is 0", code, 0)


def told_and_closed(checks: Checks, streams: list[Stream], asked: float) -> None:
    told = sorted(stream.told - asked for stream in streams if stream.told is not None)
    if told:
        print(
            f"  told after {told[0]:.2f} to {told[-1]:.2f} s, median {statistics.median(told):.2f} s; "
            f"{most_in_a_second(told)} of {len(streams)} in one second",
            flush=True,
        )
    checks.equal("every stream is told to reconnect", len(streams) - len(told), 0)
    manners = {manner: sum(s.manner == manner for s in streams) for manner in {s.manner for s in streams}}
    checks.equal("and then ends properly", manners, {"FIN": len(streams)})
    spread = told[-1] - told[0] if told else 0
    # A slow machine only spreads them more.
    checks.holds("not all at once", spread > max(1, len(streams) / RATE) / 2, f"over {spread:.2f} s")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--streams", type=int, default=STREAMS)
    chosen = options.parse_args()
    sys.exit(run({"drain_streams": lambda checks: check(checks, chosen.streams)}, Checks()))


if __name__ == "__main__":
    main()
