"""Stops the leading controller past its lease and lets it go on: the other takes over in time, and the old one writes nothing any more."""

from __future__ import annotations

import argparse
import signal
import sys
import time

from kit.checks import Checks, eventually, run
from kit.cluster import Cluster, Write
from kit.controllers import LEASE, Churn, Controller, Nodes
from operator_kills import settled

SEED = 20240712
LEASE_SECONDS = 15
# The stand-by looks every two seconds and a bit.
SLACK = 5


def renewals(writes: list[Write]) -> list[tuple[int, Write]]:
    """The writes of the lease that were taken, with their places among all."""
    return [
        (place, write)
        for place, write in enumerate(writes)
        if f"/leases/{LEASE}" in write.path and write.code < 300 or write.path.endswith("/leases") and write.code == 201
    ]


def leader(cluster: Cluster) -> str:
    taken = [write.user for _, write in renewals(cluster.writes()) if write.user.startswith("user-")]
    return taken[-1] if taken else ""


def late(writes: list[Write], old: str, since: int) -> list[Write]:
    """What `old` wrote after the other had taken the lease, and before it took it back."""
    found = []
    for write in writes[since + 1 :]:
        if write.user != old:
            continue
        if "/leases" not in write.path:
            found.append(write)
        elif write.code < 300:
            break
    return found


def check(checks: Checks, rounds: int = 1, pools: int = 12) -> None:
    """The promise: one leader at a time, and never none for longer than a lease."""
    with Cluster() as cluster, Nodes(cluster):
        controllers = {user: Controller(cluster, user) for user in ("user-1", "user-2")}
        if not eventually(lambda: leader(cluster) != "", 60):
            raise RuntimeError("nobody leads")
        waits: list[float] = []
        written: list[Write] = []
        with Churn(cluster, pools, SEED, pause=0.15) as churn:
            for _ in range(rounds):
                old = leader(cluster)
                time.sleep(2)
                controllers[old].signal(signal.SIGSTOP)
                stopped = time.time()
                try:
                    taken = eventually(lambda: leader(cluster) not in ("", old), LEASE_SECONDS + 60, step=0.2)
                    writes = cluster.writes()
                    time.sleep(max(0.0, stopped + LEASE_SECONDS + 3 - time.time()))
                finally:
                    controllers[old].signal(signal.SIGCONT)
                if not taken:
                    raise RuntimeError(f"nobody took over from {old}")
                place, taking = next((p, w) for p, w in renewals(writes) if w.user not in (old, "admin") and w.time > stopped)
                waits.append(taking.time - stopped)
                time.sleep(6)
                written += late(cluster.writes(), old, place)
        shown = " ".join(f"{wait:.1f}" for wait in waits)
        checks.holds(
            f"the stand-by led after {shown} s of a lease of {LEASE_SECONDS} s",
            max(waits) < LEASE_SECONDS + SLACK)
        checks.equal("writes of the old leader after the other had the lease", written, [])
        settled(cluster, churn, checks)
        for controller in controllers.values():
            checks.equal("SIGTERM ends the controller with 0", controller.terminate(), 0)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    sys.exit(run({"operator_pause": lambda checks: check(checks, chosen.rounds)}, Checks()))


if __name__ == "__main__":
    main()
