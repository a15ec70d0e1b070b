"""A genuine tool server as a process: PyPI's `mcp` SDK over standard input and output, in both eras of the protocol or the older one.

What its tools carry out stands in a ledger, a file that outlives it. `OFFICE_FAULT` in its environment makes it misbehave.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.runner import serve_loop
from mcp.server.stdio import stdio_server
from mcp.types import ToolAnnotations
from pydantic import BaseModel

ACCEPTANCE = Path(__file__).resolve().parents[1]
READS = ToolAnnotations(read_only_hint=True)
server = MCPServer("parcel-office", version="1")


def note(what: str) -> None:
    """A line is written whole or not at all, by whichever process."""
    with Path(os.environ["OFFICE_LEDGER"]).open("a") as ledger:
        ledger.write(f"{os.getpid()} {what}\n")


class Parcel(BaseModel):
    """Where a parcel is."""

    number: str
    city: str


@server.tool(annotations=READS)
def find_parcel(number: str) -> Parcel:
    """Says where a parcel is."""
    return Parcel(number=number, city="Zürich")


@server.tool(annotations=ToolAnnotations(read_only_hint=False, idempotent_hint=False))
def send_parcel(city: str) -> str:
    """Sends a parcel. Each call sends another."""
    note("send_parcel")
    return f"a parcel is on its way to {city}"


@server.tool(annotations=ToolAnnotations(read_only_hint=False, idempotent_hint=False))
async def load_van(seconds: float, steps: int, ctx: Context[Any, Any]) -> str:
    """Loads a van slowly, and says how far it is."""
    note("load_van begun")
    try:
        for step in range(steps):
            await ctx.report_progress(step, steps, f"step {step} of {steps}")
            await anyio.sleep(seconds / max(1, steps))
    except BaseException:
        note("load_van cancelled")
        raise
    note("load_van")
    return "the van is full"


@server.tool(annotations=READS)
def list_everything() -> str:
    """Lists every parcel that there ever was."""
    return "p" * (10 << 20)


@server.tool(annotations=READS)
def show_desk() -> str:
    """Tells what its process was given."""
    return " ".join(sorted(os.environ))


async def serve(era: str) -> None:
    office = server._lowlevel_server
    async with stdio_server() as (read, write):
        options = office.create_initialization_options()
        if era == "both":
            await office.run(read, write, options)
        else:
            # The SDK's loop of the handshake era, which knows no other.
            async with office.lifespan(office) as state:
                await serve_loop(office, read, write, lifespan_state=state, init_options=options)


class MCPStdioServer:
    """What a manifest says of such a server, and what its processes have done."""

    def __init__(self, folder: Path, era: str = "both", fault: str = "") -> None:
        self._ledger = folder / f"ledger-{era}-{fault or 'none'}"
        self._ledger.touch()
        self.entry = {
            "name": f"office-{fault}" if fault else "office",
            "command": [sys.executable, "-m", "kit.mcp_stdio_server", "--era", era],
            "env": {
                "PYTHONPATH": str(ACCEPTANCE),
                "OFFICE_LEDGER": str(self._ledger),
                "OFFICE_FAULT": fault,
                "OFFICE_TOKEN": "sk-stdio-secret",
            },
        }

    def lines(self) -> list[tuple[int, str]]:
        """Of the ledger: which process did what."""
        return [
            (int(pid), what)
            for pid, _, what in (r.partition(" ") for r in self._ledger.read_text().splitlines())
        ]

    def done(self) -> Counter[str]:
        return Counter(what for _, what in self.lines())

    def pids(self) -> list[int]:
        """Its processes, in the order of their starts."""
        return [pid for pid, what in self.lines() if what == "started"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--era", choices=["both", "older"], default="both")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    note("started")
    fault = os.environ.get("OFFICE_FAULT", "")
    print(f"parcel office at work, {os.environ.get('OFFICE_TOKEN')}", file=sys.stderr, flush=True)
    if fault == "rubbish":
        print("Welcome to the parcel office!\n{\n[1, 2\n\n" + "x" * 100_000, flush=True)
    if fault == "silent":
        time.sleep(3600)
    if fault == "ends":
        sys.exit(3)
    if fault == "family":
        subprocess.Popen(["sleep", "3600"])
    anyio.run(serve, options.era)
    if fault == "family":
        # It takes no notice of the end of its input.
        time.sleep(3600)


if __name__ == "__main__":
    main()
