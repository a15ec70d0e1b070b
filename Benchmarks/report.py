"""Turns the figures of a run into the table that people read, with the machine it ran on."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from measures import Sample

Row = tuple[str, str, str, str]


def machine() -> dict[str, str]:
    cpu = "unknown"
    cores = 0
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            cores += 1
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1048576
    return {
        "cores": f"{cores} x {cpu}",
        "memory": f"{memory:.1f} GiB",
        "kernel": platform.release(),
        "swift": _first_line("swift", "--version"),
        "python": sys.version.split()[0],
    }


def versions(*packages: str) -> str:
    return ", ".join(f"{package} {version(package)}" for package in packages)


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not found"
    return done.stdout.splitlines()[0]


def middle(samples: list[Sample], *path: str) -> float:
    """The median over the rounds of one figure."""
    values: list[float] = []
    for sample in samples:
        value: Any = sample
        for key in path:
            value = value[key]
        values.append(float(value))
    return median(values)


def table(results: dict[str, Any]) -> str:
    """The Markdown page of one run."""
    rows = [*_cpu(results["cpu"]), *_first_token(results["first_token"]), *_saturated(results["saturated"])]
    rows += [*_streams(results["idle_streams"]), *_allocations(results["allocations"])]
    lines = [f"- {name}: {value}" for name, value in results["machine"].items()]
    if results["quick"]:
        lines.append("- a quick run: it shows that everything works, its figures mean nothing")
    lines += ["", "| | AgentPool | FastAPI | AgentPool : FastAPI |", "| --- | ---: | ---: | ---: |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _row(name: str, ours: float, theirs: float, form: str = "{:,.0f}") -> Row:
    ratio = f"{ours / theirs:.2f}" if theirs > 0 else ""
    return name, form.format(ours), form.format(theirs), ratio


def _cpu(s: dict[str, list[Sample]]) -> list[Row]:
    ours, theirs = s["agentpool: paced"], s["fastapi: paced"]
    turns = sum(x["turns"] for x in ours)
    name = f"CPU time of a 20-token streamed turn, tokens 5 ms apart, 16 clients (us; {turns:,} turns)"
    return [_row(name, middle(ours, "cpu_us_per_turn"), middle(theirs, "cpu_us_per_turn"))]


def _first_token(s: dict[str, list[Sample]]) -> list[Row]:
    rows = []
    for what in [key.removeprefix("model: ") for key in s if key.startswith("model: ")]:
        for quantile in ("p50", "p99"):
            direct, ours, theirs = (
                middle(s[f"{name}: {what}"], "first_token_us", quantile) / 1e3
                for name in ("model", "agentpool", "fastapi")
            )
            name = f"added to {what}, {quantile} (ms; direct {direct:.2f})"
            rows.append(_row(name, ours - direct, theirs - direct, "{:.2f}"))
    return rows


def _saturated(s: dict[str, list[Sample]]) -> list[Row]:
    rows = []
    for mode in ("streamed", "whole"):
        samples = [s[f"{name}: {mode}"] for name in ("agentpool", "fastapi")]
        direct = middle(s[f"model: {mode}"], "per_second")
        label = f"{mode} 20-token turns, tokens at once, 64 clients"
        rate = [middle(x, "per_second") for x in samples]
        rows.append(_row(f"{label} (turns/s; the model directly {direct:,.0f})", rate[0], rate[1]))
        cpu = [middle(x, "cpu_us_per_turn") for x in samples]
        rows.append(_row(f"{label} (CPU us a turn)", cpu[0], cpu[1]))
    return rows


def _streams(s: dict[str, Any]) -> list[Row]:
    first, last = s["from_to"]
    each = s["bytes_each"]
    name = f"user-space bytes an idle event stream, slope from {first:,} to {last:,} streams"
    return [_row(name, each["agentpool"], each["fastapi"])]


def _allocations(s: dict[str, list[Sample]]) -> list[Row]:
    rows = []
    for ours, theirs in zip(s["agentpool"], s["fastapi"], strict=True):
        name = f"bytes allocated a turn with {ours['history']:,} turns of history ({ours['turns']} turns)"
        rows.append(_row(name, ours["bytes_per_turn"], theirs["bytes_per_turn"]))
    return rows
