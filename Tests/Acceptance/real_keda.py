"""KEDA and the HorizontalPodAutoscaler of a real cluster scale a pool by the load that its workers tell."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from kit.autoscaler import EARLY, Policy, desired
from kit.census import Census
from kit.checks import Checks, eventually, run
from kit.cluster import POOLS, Cluster, Object
from kit.controllers import Controller, lacking
from kit.crew import Crew, Terms
from kit.fleet import Pod
from kit.keda import Keda, lacks
from kit.pool_story import GONE, HOLD, REPORT, RUNNING, STEADY, Gate, together
from kit.scaled_pool import LOOK, AdminService, Kubelet, Look, Scaled, Watch, control, rendered
from kit.stores import HOST
from kit.worker import manifest
from pool_load import EXPIRY, LIMITS

POOL, PORT = "acceptance", 9090
SESSIONS, PENDING = Policy(target=10, least=1, most=6), Policy(target=4, least=1, most=6)
WINDOW = 30  # seconds of scaleDownWindow: two looks of the autoscaler
IDLE = 75  # seconds of idleTTL, more than any part of the story takes
SYNC = 15.0  # --horizontal-pod-autoscaler-sync-period, as it stands
ASKING = 2 * LOOK  # seconds by which a look may come late
SCALED = REPORT + SYNC + 2.5  # seconds: the load is told, the autoscaler looks, and a slow API server
PERIOD = 60  # seconds in which a tenth of the pods may go, and one at least
FEW, SOME, MANY = 5, 25, 58  # sessions
WAITING = 18  # turns that wait for their turn
STOPPED = 45.0  # seconds for which Redis stops: KEDA gives up after its third failure


def overdue(looks: list[Look], census: Census, unknown: tuple[float, float]) -> list[str]:
    """Looks that told another sum than the true one, though nothing had changed it for as long as a change may take."""
    changes = census.changes(time.monotonic())
    found = []
    for look in looks:
        true = census.total(look.asked)
        if look.value == true or unknown[0] <= look.asked <= unknown[1]:
            continue
        if not any(c.at - EARLY <= look.asked <= c.at + LIMITS[c.kind] for c in changes):
            found.append(f"{look} in place of {true}")
    return found


@dataclass
class Story:
    """What happens to the pool, and how KEDA and the autoscaler follow."""

    checks: Checks
    gate: Gate
    crew: Crew
    kubelet: Kubelet
    pool: Scaled
    service: AdminService
    moves: bool = True  # whether KEDA has to connect anew for each look
    users: list[str] = field(default_factory=list)
    unknown: tuple[float, float] = (0, 0)  # from when until when nobody could tell the load

    @property
    def true(self) -> int:
        return self.crew.census.total(time.monotonic())

    def talk(self) -> None:
        """Every user speaks, where the session is, or at any worker once that one is gone."""
        homes = [(user, self.crew.census.home(user)) for user in self.users]
        pods = [(user, self.crew.named(home) if home else self.crew.choose()) for user, home in homes]
        together(partial(self.crew.say, user, pod) for user, pod in pods)

    def users_come(self, count: int) -> None:
        """Until there are as many; the autoscaler must follow."""
        self.talk()
        pods, before = self.crew.pods, self.pool.replicas
        new = [f"user-{number}" for number in range(len(self.users), count)]
        together(partial(self.crew.say, user, pods[n % len(pods)]) for n, user in enumerate(new))
        self.users += new
        since = time.monotonic()
        self.settles(f"{count} sessions", REPORT)
        self.scales(f"{count} sessions", 0, before, desired(count, before, before, SESSIONS), since)

    def turns_wait(self) -> None:
        """The queue asks for more pods than the sessions do; those who waited are sessions then."""
        self.talk()
        before = self.pool.replicas
        wanted = desired(WAITING, before, before, PENDING)
        with self._held(self.crew.pods[0]):
            since = time.monotonic()
            self.scales(f"{WAITING} turns wait", 1, before, wanted, since)
            told = [
                look.value for look in self.pool.looks[self.pool.metrics[1]] if look.asked > since + REPORT
            ]
            self.checks.holds(
                f"KEDA told of {WAITING} that wait", bool(told) and set(told) == {WAITING}, set(told)
            )
        self.settles("they are done", REPORT)

    def settles(self, kind: str, limit: float, since: float | None = None) -> None:
        """What KEDA tells is right once the limit is over, and stays so."""
        since = since or time.monotonic()
        limit += ASKING
        true = self.true
        self.kubelet.work(since + limit + STEADY)
        looks = [look for look in self.pool.looks[self.pool.metrics[0]] if look.asked >= since]
        wrong = [look for look in looks if look.value != true]
        last = wrong[-1].asked if wrong else since
        took = next((look.answered - since for look in looks if look.asked > last), float("inf"))
        seen = f"{took:.2f} s" if took <= limit else f"{wrong[-1] if wrong else 'no look'} at last"
        self.checks.holds(f"{kind}: KEDA tells {true} within {limit:.1f} s", took <= limit, seen)

    def scales(self, kind: str, trigger: int, before: int, wanted: int, since: float) -> None:
        """By the formula of the autoscaler; where it asks for nothing, it must have looked and done nothing."""
        pool, limit = self.pool, since + SCALED - time.monotonic()
        if wanted == before:
            true = self.true
            has_read = self.kubelet.until(lambda: pool.read(trigger) == true, limit)
            self.checks.holds(f"{kind}: the autoscaler has read {true}", has_read)
            self.checks.equal(f"{kind}: {before} pods stay", pool.replicas, before)
            return
        self.kubelet.until(lambda: pool.replicas == wanted, limit)
        at, replicas = pool.sizes[-1]
        seen = f"{at - since:.1f} s" if replicas == wanted else f"{replicas}"
        self.checks.holds(
            f"{kind}: {before} pods become {wanted} within {SCALED:.0f} s", replicas == wanted, seen
        )

    def pod_dies(self) -> None:
        """One that KEDA keeps a connection to."""
        pod = self._asked()
        since = time.monotonic()
        self.crew.kill(pod)
        self.settles("a worker that it asks is killed", GONE, since)
        self._come_back()

    def pod_drains(self) -> None:
        """As a node is emptied: the Deployment's number stays, and another takes the place."""
        pod = self._asked()
        self.kubelet.drain([pod])
        self.settles("a worker that it asks is drained", REPORT)
        self._come_back()

    def nobody_knows(self) -> None:
        """Redis stops: that the load is unknown must not look like few."""
        self.talk()
        true, before = self.true, self.pool.replicas
        stopped = time.monotonic()
        self.crew.redis.pause()
        self.kubelet.work(stopped + STOPPED)
        resumed = time.monotonic()
        self.crew.redis.resume()
        self.unknown = (stopped, resumed + REPORT)
        looks = [look for look in self.pool.looks[self.pool.metrics[0]] if stopped <= look.asked < resumed]
        less = {look.value for look in looks if look.value is not None and look.value < true}
        self.checks.equal(
            f"Redis stopped for {STOPPED:.0f} s: KEDA never tells less than {true}", less, set()
        )
        told = {str(look) for look in looks}
        fallback = str(before * SESSIONS.target)
        self.checks.holds(
            f"KEDA fell back on {fallback}, as for {before} pods", fallback in told, f"told {told}"
        )
        self.checks.equal("no pod came or went", self.pool.replicas, before)
        self.settles("Redis is back", REPORT, resumed)
        self.talk()

    def all_leave(self) -> None:
        """Nobody speaks any more: pod by pod the pool shrinks to its minimum."""
        self.talk()
        before = self.pool.replicas
        gone = self.kubelet.until(lambda: self.true == 0, IDLE + 5)
        self.checks.holds("all sessions are idle", gone)
        self.checks.equal("and until then no pod went", self.pool.replicas, before)
        since, steps = time.monotonic(), len(self.pool.sizes)
        self.settles("nobody speaks", EXPIRY)
        way, pods = [], self.pool.replicas
        while pods > SESSIONS.least:
            pods = desired(0, pods, pods, SESSIONS)
            way.append(pods)
        limit = WINDOW + SYNC + len(way) * (PERIOD + SYNC)
        self.kubelet.until(lambda: self.pool.replicas == SESSIONS.least, limit)
        self.kubelet.work(time.monotonic() + SYNC + STEADY)
        shrunk = self.pool.sizes[steps:]
        times = [round(at - since, 1) for at, _ in shrunk]
        self.checks.equal(
            f"the pool shrinks to its minimum, after {times} s", [pods for _, pods in shrunk], way
        )
        gaps = [later - at for at, later in pairwise(times)]
        self.checks.holds(
            "a pod a minute at most goes", min(gaps) > PERIOD - 2 * ASKING, f"{min(gaps):.1f} s"
        )

    def _asked(self) -> Pod:
        """One with sessions that KEDA asks, and goes on asking: it keeps its connections from now on."""
        self.talk()
        has_sessions = False
        while not has_sessions:
            self.moves = True
            self.kubelet.work(time.monotonic() + ASKING)
            self.moves = False
            self.kubelet.work(time.monotonic() + ASKING)
            has_sessions = bool(self.crew.census.sessions_of(self.service.last))
        return self.crew.named(self.service.last)

    def _come_back(self) -> None:
        self.talk()
        self.settles("its sessions went on elsewhere", REPORT)
        self.moves = True

    @contextmanager
    def _held(self, pod: Pod) -> Iterator[None]:
        """As many turns as it may run run at the pod, and more wait, until the body is done."""
        crew = self.crew
        new = [f"user-{len(self.users) + n}" for n in range(WAITING)]
        with ExitStack() as undo:
            pool = undo.enter_context(ThreadPoolExecutor(RUNNING + WAITING))
            undo.enter_context(self.gate.closed())
            running = crew.census.sessions_of(pod.name)[:RUNNING]
            turns = [pool.submit(crew.say, user, pod, None, HOLD) for user in running]
            if not eventually(lambda: self.gate.waiting == RUNNING, 20):
                raise RuntimeError(f"{self.gate.waiting} of {RUNNING} turns run")
            turns += [pool.submit(crew.say, user, pod, None, HOLD) for user in new]
            undo.enter_context(crew.census.held(pod.name, RUNNING, WAITING))
            yield
        for turn in turns:
            turn.result()
        self.users += new


