"""Kills Redis masters, Milvus and workers under steady load: no acknowledged turn may be lost, none doubled, no memory missing or doubled."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time

from kit.breaker import Breaker, Kills
from kit.checks import Checks, eventually, run
from kit.conversation import Conversation, Manner
from kit.ledger import losses, memory_faults, wait_lines
from kit.load import ROUNDS, SESSIONS, WORKERS, Load
from kit.server_store import ServerRows, copy_memory, delete_memory, read_servers
from kit.stores import Stores

SEED = 20240611
# A batch whose worker dies is claimed anew when its claim ends, five minutes later.
CLAIM = 300
BUSY = Manner(think=(1.5, 2.5), retry=0.2, timeout=30)
IMPATIENT = Manner(think=(0.2, 0.8), retry=0.1, timeout=1.5)
FEW = 8  # sessions of impatient clients
SHORT = Kills(masters=2, workers=3, milvus=1)


def stored_as_acknowledged(checks: Checks, talks: list[Conversation], rows: ServerRows) -> None:
    """The promise about turns, whatever was killed."""
    again = sum(talk.asked_again for talk in talks)
    print(
        f"  {sum(len(t.ledger) for t in talks)} acknowledged turns, {again} of them asked for more than once"
    )
    lost, doubled, altered = losses(talks, rows)
    checks.equal("every turn was acknowledged in the end", [t.stuck for t in talks if t.stuck], [])
    checks.equal("no acknowledged turn is lost", lost, [])
    checks.equal("no turn is doubled", doubled, [])
    checks.equal("every stored turn has the words that its client saw", altered, [])
    checks.equal("every checkpoint agrees with its turns", rows.miscounted, [])
    names = {talk.session for talk in talks}
    checks.equal("every session stands in the work index", [s for s in rows.unscheduled if s in names], [])
    stored = {talk.session: [turn.id for turn in rows.turns.get(talk.session, [])] for talk in talks}
    strangers = [talk.session for talk in talks if stored[talk.session] != talk.ids()]
    checks.equal("every session's turns are its client's ledger, in order", strangers, [])


def kills_under_load(checks: Checks, stores: Stores, kills: Kills, seed: int, catch_up: float) -> None:
    """Everything is killed, some of it at the same time, and put back; then what is pending is let finish."""
    begun = time.monotonic()
    with Load("outage", stores, seed) as load:
        time.sleep(5)
        breaker = Breaker(stores, load.workers, random.Random(seed))
        breaker.carry_out(kills)
        load.finish()
        seconds = time.monotonic() - begun
        ended = time.monotonic()
        behind = load.rows()
        eventually(lambda: not load.rows().waiting, catch_up, step=2)
        print(
            f"  {seconds:.0f} s of load, which left {len(behind.archived)} memories and {behind.plans} plans; "
            f"{time.monotonic() - ended:.0f} s until no plan waited"
        )
        rows = load.rows()
        talks = load.talks
    done = [
        f"{len([o for o in breaker.outages if o.kind == k])} x {k}" for k in {o.kind for o in breaker.outages}
    ]
    print(
        f"  kills: {', '.join(sorted(done))}; {breaker.amid} of the workers while a store was down or catching up"
    )
    took_over = ", ".join(f"{s:.1f}" for s in sorted(breaker.took_over))
    print(
        f"  seconds to a promotion: {took_over}; masters started at once that lost their place: {breaker.came_too_late}"
    )
    print(f"  writes of append-only files that had to wait for the disk: {stores.cluster.delayed_flushes()}")
    for line in wait_lines(breaker.outages, talks, rows):
        print(f"  {line}")
    stored_as_acknowledged(checks, talks, rows)
    print(
        f"  {len(rows.archived)} memories in Milvus; {rows.plans} plans wait in L2, {len(rows.claimed)} of them claimed"
    )
    if catch_up > CLAIM:
        checks.equal("no plan waits for ever", rows.waiting, {})
    faults = memory_faults(talks, rows, ROUNDS)
    checks.equal("no memory is missing", faults.missing, [])
    checks.equal("no memory is doubled", faults.doubled, [])
    checks.equal("every memory holds the words of its turns, and only theirs", faults.foreign, [])
    notices_tampering(checks, stores, talks, rows)


def notices_tampering(checks: Checks, stores: Stores, talks: list[Conversation], rows: ServerRows) -> None:
    """The control of the comparison of memories: a row too many and a row too few are found in Milvus itself."""
    row = rows.archived[0]

    def faults() -> tuple[int, int]:
        found = memory_faults(talks, read_servers(stores.cluster, stores.milvus, "outage"), ROUNDS)
        return len(found.missing), len(found.doubled)

    copy_memory(stores.milvus, "outage", row, "another-key")
    checks.equal("a memory under a second key is noticed (missing, doubled)", faults(), (0, 1))
    delete_memory(stores.milvus, "outage", row)
    delete_memory(stores.milvus, "outage", type(row)("another-key", row.session, row.first, row.last, ""))
    checks.equal("a deleted memory is noticed (missing, doubled)", faults(), (1, 0))


def cut_off(checks: Checks, stores: Stores, seed: int) -> None:
    """A replica that stopped following takes its master's place, while clients who don't wait long ask again elsewhere. A
    pool that waits for replicas loses nothing; the control beside it, which does not wait, does."""
    with (
        Load("confirmed", stores, seed, FEW, IMPATIENT, newcomers=FEW) as waits,
        Load("unconfirmed", stores, seed, FEW, IMPATIENT, wait_replicas=0) as control,
    ):
        time.sleep(2)
        slots = waits.rows().slots.values()
        shard = max(stores.cluster.shards(), key=lambda s: sum(slot in s.slots for slot in slots))
        shard.replica.pause()
        shard.master.ask("CLIENT", "KILL", "TYPE", "replica")
        waits.begin_newcomers()
        time.sleep(5)
        shard.master.kill()
        shard.replica.resume()
        if not eventually(shard.replica.is_master, 30, step=0.05):
            raise RuntimeError("no failover in 30 s")
        shard.master.start()
        stores.cluster.wait_until_whole()
        control.finish()
        waits.finish()
        rows = waits.rows()
    print("  a replica that stopped following takes its master's place:")
    lost, _, _ = losses(control.talks, rows)
    acknowledged = sum(len(talk.ledger) for talk in control.talks)
    checks.holds(
        "control: turns that no replica had to confirm are lost", bool(lost), f"{len(lost)} of {acknowledged}"
    )
    stored_as_acknowledged(checks, waits.talks, rows)


def stalled(checks: Checks, stores: Stores, seed: int) -> None:
    """Replicas stop for a while, so that commits are late, and clients who don't wait long ask again. Turns with ids are not
    doubled; those of the control beside it, which have none, are."""
    nameless = Manner(IMPATIENT.think, IMPATIENT.retry, IMPATIENT.timeout, names_turns=False)
    with (
        Load("stalled", stores, seed, FEW, IMPATIENT) as named,
        Load("nameless", stores, seed, FEW, nameless) as control,
    ):
        time.sleep(2)
        replicas = [shard.replica for shard in stores.cluster.shards()]
        for replica in replicas:
            replica.pause()
        time.sleep(4)
        for replica in replicas:
            replica.resume()
        stores.cluster.wait_until_whole()
        control.finish()
        named.finish()
        rows = named.rows()
    print("  replicas stop for a while:")
    _, doubled, _ = losses(control.talks, rows)
    checks.holds(
        "control: turns that are asked for again without their ids are doubled", bool(doubled), len(doubled)
    )
    stored_as_acknowledged(checks, named.talks, rows)


def busy_while_away(checks: Checks, stores: Stores, seed: int) -> None:
    """Milvus is away while sessions fill one batch after another; what waits for it must not wait for them to pause."""
    with Load("busy", stores, seed, FEW, BUSY) as load:
        time.sleep(8)
        stores.milvus.kill()
        time.sleep(12)
        stores.milvus.start()
        stores.milvus.wait()
        # The stores hold those of other pools as well, whose workers have ended.
        names = {talk.session for talk in load.talks}

        def waiting() -> set[tuple[str, tuple[int, int]]]:
            return {
                (name, plan) for name, plans in load.rows().waiting.items() if name in names for plan in plans
            }

        before = waiting()

        def left() -> set[tuple[str, tuple[int, int]]]:
            return before & waiting()

        eventually(lambda: not left(), 120, step=5)
        remaining = left()
        load.finish()
    print("  sessions go on while Milvus is away, and afterwards:")
    checks.holds("batches had to wait", bool(before), len(before))
    checks.equal("all of them are archived while their sessions go on", sorted(remaining), [])


def acknowledged_early(checks: Checks, stores: Stores, seed: int) -> None:
    """The control of the kills of workers: one that acknowledges before it stores, by half a second."""
    program = os.environ.get("AGENTPOOL_EARLY")
    if not program:
        raise RuntimeError("AGENTPOOL_EARLY names no worker that acknowledges too early")
    late = ("--delay-milliseconds", "500")
    with Load("early", stores, seed, FEW, IMPATIENT, program=program, options=late) as load:
        time.sleep(2)
        Breaker(stores, load.workers, random.Random(seed)).carry_out(Kills(workers=3))
        load.finish()
        lost, _, _ = losses(load.talks, load.rows())
    print("  workers that acknowledge before they store are killed:")
    checks.holds("control: turns are lost with them", bool(lost), len(lost))


def check(checks: Checks, kills: Kills = SHORT, seed: int = SEED, full: bool = False) -> None:
    """The form for every day, or the full one: every control, and until no claim of a dead worker is left."""
    print(
        f"  seed {seed}; {kills.masters} masters, {kills.workers} workers, {kills.milvus} times Milvus; "
        f"{SESSIONS} sessions on {WORKERS} workers, {ROUNDS} rounds a memory"
    )
    with Stores() as stores:
        kills_under_load(checks, stores, kills, seed, catch_up=2 * CLAIM if full else 20)
        if full:
            acknowledged_early(checks, stores, seed)
            busy_while_away(checks, stores, seed)
            stalled(checks, stores, seed)
        cut_off(checks, stores, seed)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--masters", type=int, default=SHORT.masters)
    options.add_argument("--workers", type=int, default=SHORT.workers)
    options.add_argument("--milvus", type=int, default=SHORT.milvus)
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument(
        "--full", action="store_true", help="every control, and wait for claims of dead workers to end"
    )
    chosen = options.parse_args()
    kills = Kills(chosen.masters, chosen.workers, chosen.milvus)
    sys.exit(run({"outages": lambda checks: check(checks, kills, chosen.seed, chosen.full)}, Checks()))


if __name__ == "__main__":
    main()
