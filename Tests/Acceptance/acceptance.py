"""Runs all acceptance programs that need no quiet machine against the built binary, the quick ones first, and begins none after a failure."""

from __future__ import annotations

import argparse
import sys

import agents
import approvals
import approvals_elsewhere
import bad_stores
import client_tools
import crash
import drain
import drain_streams
import guards
import mcp_lies
import mcp_stdio
import mcp_tools
import memory
import operator_faults
import operator_kills
import operator_pause
import outages
import purge
import refusals
import response_approvals
import response_ends
import response_items
import responses
import rolling
import sdk
import secure_redis
import skills
import slow_reader
import two_workers
import workflow
from kit.checks import Checks, Program, run
from kit.lanes import Lanes


PROGRAMS: dict[str, Program] = {
    "sdk": sdk.program,
    "responses": responses.program,
    "response_ends": response_ends.program,
    "response_items": response_items.program,
    "response_approvals": response_approvals.program,
    "client_tools": client_tools.program,
    "memory": memory.program,
    "mcp_tools": mcp_tools.program,
    "agents": agents.program,
    "mcp_lies": mcp_lies.program,
    "mcp_stdio": mcp_stdio.program,
    "approvals": approvals.program,
    "approvals_elsewhere": approvals_elsewhere.program,
    "skills": skills.program,
    "workflow": workflow.program,
    "guards": guards.program,
    "drain": drain.program,
    "drain_streams": drain_streams.check,
    "refusals": refusals.program,
    "slow_reader": slow_reader.program,
    "secure_redis": secure_redis.program,
    "purge": purge.program,
    "two_workers": two_workers.program,
    "bad_stores": bad_stores.program,
    "crash": crash.check,
    "outages": outages.check,
    "rolling": rolling.check,
    "operator_kills": operator_kills.check,
    "operator_pause": operator_pause.check,
    "operator_faults": operator_faults.check,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--kills", type=int, default=200, help="how often the crash program kills (40 is a short run)"
    )
    options.add_argument("--lanes", type=int, default=1, help="how many programs run at a time")
    options.add_argument("--program", choices=PROGRAMS, help="run this one alone, in this process")
    chosen = options.parse_args()
    if chosen.program:
        sys.exit(run({chosen.program: PROGRAMS[chosen.program]}, Checks(chosen.kills)))
    command = [sys.executable, __file__, "--kills", str(chosen.kills), "--program"]
    sys.exit(Lanes(command, list(PROGRAMS)).run(chosen.lanes))


if __name__ == "__main__":
    main()
