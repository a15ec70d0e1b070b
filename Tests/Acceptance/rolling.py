"""Rolling updates, scaling and kills of workers behind a real HAProxy: what is planned cuts no reply, and crashed turns are resumed."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

from kit.checks import Checks, run
from kit.fleet import Fleet, Pod, Weather
from kit.haproxy import Affinity, HAProxy
from kit.recital import Lengths, ReciterProcess
from kit.spoken import Kind
from kit.stores import Stores
from kit.traffic import KINDS, Crowd, Figures, Traffic
from kit.worker import manifest

SEED = 20240613
ROUNDS = 5


@dataclass(frozen=True)
class Scale:
    """How much of everything; times in seconds."""

    updates: int
    kills: int
    streams: int
    scalings: int  # times out, in, in and out again
    workers: int
    lengths: Lengths
    late: tuple[float, float]
    delay: int  # the pool's drain.delay
    turn: int  # the pool's concurrency.turnTimeout
    between: float  # two kills, and two steps of a scaling


SHORT = Scale(1, 4, 40, 1, 4, Lengths(3, 10, (0.25, 0.5)), (0.5, 3), delay=2, turn=60, between=4)
FULL = Scale(20, 30, 200, 5, 4, Lengths(20, 120, (0.5, 1)), (5, 30), delay=15, turn=180, between=20)
# Enough for a control to show what it is for.
FEW = dataclasses.replace(SHORT, streams=16, workers=2)


class Scene:
    """A pool of its own on shared stores: its workers, the proxy before them, and the crowd that talks to them."""

    def __init__(
        self,
        name: str,
        stores: Stores,
        scale: Scale,
        seed: int,
        affinity: Affinity = "cookie",
        drains: bool = True,
        peers: bool = True,
        kinds: Sequence[Kind] = KINDS,
        resumes: bool = True,
    ) -> None:
        self.name, self.scale = name, scale
        with ExitStack() as undo:
            model = ReciterProcess()
            undo.callback(model.close)
            text = _pool(name, model, stores, scale)
            proxy = undo.enter_context(HAProxy(affinity))
            weather = Weather(scale.late, drains, peers)
            self.fleet = undo.enter_context(Fleet(text, scale.workers, proxy, weather, seed))
            crowd = Crowd(scale.streams, scale.lengths, kinds, resumes)
            self.traffic = undo.enter_context(Traffic(name, proxy, crowd))
            self._undo = undo.pop_all()
        self._begun = time.monotonic()
        time.sleep(3)  # every client has begun to talk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def end(self) -> Figures:
        """Lets all that was begun end, while the load goes on as long as pods are ending."""
        self.fleet.settle()
        self.traffic.finish()
        figures = self.traffic.figures()
        print(f"  {self.name}, {time.monotonic() - self._begun:.0f} s: {figures.line()}", flush=True)
        return figures


def _pool(name: str, model: ReciterProcess, stores: Stores, scale: Scale) -> str:
    redis = {"mode": "Cluster", "addresses": stores.cluster.addresses, "waitReplicas": 1}
    milvus = {"address": f"http://127.0.0.1:{stores.milvus.port}", "collection": name.replace("-", "_")}
    return manifest(
        model,
        memory={
            "scope": f"acceptance/{name}",
            "redis": redis,
            "milvus": milvus,
            "buffer": {"rounds": ROUNDS},
        },
        replicas=scale.workers,
        drain={"delay": f"{scale.delay}s", "timeout": f"{scale.turn}s"},
        concurrency={"turnTimeout": f"{scale.turn}s"},
    )


def nothing_is_lost(checks: Checks, what: str, figures: Figures) -> None:
    """The promise about acknowledged turns, whatever happened."""
    checks.equal(f"{what}: events come in their order, none twice", figures.disorder, [])
    checks.equal(f"{what}: no acknowledged turn is lost", figures.lost, [])
    checks.equal(f"{what}: none is stored twice", figures.doubled, [])
    checks.equal(f"{what}: each is stored with the words that its client saw", figures.altered, [])
    checks.equal(f"{what}: what looks whole is what the model said", figures.wrong, [])


def nothing_is_cut(checks: Checks, what: str, scene: Scene, figures: Figures) -> None:
    """What is promised of everything planned."""
    ended = scene.fleet.ended
    if ended:
        print(f"  {len(ended)} pods ended, after {min(ended):.1f} to {max(ended):.1f} s", flush=True)
    checks.equal(f"{what}: every pod ended with 0 in its grace period", scene.fleet.faults, [])
    checks.equal(f"{what}: no reply is cut", figures.cuts, [])
    checks.equal(f"{what}: nobody sees a server's error", figures.server_errors, {})
    checks.equal(f"{what}: every turn came to its end", figures.unfinished, [])
    checks.equal(f"{what}: no client met an error of any kind", figures.troubled, [])
    nothing_is_lost(checks, what, figures)


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


@dataclass
class Hits:
    """What kills fell upon."""

    traffic: Traffic
    hit: int = 0  # kills that hit a reply at all
    replies: dict[Kind, int] = field(default_factory=dict)

    def before(self, pod: Pod) -> None:
        amid = self.traffic.amid(pod.slot)
        self.hit += bool(amid)
        for spoken in amid:
            self.replies[spoken.kind] = self.replies.get(spoken.kind, 0) + 1


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
    checks.equal("kills: no pod ended by itself", scene.fleet.faults, [])
    checks.holds("kills: most hit a reply", hits.hit * 2 > scale.kills, hits.hit)
    nothing_is_lost(checks, "kills", figures)
    unfinished = [f"{s.recital.name}: {s.errors[-3:]}" for s in native if not s.whole]
    checks.equal("kills: every native turn was completed", unfinished, [])
    silent = [s.recital.name for s in chats if not s.whole and not s.errors]
    checks.equal("kills: every chat client has its reply or an error", silent, [])


def _kill(scene: Scene, count: int) -> Hits:
    hits = Hits(scene.traffic)
    for _ in range(count):
        scene.fleet.kill(hits.before)
        time.sleep(scene.scale.between)
    return hits


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


PARTS = ("rolling", "scaling", "kills", "controls")


def check(
    checks: Checks,
    scale: Scale = SHORT,
    seed: int = SEED,
    parts: Sequence[str] = PARTS,
    full: bool = False,
) -> None:
    print(
        f"  seed {seed}; {scale.streams} streams on {scale.workers} workers; "
        f"{scale.updates} updates, {scale.kills} kills; the proxy learns {scale.late[0]} to {scale.late[1]} s late"
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
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--only", choices=PARTS, action="append", help="this part; may be given again")
    chosen = options.parse_args()
    asked = {name: getattr(chosen, name) for name in ("updates", "kills", "streams")}
    base = FULL if chosen.full else SHORT
    scale = dataclasses.replace(base, **{name: n for name, n in asked.items() if n is not None})
    parts = chosen.only or PARTS
    sys.exit(run({"rolling": lambda checks: check(checks, scale, chosen.seed, parts, chosen.full)}, Checks()))


if __name__ == "__main__":
    main()
