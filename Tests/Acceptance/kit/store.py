"""Reads the raw rows of the embedded store, past the worker: what is really there."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

TURNS = "SELECT session.name, payload FROM turn JOIN session ON session.id = turn.session ORDER BY turn.id"
MEMORIES = "SELECT session_name, first_turn, last_turn FROM memory_row ORDER BY session_name, first_turn"
FILE = "memory.sqlite"


@dataclass(frozen=True)
class StoredTurn:
    """A committed turn as its row holds it."""

    id: str
    user: str
    reply: str
    ending: str
    concurrent: bool  # another writer's turn came in between


@dataclass
class Rows:
    """The store at one moment: turns in order and memories as ranges of turns, both by the client's name of the session."""

    turns: dict[str, list[StoredTurn]]
    memories: dict[str, list[tuple[int, int]]]
    text: str  # every text of every table, for looking for what should be gone


def read(data: Path) -> Rows:
    """The rows under a running worker, as any other reader of the file sees them."""
    return _open(f"file:{data / FILE}?mode=ro")


def read_remains(data: Path) -> Rows:
    """The rows that a dead worker left. Reads a copy: the journal stays as it is, for the worker to recover."""
    with tempfile.TemporaryDirectory(prefix="agentpool-rows-") as folder:
        for name in (FILE, FILE + "-wal"):
            if (data / name).exists():
                shutil.copy(data / name, folder)
        return _open(f"file:{Path(folder) / FILE}")


def _open(uri: str) -> Rows:
    connection = sqlite3.connect(uri, uri=True, timeout=10)
    try:
        return _rows(connection)
    finally:
        connection.close()


def _rows(connection: sqlite3.Connection) -> Rows:
    turns: dict[str, list[StoredTurn]] = defaultdict(list)
    for session, text in connection.execute(TURNS):
        turns[session].append(stored_turn(json.loads(text)))
    memories: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for session, first, last in connection.execute(MEMORIES):
        memories[session].append((first, last))
    return Rows(dict(turns), dict(memories), _all_text(connection))


def stored_turn(turn: dict[str, object]) -> StoredTurn:
    """A turn from the JSON that every store keeps of it."""
    said: dict[str, str] = {"user": "", "assistant": ""}
    messages = turn["messages"]
    if isinstance(messages, list):
        for message in messages:
            said[message["role"]] = message["content"]
    return StoredTurn(
        str(turn["id"]), said["user"], said["assistant"], str(turn["ending"]), turn["concurrent"] is True
    )


def _all_text(connection: sqlite3.Connection) -> str:
    names = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not name.startswith("sqlite_")
    ]
    texts = []
    for name in names:
        for row in connection.execute(f'SELECT * FROM "{name}"'):
            texts += [value for value in row if isinstance(value, str)]
    return "\n".join(texts)
