"""One client's conversation: asks turn after turn, notes what it saw acknowledged, and asks again where it saw no end."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kit.client import Client, Turn

Styles = Literal["stream", "whole", "native"]
PATIENCE = 60  # seconds in which a turn must be acknowledged, kills and all


@dataclass(frozen=True)
class Entry:
    """A line of the client's own ledger: a turn that it saw acknowledged."""

    turn_id: str
    user: str
    reply: str


@dataclass
class Attempt:
    """One request for a turn; times are `time.monotonic`, None for what was not seen."""

    turn_id: str
    text: str
    asked: float
    first_text: float | None = None
    acknowledged: float | None = None


class Conversation(threading.Thread):
    """A session's client in a thread of its own; `ledger` may be read after `join`."""

    def __init__(self, session: str, style: Styles, port: int, limit: int | None = None) -> None:
        super().__init__(daemon=True)
        self.session = session
        self.style = style
        self.client = Client(port, user=f"user-of-{session}", timeout=20)
        self.limit = limit
        self.ledger: list[Entry] = []
        self.asked_again = 0  # turns whose end was not seen at first
        self.stuck: str | None = None  # the turn that was never acknowledged, with the last error
        self.attempt: Attempt | None = None
        self.notice: Callable[[str], None] = lambda kind: None
        self._over = threading.Event()

    def finish(self) -> None:
        """Ends the conversation after the running turn, which is asked for until it is acknowledged."""
        self._over.set()

    def ids(self) -> list[str]:
        return [entry.turn_id for entry in self.ledger]

    def run(self) -> None:
        number = 0
        while self.stuck is None and not self._over.is_set() and number != self.limit:
            number += 1
            turn_id = f"{self.session}-turn-{number:05d}"
            text = f"{turn_id} where are my nine parcels now, please tell me"
            self._ask_until_acknowledged(turn_id, text)

    def _ask_until_acknowledged(self, turn_id: str, text: str) -> None:
        last_error, attempts = "no answer", 0
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            attempts += 1
            attempt = self.attempt = Attempt(turn_id, text, time.monotonic())
            turn = self._ask(attempt)
            if turn is not None and turn.acknowledged:
                attempt.acknowledged = time.monotonic()
                self.notice("acknowledged")
                self.ledger.append(Entry(turn_id, text, turn.text))
                self.asked_again += attempts > 1
                return
            if turn is not None and turn.error:
                last_error = f"{turn.status} {turn.error}"
            time.sleep(0.01)
        self.stuck = f"{turn_id}: {last_error}"

    def _ask(self, attempt: Attempt) -> Turn | None:
        def on_text(_: str) -> None:
            if attempt.first_text is None:
                attempt.first_text = time.monotonic()
                self.notice("streaming")

        try:
            if self.style == "native":
                return self.client.native(attempt.text, self.session, attempt.turn_id, on_text)
            streams = self.style == "stream"
            return self.client.chat(attempt.text, self.session, attempt.turn_id, streams, on_text)
        except (OSError, http.client.HTTPException):
            return None  # the worker was killed: no end was seen
