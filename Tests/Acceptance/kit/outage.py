"""What clients see while a store misbehaves: turns asked side by side, each with its times, and the ledger of what was acknowledged."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from kit.checks import Checks
from kit.client import Client, Turn
from kit.conversation import Entry, Styles
from kit.store import Rows

COMMIT_DEADLINE = 15.0
LOAD_DEADLINE = 5.0
# Longer than the defaults, so that only the fault makes a stage late, on a busy machine too.
RECALL = {"deadline": "300ms", "embeddingDeadline": "300ms"}
RECALL_DEADLINE = 0.3 + 0.3  # of the embedding, and of the index after it
GRACE = 5.0  # what a busy machine may add to a promised deadline
MEMORY = 64 << 20  # what a fault may cost of the worker's own memory


@dataclass(frozen=True)
class Request:
    """A turn that is to be asked; its id and its text are made of its session and its name."""

    style: Styles
    session: str
    name: str

    @property
    def turn_id(self) -> str:
        return f"{self.session}-{self.name}"

    @property
    def text(self) -> str:
        return f"{self.turn_id}: where are the nine parcels of locker 4711?"


@dataclass(frozen=True)
class Seen:
    """A turn as its client saw it; times in seconds from its request."""

    turn: Turn
    first: float | None  # the first text of a streamed answer
    last: float

    @property
    def code(self) -> str | None:
        return self.turn.error.get("code")

    @property
    def recalled(self) -> dict[str, Any]:
        """What a native turn was told of its recall; empty where it was told nothing."""
        return next((value for name, value in self.turn.events if name == "memory.recalled"), {})

    def __str__(self) -> str:
        first = "none" if self.first is None else f"{self.first:.2f} s"
        end = "acknowledged" if self.turn.acknowledged else f"{self.code}: {self.turn.error.get('message')}"
        return f"{self.turn.status}, first text {first}, ended {self.last:.2f} s, {end}"


@dataclass
class Clients:
    """The clients of one user at one worker, and what they saw acknowledged."""

    client: Client
    ledger: dict[str, Entry] = field(default_factory=dict)

    def ask(self, request: Request) -> Seen:
        begun = time.monotonic()
        first: list[float] = []

        def on_text(_: str) -> None:
            first.append(time.monotonic() - begun)

        try:
            if request.style == "native":
                turn = self.client.native(request.text, request.session, request.turn_id, on_text)
            else:
                streams = request.style == "stream"
                turn = self.client.chat(request.text, request.session, request.turn_id, streams, on_text)
        except (OSError, http.client.HTTPException) as error:
            turn = Turn(error={"code": type(error).__name__, "message": str(error)})
        if turn.acknowledged:
            self.ledger[request.turn_id] = Entry(request.turn_id, request.text, turn.text)
        return Seen(turn, first[0] if first else None, time.monotonic() - begun)

    def ask_all(self, requests: list[Request]) -> list[Seen]:
        """At the same time, each over a connection of its own."""
        seen: dict[Request, Seen] = {}

        def ask(request: Request) -> None:
            seen[request] = self.ask(request)

        threads = [threading.Thread(target=ask, args=(request,)) for request in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [seen[request] for request in requests]

    def lost(self, rows: Rows) -> list[str]:
        """Turns that were acknowledged and that the store lacks, or holds with other words."""
        stored = {turn.id: (turn.user, turn.reply) for turns in rows.turns.values() for turn in turns}
        return [e.turn_id for e in self.ledger.values() if stored.get(e.turn_id) != (e.user, e.reply)]

    def all_kept(self, checks: Checks, when: str, rows: Rows, sessions: list[str]) -> None:
        checks.equal(f"{when}: no acknowledged turn is lost", self.lost(rows), [])
        stored = [turn.id for session in sessions for turn in rows.turns.get(session, [])]
        checks.holds(
            f"{when}: each is stored once, and nothing beside them",
            sorted(stored) == sorted(self.ledger),
            f"{len(stored)} turns",
        )


def in_time(checks: Checks, what: str, seen: Seen, first: float | None, last: float) -> None:
    """Holds a turn against promised deadlines; `first` is none where no text was to come, or nothing is promised of it."""
    if first is not None:
        soon = seen.first is not None and seen.first < first
        checks.holds(f"{what}: the first text came within {first:.1f} s", soon, seen.first)
    checks.holds(f"{what}: the end came within {last:.0f} s", seen.last < last, f"{seen.last:.1f} s")