def program(checks: Checks) -> None:
    gate = Gate()
    with ExitStack() as undo:
        crew = undo.enter_context(Crew("real-keda", 1, Terms(IDLE, RUNNING), gate.model))
        cluster = undo.enter_context(Cluster())
        service = AdminService(crew)
        host = f"{POOL}-admin.{cluster.namespace}.svc"
        keda = undo.enter_context(Keda(cluster, host, PORT, service.connect))
        undo.callback(Controller(cluster).kill)
        scaling = {
            "minReplicas": SESSIONS.least,
            "maxReplicas": SESSIONS.most,
            "scaleDownWindow": f"{WINDOW}s",
        }
        targets = {"targetActiveSessions": SESSIONS.target, "targetPendingRequests": PENDING.target}
        memory = {"redis": {"addresses": [f"{HOST}:{crew.redis.port}"]}}
        wanted: Object = json.loads(manifest(gate.model, memory=memory, autoscaling={**scaling, **targets}))
        wanted["metadata"]["namespace"] = cluster.namespace
        cluster.apply(POOLS, wanted)
        pool, scaled_object = Scaled(cluster, POOL), rendered(wanted, cluster)
        pool.wait()
        where = lacking(scaled_object, pool.object())
        checks.holds(
            "the ScaledObject that KEDA has taken is the one that `render` prints", not where, where or None
        )
        alone = control(scaled_object, cluster)
        alone.wait()

        def before_each() -> None:
            if story.moves:
                keda.admin.drop_idle()

        watch = Watch([pool, alone], before_each)
        story = Story(checks, gate, crew, Kubelet(crew, pool, watch), pool, service)
        with watch:
            live(story, alone)
        judge(story, alone)
    gate.model.close()


