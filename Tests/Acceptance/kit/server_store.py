"""Reads the raw rows of the stores on servers, past the worker: turns and plans from Redis, memories from Milvus."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from redis.crc import key_slot

from kit.store import Rows, StoredTurn, stored_turn
from kit.stores import Cluster, Milvus, RedisNode

CLIENT = Path(__file__).with_name("milvus_rows.py")


@dataclass(frozen=True)
class MemoryRow:
    """One row of Milvus."""

    id: str
    session: str
    first: int
    last: int
    text: str


@dataclass
class ServerRows(Rows):
    """Rows with what only servers have; a session goes by the client's name of it."""

    archived: list[MemoryRow] = field(default_factory=list)
    waiting: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # plans that L2 still holds
    claimed: list[str] = field(
        default_factory=list
    )  # those that a worker has taken on, and may have died with
    slots: dict[str, int] = field(default_factory=dict)
    unscheduled: list[str] = field(default_factory=list)  # sessions at which nobody will ever look
    miscounted: list[str] = field(default_factory=list)  # checkpoints that disagree with their turns

    @property
    def plans(self) -> int:
        return sum(len(ranges) for ranges in self.waiting.values())


def read_servers(cluster: Cluster, milvus: Milvus, collection: str) -> ServerRows:
    """All sessions of the cluster, and the memories of one collection."""
    rows = ServerRows({}, {}, "")
    masters = [node for node in cluster.nodes if node.is_master()]
    scheduled = {
        (key.split(":work:")[0], member)
        for node in masters
        for key in node.keys("agentpool:*:work:*")
        for member in node.members(key)
    }
    for node in masters:
        for key in node.keys("agentpool:*:session:*"):
            _read_session(node, key, scheduled, rows)
    for memory in read_memories(milvus, collection):
        rows.archived.append(memory)
        rows.memories.setdefault(memory.session, []).append((memory.first, memory.last))
    for ranges in rows.memories.values():
        ranges.sort()
    return rows


def _read_session(node: RedisNode, key: str, scheduled: set[tuple[str, str]], rows: ServerRows) -> None:
    checkpoint, turns, batches = (
        node.hash(key.replace(":session:", f":{kind}:")) for kind in ("session", "turns", "batches")
    )
    name = checkpoint["n"]
    prefix, principal, session = re.split(r":\{|\}:session:", key)
    if (prefix, f"{principal}:{session}") not in scheduled:
        rows.unscheduled.append(name)
    sequences = sorted(int(sequence) for sequence in turns)
    rows.turns[name] = [_turn(turns[str(sequence)]) for sequence in sequences]
    rows.slots[name] = key_slot(key.encode())
    last = rows.turns[name][-1].id if sequences else ""
    count = len(sequences)
    if (checkpoint["k"], checkpoint["l"], sequences) != (str(count), last, [*range(1, count + 1)]):
        rows.miscounted.append(f"{name}: {checkpoint}; stored {sequences}")
    plans = [(int(first), int(value.split("\n")[0])) for first, value in batches.items() if ":" not in first]
    if plans:
        rows.waiting[name] = sorted(plans)
        rows.claimed += [f"{name} {first}-{last}" for first, last in plans if f"{first}:token" in batches]


def _turn(value: str) -> StoredTurn:
    """Ending, id and digest stand in lines of their own, for scripts; the turn is the rest."""
    return stored_turn(json.loads(value.split("\n", 3)[3]))


def read_memories(milvus: Milvus, collection: str) -> list[MemoryRow]:
    return [
        MemoryRow(row["id"], row["session_name"], row["first_turn"], row["last_turn"], row["text"])
        for row in json.loads(_order(milvus, collection, "rows"))
    ]


def delete_memory(milvus: Milvus, collection: str, row: MemoryRow) -> None:
    _order(milvus, collection, "delete", row.id)


def copy_memory(milvus: Milvus, collection: str, row: MemoryRow, other: str) -> None:
    _order(milvus, collection, "copy", row.id, other)


def _order(milvus: Milvus, collection: str, *words: str) -> str:
    command = [str(milvus.python), str(CLIENT), str(milvus.port), collection, *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"Milvus's client failed: {done.stderr[-2000:]}")
    return done.stdout
