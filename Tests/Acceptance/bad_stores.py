"""Stores that are slow, silent, full, read-only or no stores at all: what clients are told and when, and that nothing is lost by it."""

from __future__ import annotations

import argparse
import os
import sys
import time

import bad_milvus
import bad_redis
from kit.checks import Checks, Program, run, side_by_side
from kit.model import ModelServer
from kit.server_rows import read_servers
from kit.servers import Servers
from kit.store_proxy import StoreProxy


def program(checks: Checks, only: str = "") -> None:
    """Every fault at the same time, each with a worker of its own: most of the time they wait for deadlines."""
    model = ModelServer()
    with Servers() as servers:
        faults: dict[str, Program] = {}
        if "Milvus".startswith(only.partition(",")[0]):
            faults |= bad_milvus.programs(servers, model)
        if "Redis".startswith(only.partition(",")[0]):
            faults |= bad_redis.programs(servers, model)
        side_by_side({name: fault for name, fault in faults.items() if name.startswith(only)}, checks)
    model.close()


def expect_loss() -> int:
    """The control: a worker that acknowledges before it commits must be caught when Redis is full. 0 if it was."""
    early = os.environ.get("AGENTPOOL_EARLY")
    if not early:
        print("--expect-loss needs AGENTPOOL_EARLY, the worker that acknowledges too early")
        return 2
    model = ModelServer()
    with Servers() as servers:
        case = bad_redis.configured("full", servers.redis(), "maxmemory", bad_redis.FULL, "0")
        proxy = StoreProxy(case.target)
        with case.worker(model, proxy, early) as worker:
            clients = case.prepare(Checks(), worker)
            case.begin(proxy)
            clients.ask_all(case.during())
            time.sleep(1)  # its commits are on their way
            case.end(proxy)
            lost = clients.lost(read_servers([case.target]))
        proxy.close()
    model.close()
    acknowledged = len(clients.ledger)
    print(f"{len(lost)} of {acknowledged} acknowledged turns lost: {'caught' if lost else 'NOT CAUGHT'}")
    return 0 if lost else 1


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", help='faults whose names begin so: "Redis", "Milvus, silent"')
    options.add_argument(
        "--expect-loss",
        action="store_true",
        help="run AGENTPOOL_EARLY on a full Redis; succeed if it loses a turn",
    )
    chosen = options.parse_args()
    if chosen.expect_loss:
        sys.exit(expect_loss())
    sys.exit(run({"bad_stores": lambda checks: program(checks, chosen.only)}, Checks()))


if __name__ == "__main__":
    main()