def live(story: Story, alone: Scaled) -> None:
    checks, pool = story.checks, story.pool
    story.users_come(FEW)
    story.users_come(SOME)
    story.turns_wait()
    story.users_come(MANY)
    most = pool.replicas
    came = story.kubelet.until(lambda: alone.replicas == most, SCALED)
    checks.holds(f"control: a worker's own number does not ask for {most} pods", not came, alone.replicas)
    peak = len(pool.sizes)
    story.pod_dies()
    story.pod_drains()
    story.nobody_knows()
    checks.equal("no pod went meanwhile", pool.sizes[peak:], [])
    story.all_leave()


def judge(story: Story, alone: Scaled) -> None:
    """Of all that KEDA told, from the first look to the last."""
    checks, census, pool = story.checks, story.crew.census, story.pool
    looks, others = pool.looks[pool.metrics[0]], alone.looks[alone.metrics[0]]
    late = sum(look.value != census.total(look.asked) for look in looks)
    checks.note(
        f"{len(looks)} looks at {pool.metrics[0]}, {late} of them at another number than the true one"
    )
    checks.note(f"Deployment's replicas: {[pods for _, pods in pool.sizes]}")
    checks.note(f"connections to workers: {dict(story.service.connections)}")
    wrong = overdue(looks, census, story.unknown)
    seen = f"{len(wrong)} looks, such as {wrong[0]}" if wrong else None
    checks.holds("KEDA told the true sum but for a report's time", not wrong, seen)
    checks.holds("it asked many workers", len(story.service.connections) > SESSIONS.most)
    checks.equal("nothing fails in the end", pool.failing(), {})
    checks.equal("drained workers ended with 0", set(story.kubelet.codes), {0})
    noticed = overdue(others, census, story.unknown)
    checks.holds(
        "control: a worker's own number is caught", bool(noticed), f"{len(noticed)} of {len(others)} looks"
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    if reason := lacks():
        sys.exit(f"real_keda: {reason}")
    sys.exit(run({"real_keda": program}, Checks()))


if __name__ == "__main__":
    main()
