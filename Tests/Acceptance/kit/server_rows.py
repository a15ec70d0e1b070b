"""Reads the raw rows of Redis and Milvus, past the worker: what is really there."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kit.servers import cli, milvus_lite
from kit.store import Rows, stored_turn


def read_servers(redis: list[int], milvus: int | None = None, collection: str = "") -> Rows:
    """The rows of all pools that use the given Redis nodes, replicas left aside, and the memories of one collection."""
    rows = Rows({}, {}, "")
    for port in redis:
        if _ask(port, "ROLE")[0] != "master":
            continue
        for name, turns in _sessions(port):
            rows.turns[name] = [stored_turn(json.loads(value.split("\n", 3)[3])) for value in turns]
    if milvus is not None:
        rows.memories, rows.text = _memories(milvus, collection)
    return rows


def _sessions(port: int) -> Iterator[tuple[str, list[str]]]:
    """Every session's name and its turns' values, by their sequence."""
    for key in _ask(port, "KEYS", "agentpool:*:session:*"):
        turns = _ask(port, "HGETALL", key.replace("}:session:", "}:turns:"))
        yield _ask(port, "HGET", key, "n"), [turns[number] for number in sorted(turns, key=int)]


def _memories(port: int, collection: str) -> tuple[dict[str, list[tuple[int, int]]], str]:
    python = Path(milvus_lite()).parent / "python"
    program = Path(__file__).parent / "milvus_rows.py"
    # milvus-lite's own environment has the client that ours need not have.
    printed = subprocess.run(
        [python, program, str(port), collection, "rows"], capture_output=True, text=True, check=True
    ).stdout
    memories: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in json.loads(printed):
        memories[row["session_name"]].append((row["first_turn"], row["last_turn"]))
    return {name: sorted(ranges) for name, ranges in memories.items()}, printed


def _ask(port: int, *command: str) -> Any:
    return json.loads(cli(port, "--json", *command))
