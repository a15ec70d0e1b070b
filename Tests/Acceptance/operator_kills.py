"""Kills the controller at random moments while pools are created, changed and deleted: the end state equals the plan, nothing is left over."""

from __future__ import annotations

import argparse
import random
import sys
import time

from kit.checks import Checks, eventually, run
from kit.cluster import POOLS, Cluster
from kit.controllers import Churn, Controller, Nodes, differences, free_lease, is_led

SEED = 20240711


def kill_until(cluster: Cluster, churn: Churn, kills: int, checks: Checks) -> tuple[int, int]:
    """How many kills landed inside a plan, and how many plans they cut off. Every second one comes at any time after a user's write;
    the others soon after a plan was begun, for a plan may be over within milliseconds."""
    rng = random.Random(SEED)
    inside, cut = 0, 0
    for number in range(kills):
        controller = Controller(cluster)
        if not eventually(lambda: is_led(cluster), 60):
            raise RuntimeError(f"the controller does not lead:\n{controller.tail()}")
        if number % 2:
            controller.wait_for_plan(10)
            time.sleep(rng.uniform(0, 0.004))
        else:
            before = churn.writes
            eventually(lambda: churn.writes > before, 10)
            time.sleep(rng.uniform(0, 0.8))
        controller.kill()
        plans = controller.cut_off()
        inside += plans > 0
        cut += plans
        free_lease(cluster)
    return inside, cut


def settled(cluster: Cluster, churn: Churn, checks: Checks, seconds: float = 300) -> None:
    """Waits until everything is as `agentpool render` says."""
    last: list[str] = []

    def is_so() -> bool:
        last[:] = differences(cluster, churn.wanted)
        return not last

    done = eventually(is_so, seconds, step=1)
    checks.holds(
        f"all of {len(churn.wanted)} pools is as `agentpool render` says, and nothing is left over", done, last[:5]
    )


def tampering_is_noticed(cluster: Cluster, churn: Churn, checks: Checks) -> None:
    """The control: with no controller there, each kind of damage must be seen."""
    first, second = sorted(churn.wanted)[:2]
    cluster.delete(("/api/v1", "services"), first)
    image = {"spec": {"template": {"metadata": {"annotations": {"agentpool.dev/config": "other"}}}}}
    cluster.merge(("/apis/apps/v1", "deployments"), second, image)
    labels = {"app.kubernetes.io/managed-by": "agentpool"}
    cluster.apply(
        ("/api/v1", "configmaps"),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "orphan", "labels": labels}})
    seen = sorted(difference.split()[-1] for difference in differences(cluster, churn.wanted))
    checks.equal("A missing, an altered and a left-over object are noticed", len(seen), 3)
    cluster.delete(("/api/v1", "configmaps"), "orphan")


def check(checks: Checks, kills: int = 10, pools: int = 20) -> None:
    """The promise: however often the controller dies, everything becomes as the specs say."""
    with Cluster() as cluster, Nodes(cluster):
        server = "a real API server" if cluster.is_real else "the stand-in"
        checks.note(f"seed {SEED}, {kills} kills, {pools} pools, {server}")
        with Churn(cluster, pools, SEED) as churn:
            inside, cut = kill_until(cluster, churn, kills, checks)
        checks.note(f"{churn.writes} writes of the user; inside a plan: {inside} kills, {cut} plans cut off")
        checks.holds("some kills landed inside a plan", inside > 0, inside)
        controller = Controller(cluster)
        settled(cluster, churn, checks)
        checks.equal("SIGTERM ends the controller with 0", controller.terminate(), 0)
        if len(churn.wanted) >= 2:
            tampering_is_noticed(cluster, churn, checks)
        controller = Controller(cluster)
        settled(cluster, churn, checks)
        for name in list(churn.wanted):
            cluster.delete(POOLS, name)
            del churn.wanted[name]
        settled(cluster, churn, checks)
        controller.terminate()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--pools", type=int, default=50)
    chosen = options.parse_args()
    sys.exit(run({"operator_kills": lambda checks: check(checks, chosen.kills, chosen.pools)}, Checks()))


if __name__ == "__main__":
    main()
