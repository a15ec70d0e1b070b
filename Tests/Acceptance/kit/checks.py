"""Counts what holds, and stops at the first thing that does not."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO


# Seconds that one program may take; the longest takes some four minutes, its full form two hours.
PROGRAM_LIMIT = 7200 if "--full" in sys.argv else 900


class CheckFailed(Exception):
    """A sentence that should hold does not."""


class Checks:
    """The tally of a run."""

    def __init__(self, kills: int = 200, out: TextIO | None = None) -> None:
        self.passed = 0
        self.failed = 0
        self.kills = kills
        self._out = out

    def note(self, line: str) -> None:
        """Prints what is worth knowing and not checked."""
        print(f"  {line}", file=self._out, flush=True)

    def holds(self, sentence: str, truth: bool, seen: object = None) -> None:
        """Prints the sentence with what was seen; raises `CheckFailed` where it is not true."""
        shown = "" if seen is None else f" ({seen})"
        self.note(f"{'ok' if truth else 'FAILED'}: {sentence}{shown}")
        if not truth:
            raise CheckFailed(sentence)
        self.passed += 1

    def equal(self, sentence: str, seen: object, expected: object) -> None:
        self.holds(
            sentence, seen == expected, seen if seen == expected else f"{seen!r}, expected {expected!r}"
        )


Program = Callable[[Checks], None]


def eventually(condition: Callable[[], bool], seconds: float, step: float = 0.02) -> bool:
    """Waits for something that another thread or process brings about; false when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True


def run(programs: Mapping[str, Program], checks: Checks) -> int:
    """Runs programs until the first failure and prints the closing line; the exit code.

    On a continuous-integration machine (CI is set) a program that fails is run once more, and that is said: such machines
    are shared and can stall for seconds. What fails twice is wrong.
    """
    logging.disable(logging.INFO)  # the requests of the SDKs are no news
    for name, program in programs.items():
        failed = _fails(name, program, checks)
        if failed and os.environ.get("CI"):
            print(f"\n{name} failed; it is run ONCE MORE\n", flush=True)
            failed = _fails(name, program, checks)
        if failed:
            checks.failed += 1
            break
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


def _fails(name: str, program: Program, checks: Checks) -> bool:
    print(f"{name}:", flush=True)
    begun = time.monotonic()
    try:
        with _limit(PROGRAM_LIMIT):
            program(checks)
    except Exception as error:
        if not isinstance(error, CheckFailed):
            traceback.print_exc(file=sys.stdout)
        return True
    print(f"  {time.monotonic() - begun:.1f} s", flush=True)
    return False


@contextlib.contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """Raises in the main thread, with every thread's place printed, where the body takes longer."""

    def late(*_: object) -> None:
        faulthandler.dump_traceback(file=sys.__stdout__)
        raise CheckFailed(f"it takes longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def side_by_side(programs: Mapping[str, Program], checks: Checks) -> None:
    """Runs programs at the same time, prints each one's lines together, and fails if any of them did."""
    outputs = {name: io.StringIO() for name in programs}
    tallies = {name: Checks(checks.kills, outputs[name]) for name in programs}

    def run_one(name: str) -> None:
        begun = time.monotonic()
        try:
            programs[name](tallies[name])
        except Exception as error:
            tallies[name].failed += 1
            if not isinstance(error, CheckFailed):
                traceback.print_exc(file=outputs[name])
        tallies[name].note(f"{time.monotonic() - begun:.1f} s")

    threads = [threading.Thread(target=run_one, args=(name,)) for name in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in programs:
        print(f" {name}:\n{outputs[name].getvalue()}", end="", flush=True)
        checks.passed += tallies[name].passed
    failed = [name for name in programs if tallies[name].failed]
    if failed:
        raise CheckFailed(f"failed: {', '.join(failed)}")


def alone(program: Program, description: str | None) -> None:
    """The entry of a program that is run by itself."""
    argparse.ArgumentParser(description=description).parse_args()
    sys.exit(run({Path(sys.argv[0]).stem: program}, Checks()))
