"""Rolling updates, scaling and kills of workers behind a real HAProxy: what is planned cuts no reply, and crashed turns are resumed, also amid their calls of tools."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence

from kit.checks import Checks, run
from kit.haproxy import Affinity
from kit.promises import nothing_dies_with_them, nothing_is_cut
from kit.scene import FEW, FULL, SHORT, SLOW_TOOLS, TOOLS, Hits, Scale, Scene
from kit.stores import Stores

SEED = 20240613


def rolling_updates(checks: Checks, stores: Stores, scale: Scale, seed: int, affinity: Affinity) -> None:
    what = f"rolling-{affinity}"
    with Scene(what, stores, scale, seed, affinity) as scene:
        for _ in range(scale.updates):
            scene.fleet.update()
        figures = scene.end()
        nothing_is_cut(checks, what, scene, figures)
        checks.holds(f"{what}: requests changed their worker", figures.moved > 0, figures.moved)


def scaling(checks: Checks, stores: Stores, scale: Scale, seed: int) -> None:
    with Scene("scaling", stores, scale, seed) as scene:
        fleet = scene.fleet
        for step in [fleet.scale_out, fleet.scale_in, fleet.scale_in, fleet.scale_out] * scale.scalings:
            step()
            time.sleep(scale.between)
        figures = scene.end()
        nothing_is_cut(checks, "scaling", scene, figures)


def kills(checks: Checks, stores: Stores, scale: Scale, seed: int) -> None:
    with Scene("kills", stores, scale, seed) as scene:
        hits = _kill(scene, scale.kills)
        figures = scene.end()
    replies = ", ".join(f"{n} {kind}" for kind, n in sorted(hits.replies.items()))
    print(f"  {scale.kills} kills, {hits.hit} of them amid replies ({replies})", flush=True)
    native, chats = figures.of("native"), figures.of("sdk", "curl")
    print(
        f"  native turns: {sum(bool(s.resumed) for s in native)} resumed, {figures.silences} streams silent; "
        f"chat turns: {sum(not s.whole for s in chats)} ended with an error of {len(chats)}",
        flush=True,
    )
    checks.holds("kills: most hit a reply", hits.hit * 2 > scale.kills, hits.hit)
    nothing_dies_with_them(checks, "kills", scene, figures, hits)
    silent = [s.recital.name for s in chats if not s.whole and not s.errors]
    checks.equal("kills: every chat client has its reply or an error", silent, [])


def _kill(scene: Scene, count: int, aimed: bool = False) -> Hits:
    """Of any worker, or of those that are amid a call which must not be repeated."""
    hits = Hits(scene.traffic, scene.desk)
    for _ in range(count):
        scene.fleet.kill(hits.before, scene.busy() if aimed else None)
        time.sleep(scene.scale.between)
    return hits


def kills_amid_tools(checks: Checks, stores: Stores, scale: Scale, seed: int) -> None:
    what = "kills-amid-tools"
    with Scene(what, stores, scale, seed, kinds=["native"]) as scene:
        hits = _kill(scene, scale.kills, aimed=True)
        figures = scene.end()
    nothing_dies_with_them(checks, what, scene, figures, hits)
    unknown = scene.verdict.outcomes.count("unknown")
    checks.holds(f"{what}: models were told of unknown outcomes", unknown > 0, unknown)


def lying_tools(checks: Checks, stores: Stores, scale: Scale, seed: int) -> None:
    """The control of the ledger: a server that says of what must not be repeated that it may be."""
    with Scene("lying-tools", stores, scale, seed, kinds=["native"], lies=True) as scene:
        hits = _kill(scene, scale.kills, aimed=True)
        scene.end()
    print(f"  {hits.line()}", flush=True)
    repeated = len(scene.verdict.repeated)
    checks.holds("control: calls that a server wrongly calls idempotent are repeated", repeated > 0, repeated)


def drain_off(checks: Checks, stores: Stores, seed: int) -> None:
    """The control of the drain: an update whose old pods are killed."""
    with Scene("drain-off", stores, FEW, seed, drains=False) as scene:
        scene.fleet.update()
        figures = scene.end()
    cuts = len(figures.cuts)
    checks.holds("control: an update without a drain cuts replies", cuts > 0, cuts)


def resume_off(checks: Checks, stores: Stores, seed: int) -> None:
    """The control of the clients: those that don't come back for the rest of a turn."""
    with Scene("resume-off", stores, FEW, seed, kinds=["native"], resumes=False) as scene:
        _kill(scene, 2)
        figures = scene.end()
    unfinished = len(figures.unfinished)
    checks.holds("control: clients that don't resume have unfinished turns", unfinished > 0, unfinished)


def delay_off(checks: Checks, stores: Stores, seed: int, peers: bool) -> None:
    """The control of the delay: pods that refuse at once what a proxy sends that has not heard yet."""
    scale = dataclasses.replace(FEW, delay=0)
    with Scene(f"delay-off{'-peers' if peers else ''}", stores, scale, seed, peers=peers) as scene:
        scene.fleet.update()
        figures = scene.end()
    refused = sum(figures.server_errors.values()) + len(figures.unfinished)
    if peers:
        checks.note(f"without a delay but with peers: {refused} refused")
    else:
        checks.holds("control: without a delay requests are refused", refused > 0, refused)


PARTS = ("rolling", "scaling", "kills", "tools", "controls")


def check(
    checks: Checks,
    scale: Scale = SHORT,
    seed: int = SEED,
    parts: Sequence[str] = PARTS,
    full: bool = False,
) -> None:
    print(
        f"  seed {seed}; {scale.streams} streams on {scale.workers} workers; "
        f"{scale.updates} updates, {scale.kills} kills; {scale.lengths.tools:.0%} of the turns with tools; "
        f"the proxy learns {scale.late[0]} to {scale.late[1]} s late"
    )
    with Stores() as stores:
        if "rolling" in parts:
            rolling_updates(checks, stores, scale, seed, "cookie")
            once = dataclasses.replace(scale, updates=1)
            rolling_updates(checks, stores, once, seed, "none")
            if full:
                rolling_updates(checks, stores, once, seed, "header")
        if "scaling" in parts:
            scaling(checks, stores, scale, seed)
        if "controls" in parts:
            drain_off(checks, stores, seed)
            resume_off(checks, stores, seed)
            delay_off(checks, stores, seed, peers=False)
            if full:
                delay_off(checks, stores, seed, peers=True)
        if "tools" in parts and scale.lengths.tools:
            kills_amid_tools(checks, stores, dataclasses.replace(SLOW_TOOLS, kills=scale.kills), seed)
            lying_tools(checks, stores, SLOW_TOOLS, seed)
        if "kills" in parts:
            kills(checks, stores, scale, seed)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--full", action="store_true", help="long replies, late proxies, and more of everything"
    )
    options.add_argument("--updates", type=int, help="rolling updates of all workers")
    options.add_argument("--kills", type=int)
    options.add_argument("--streams", type=int, help="clients at the same time")
    options.add_argument("--tools", type=float, default=TOOLS, help="the part of turns that call tools")
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--only", choices=PARTS, action="append", help="this part; may be given again")
    chosen = options.parse_args()
    asked = {name: getattr(chosen, name) for name in ("updates", "kills", "streams")}
    base = FULL if chosen.full else SHORT
    scale = dataclasses.replace(base, **{name: n for name, n in asked.items() if n is not None})
    scale = scale.with_tools(chosen.tools)
    parts = chosen.only or PARTS
    sys.exit(run({"rolling": lambda checks: check(checks, scale, chosen.seed, parts, chosen.full)}, Checks()))


if __name__ == "__main__":
    main()
