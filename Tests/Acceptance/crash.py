"""Kills the worker at random moments of conversations: no acknowledged turn may be lost, none doubled, no memory missing."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time

from kit.checks import Checks, eventually, run
from kit.conversation import Conversation, Styles
from kit.killer import KillCount, Killer, quotas
from kit.ledger import losses
from kit.model import Ask, ModelServer, Reply, echo
from kit.store import Rows, read, read_remains
from kit.worker import Worker, manifest

SESSIONS: tuple[Styles, ...] = ("stream", "native", "stream", "whole")
ROUNDS = 5
SEED = 20240607


def paced(seed: int) -> ModelServer:
    """A model that takes its time: replies of a dozen words over some 60 ms, summaries over some 100 ms."""
    rng = random.Random(seed)

    def reply(ask: Ask) -> Reply:
        answer = echo(ask)
        if ask.kind == "summary":
            answer.gap = 0.1 / max(1, len(answer.words))
        else:
            answer.gap = rng.uniform(0.002, 0.008)
        return answer

    return ModelServer(reply)


def converse_under_kills(
    kills: int, seed: int, program: str | None
) -> tuple[list[Conversation], Rows, KillCount]:
    """Conversations of several sessions at once while the worker is killed; then all that is pending is let finish."""
    model = paced(seed)
    text = manifest(model, memory={"buffer": {"rounds": ROUNDS}})
    with Worker(text, program) as worker:
        talks = [Conversation(f"crash-{i}", style, worker.port) for i, style in enumerate(SESSIONS)]
        killer = Killer(worker, model, talks, random.Random(seed))
        for talk in talks:
            talk.start()
        count = killer.kill_until(kills)
        for talk in talks:
            talk.finish()
        for talk in talks:
            talk.join()
        eventually(lambda: memories_complete(read(worker.data)), seconds=30, step=0.2)
        worker.terminate()
        worker.wait(30)
        rows = read_remains(worker.data)
    model.close()
    return talks, rows, count


def converse_undisturbed(turns: dict[str, int], seed: int) -> Rows:
    """As many turns of the same sessions, with nobody disturbing."""
    model = ModelServer()
    with Worker(manifest(model, memory={"buffer": {"rounds": ROUNDS}})) as worker:
        talks = [
            Conversation(f"crash-{i}", style, worker.port, limit=turns[f"crash-{i}"])
            for i, style in enumerate(SESSIONS)
        ]
        for talk in talks:
            talk.start()
        for talk in talks:
            talk.join()
        eventually(lambda: memories_complete(read(worker.data)), seconds=30, step=0.2)
        worker.terminate()
        worker.wait(30)
        rows = read_remains(worker.data)
    model.close()
    return rows


def memories_complete(rows: Rows) -> bool:
    return all(len(rows.memories.get(s, [])) == len(t) // ROUNDS for s, t in rows.turns.items())


def check(checks: Checks) -> None:
    """The promise: nothing lost, nothing doubled, as many memories as an undisturbed run."""
    kills = checks.kills
    print(f"  seed {SEED}, {kills} kills, {len(SESSIONS)} sessions, {ROUNDS} rounds a memory")
    talks, rows, count = converse_under_kills(kills, SEED, None)
    for line in count.lines():
        print(f"  {line}")
    for phase, least in quotas(kills).items():
        checks.holds(
            f"at least {least} kills fell in phase {phase}", count.of(phase) >= least, count.of(phase)
        )
    for talk in talks:
        checks.equal(f"{talk.session}: every turn was acknowledged in the end", talk.stuck, None)
    ledger = sum(len(talk.ledger) for talk in talks)
    again = sum(talk.asked_again for talk in talks)
    print(f"  {ledger} acknowledged turns, {again} of them asked for again with the same turn id")
    lost, doubled, altered = losses(talks, rows)
    checks.equal("no acknowledged turn is lost", lost, [])
    checks.equal("no turn is doubled", doubled, [])
    checks.equal("every stored turn has the words that its client saw", altered, [])
    for talk in talks:
        stored = [turn.id for turn in rows.turns.get(talk.session, [])]
        checks.holds(
            f"{talk.session}: the store's turns are the ledger, in order", stored == talk.ids(), len(stored)
        )
    calm = converse_undisturbed({t.session: len(t.ledger) for t in talks}, SEED)
    for talk in talks:
        mine, other = rows.memories.get(talk.session, []), calm.memories.get(talk.session, [])
        expected = len(talk.ledger) // ROUNDS
        checks.equal(f"{talk.session}: the memories of an undisturbed run", mine, other)
        checks.equal(f"{talk.session}: one memory for every {ROUNDS} turns", len(mine), expected)


def expect_loss(kills: int) -> int:
    """The control: a worker that acknowledges before it commits must be caught. 0 if it was."""
    program = os.environ.get("AGENTPOOL_EARLY")
    if not program:
        print("--expect-loss needs AGENTPOOL_EARLY, the worker that acknowledges too early")
        return 2
    talks, rows, count = converse_under_kills(kills, SEED, program)
    for line in count.lines():
        print(f"  {line}")
    lost, _, _ = losses(talks, rows)
    acknowledged = sum(len(talk.ledger) for talk in talks)
    print(f"{len(lost)} of {acknowledged} acknowledged turns lost: {'caught' if lost else 'NOT CAUGHT'}")
    return 0 if lost else 1


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument(
        "--expect-loss", action="store_true", help="run AGENTPOOL_EARLY; succeed if it loses a turn"
    )
    chosen = options.parse_args()
    begun = time.monotonic()
    code = expect_loss(chosen.kills) if chosen.expect_loss else run({"crash": check}, Checks(chosen.kills))
    print(f"{time.monotonic() - begun:.0f} s")
    sys.exit(code)


if __name__ == "__main__":
    main()
