"""An API server that refuses, loses answers, cuts watches, forgets versions and restarts under a controller: right in the end, memory bounded."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time

from kit.checks import Checks, eventually, run
from kit.cluster import Cluster
from kit.controllers import Churn, Controller, Nodes, is_led
from operator_kills import settled

SEED = 20240713
# What may come on top of what the controller holds when it is calm.
GROWTH = 32 << 20


def trouble(cluster: Cluster, rng: random.Random, controller: Controller, seconds: float) -> tuple[int, int]:
    """Makes trouble for a while; how often, and the most memory that the controller had."""
    count, most = 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if cluster.is_real:
            os.kill(int(os.environ["AGENTPOOL_TEST_CONTROL_PLANE"]), signal.SIGUSR1)
            time.sleep(10)
        else:
            match rng.randrange(6):
                case 0: cluster.fault(effect="refuse", code=429, retryAfter=1, path=cluster.namespace, times=20, every=2)
                case 1: cluster.fault(effect="refuse", code=500, path=cluster.namespace, times=20, every=2)
                case 2: cluster.fault(effect="loseAnswer", path=cluster.namespace, times=10, every=3)
                case 3: cluster.fault(effect="hang", method="PATCH", path="/deployments/", times=1)
                case 4: cluster.control("POST", "cut-watches")
                case _: cluster.control("POST", "expire-versions")
            time.sleep(rng.uniform(0.2, 1))
        count += 1
        most = max(most, controller.memory())
    if not cluster.is_real:
        cluster.control("DELETE", "faults")
    return count, most


def check(checks: Checks, seconds: float = 15, pools: int = 20) -> None:
    """The promise: no restart of the controller is needed, whatever the API server did."""
    with Cluster() as cluster, Nodes(cluster):
        controller = Controller(cluster)
        if not eventually(lambda: is_led(cluster), 60):
            raise RuntimeError(f"the controller does not lead:\n{controller.tail()}")
        with Churn(cluster, pools, SEED, pause=0.1) as churn:
            time.sleep(3)
            calm = controller.memory()
            count, most = trouble(cluster, random.Random(SEED), controller, seconds)
        what = "restarts" if cluster.is_real else "faults stated"
        checks.note(f"{count} {what}, {churn.writes} writes of the user")
        settled(cluster, churn, checks)
        checks.holds(
            "its memory stayed within bounds", most < calm + GROWTH,
            f"{calm >> 20} MiB before, {most >> 20} at most, {controller.memory() >> 20} after")
        checks.equal("SIGTERM ends the controller with 0", controller.terminate(), 0)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    chosen = options.parse_args()
    sys.exit(run({"operator_faults": lambda checks: check(checks, chosen.seconds)}, Checks()))


if __name__ == "__main__":
    main()
