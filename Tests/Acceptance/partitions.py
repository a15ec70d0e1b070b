"""Two workers are cut from their Redis Cluster and from Milvus: nothing acknowledged is lost, and who waits is told."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from kit.checks import Checks, eventually, run
from kit.far_stores import MILVUS, FarStores
from kit.haproxy import HAProxy
from kit.partition import Network, Store, is_possible
from kit.recital import Lengths, Recital, ReciterProcess
from kit.spoken import Spoken
from kit.traffic import Crowd, Figures, Traffic
from kit.watch import Look, Watch, metric, readiness
from kit.worker import Worker, manifest

STREAMS = 12
LENGTHS = Lengths(1.5, 3, (0.1, 0.3), short=0.5)
STEADY = 2.0  # seconds of quiet before a cut
RECOVERY = 15.0  # seconds after a cut in which all must be as before
PATIENCE = 60.0  # seconds after a cut in which every turn of its time must end, that of a client that hears nothing too
BRIEF = 1  # seconds of a cut that no probe may notice
LONG = 30  # seconds of a cut that every probe must notice
NEVER = "never-asked"
CODE = re.compile(r"""['"]code['"]: ?['"](\w+)['"]""")


@dataclass
class Cut:
    """One cable cut for a while, as the probes and the clients saw it. Times are `time.monotonic`."""

    store: Store
    seconds: int
    begun: float = 0
    healed: float = 0
    looks: list[tuple[float, Look]] = field(default_factory=list)  # of both workers, with their times
    settled: float | None = None  # from when on every worker said that all is well
    said: list[Spoken] = field(default_factory=list)  # turns that were under way meanwhile
    next_whole: float | None = None  # the first turn begun after the cut's begin that was acknowledged after its end

    @property
    def name(self) -> str:
        return f"{self.store} cut for {self.seconds} s"

    @property
    def unready(self) -> list[float]:
        return [at for at, look in self.looks if look.status != 200]

    def line(self) -> str:
        codes = Counter(code for spoken in self.said for error in spoken.errors for code in CODE.findall(error))
        statuses = Counter(status for spoken in self.said for status in spoken.statuses)
        # A client that asks for more of a turn that has failed hears nothing, and waits for as long as it likes.
        waited = [s.ended - s.begun - s.recital.seconds for s in self.said if s.ended and not s.silences]
        words = Counter(f"{look.status} {look.word}" for _, look in self.looks)
        parts = [
            f"readyz {', '.join(words)}",
            f"unready from {_after(self.begun, min(self.unready, default=None))} "
            f"to {_after(self.begun, max(self.unready, default=None))}",
            f"well again {_after(self.healed, self.settled)} after its end",
            f"{len(self.said)} turns under way, {sum(spoken.whole for spoken in self.said)} acknowledged",
            f"statuses {_told(statuses)}",
            f"errors {_told(codes)}",
            f"{sum(spoken.cuts for spoken in self.said)} streams cut",
            f"{sum(sum(spoken.resumed.values()) for spoken in self.said)} resumed",
            f"{sum(spoken.restarts for spoken in self.said)} told anew",
            f"{sum(spoken.silences for spoken in self.said)} streams silent",
            f"turns waited {max(waited, default=0):.1f} s at most",
            f"the next acknowledged {_after(self.healed, self.next_whole)} after its end",
        ]
        return f"{self.name}: {'; '.join(parts)}"


def _after(begun: float, at: float | None) -> str:
    return "never" if at is None else f"{at - begun:.1f} s"


def _told(counts: Counter[int] | Counter[str]) -> str:
    return ", ".join(f"{n} {what}" for what, n in sorted(counts.items(), key=str)) or "none"


class Scene:
    """Two workers behind a proxy that sends requests to either, so that many are handed on, and the clients."""

    def __init__(self, network: Network, stores: FarStores, workers: list[Worker], traffic: Traffic) -> None:
        self._network, self._stores, self._workers = network, stores, workers
        self._traffic = traffic
        self.cuts: list[Cut] = []

    def are_well(self) -> bool:
        return all(readiness(worker).word == "ok" for worker in self._workers)

    def cut(self, checks: Checks, store: Store, seconds: int) -> None:
        if not eventually(self.are_well, RECOVERY, step=0.2):
            raise RuntimeError(f"not well before a cut: {[readiness(worker) for worker in self._workers]}")
        time.sleep(STEADY)
        cut = Cut(store, seconds)
        watched = time.monotonic()
        with Watch(self._workers[0]) as one, Watch(self._workers[1]) as other:
            cut.begun = time.monotonic()
            with self._network.cut(store):
                if store == "redis" and seconds > BRIEF:
                    checks.holds(f"{cut.name}: nothing gets through", not self._stores.is_reached())
                time.sleep(max(0, cut.begun + seconds - time.monotonic()))
            cut.healed = time.monotonic()
            if eventually(self.are_well, RECOVERY, step=0.2):
                cut.settled = time.monotonic()
            time.sleep(1)
        for watch in (one, other):
            cut.looks += [(watched + look.at, look) for look in watch.looks]
        self.cuts.append(cut)
        if not eventually(lambda: self._have_ended(cut.healed), PATIENCE, step=0.2):
            raise RuntimeError(f"{cut.name}: a turn of that time does not end")

    def _have_ended(self, before: float) -> bool:
        """All turns that were begun before."""
        said = [spoken for talker in self._traffic.talkers for spoken in talker.spoken]
        return all(spoken.ended is not None for spoken in said if spoken.begun < before)

    def finish(self) -> Figures:
        self._traffic.finish()
        figures = self._traffic.figures()
        for cut in self.cuts:
            ended = [spoken for spoken in figures.said if spoken.ended is not None]
            cut.said = [s for s in ended if s.begun < cut.healed and (s.ended or 0) > cut.begun]
            acknowledged = [s.ended for s in ended if s.whole and s.ended and s.ended > cut.healed]
            cut.next_whole = min(acknowledged, default=None)
        return figures


def readiness_was_right(checks: Checks, cut: Cut) -> None:
    if cut.store == "milvus" or cut.seconds <= BRIEF:
        checks.equal(f"{cut.name}: no worker became unready", cut.unready, [])
    elif cut.seconds >= LONG:
        checks.holds(f"{cut.name}: the workers became unready", bool(cut.unready), len(cut.unready))
    well = cut.settled is not None
    checks.holds(f"{cut.name}: afterwards all is well within {RECOVERY:.0f} s", well, _after(cut.healed, cut.settled))


def nothing_is_lost(checks: Checks, figures: Figures) -> None:
    """By the histories, read when all is over."""
    acknowledged = sum(spoken.whole for spoken in figures.said)
    checks.note(f"{len(figures.said)} turns, {acknowledged} of them acknowledged")
    checks.equal("no acknowledged turn is lost", figures.lost, [])
    checks.equal("none is stored twice", figures.doubled, [])
    checks.equal("each is stored with the words that its client saw", figures.altered, [])
    checks.equal("what looks whole is what the model said", figures.wrong, [])
    checks.equal("events come in their order, none twice", figures.disorder, [])
    native, chats = figures.of("native"), figures.of("sdk", "curl")
    unfinished = [f"{s.recital.name}: {s.errors[-3:]}" for s in native if not s.whole]
    checks.equal("every native turn was completed", unfinished, [])
    silent = [s.recital.name for s in chats if not s.whole and not s.errors]
    checks.equal("every chat client has its reply or an error", silent, [])


def notices_a_loss(traffic: Traffic) -> list[str]:
    """What the comparison finds lost, where a client's ledger has a turn that it never asked for."""
    talker = traffic.talkers[0]
    recital = Recital(NEVER, 2, 100)
    now = time.monotonic()
    talker.spoken.append(Spoken("native", talker.session, recital, now, NEVER, recital.text, whole=True, ended=now))
    return traffic.figures().lost


def check(checks: Checks, lengths: Sequence[int] = (1, 5)) -> None:
    if not is_possible():
        checks.note("skipped: network namespaces need root")
        return
    with Network() as network, network.inside(network.workers), FarStores(network) as stores:
        model = ReciterProcess()
        redis = {"mode": "Cluster", "addresses": stores.addresses, "waitReplicas": 1}
        milvus = {"address": f"http://{stores.milvus}:{MILVUS}", "collection": "partitions"}
        text = manifest(model, memory={"redis": redis, "milvus": milvus, "buffer": {"rounds": 5}})
        crowd = Crowd(STREAMS, LENGTHS)
        with Worker(text) as one, Worker(text) as other, HAProxy("none") as proxy:
            for worker in (one, other):
                proxy.add(proxy.take_slot(), worker.port)
            with Traffic("partition", proxy, crowd) as traffic:
                scene = Scene(network, stores, [one, other], traffic)
                for store in ("redis", "milvus"):
                    for seconds in lengths:
                        scene.cut(checks, store, seconds)
                figures = scene.finish()
                noticed = notices_a_loss(traffic)
            relayed = sum(metric(worker, "agentpool_requests_relayed_total") for worker in (one, other))
        model.close()
    for cut in scene.cuts:
        checks.note(cut.line())
    for cut in scene.cuts:
        readiness_was_right(checks, cut)
    checks.holds("workers handed requests to each other", relayed > 0, f"{relayed:.0f}")
    nothing_is_lost(checks, figures)
    checks.equal("control: a turn that a client takes for acknowledged and nobody stored is lost", noticed, [NEVER])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--full", action="store_true", help=f"also cuts of {LONG} s")
    chosen = options.parse_args()
    lengths = (1, 5, LONG) if chosen.full else (1, 5)
    sys.exit(run({"partitions": lambda checks: check(checks, lengths)}, Checks()))


if __name__ == "__main__":
    main()
