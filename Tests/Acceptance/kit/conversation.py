"""One client's conversation: asks turn after turn, notes what it saw acknowledged, and asks again where it saw no end."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from kit.client import Client, Turn

Styles = Literal["stream", "whole", "native"]
PATIENCE = 60  # seconds in which a turn must be acknowledged, kills and all


@dataclass(frozen=True)
class Manner:
    """How a client behaves around its turns; times in seconds."""

    think: tuple[float, float] = (0, 0)  # between two turns, at least and at most
    retry: float = 0.01  # before it asks again
    timeout: float = 20  # without a byte, after which it gives a request up
    strays: float = 0  # the part of its turns that begin at another worker than the one before
    names_turns: bool = True  # its requests carry the turn's id


@dataclass(frozen=True)
class Entry:
    """A line of the client's own ledger: a turn that it saw acknowledged."""

    turn_id: str
    user: str
    reply: str
    asked: float = 0  # for the first time; `time.monotonic`
    acknowledged: float = 0


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

    def __init__(
        self,
        session: str,
        style: Styles,
        port: int | Sequence[int],
        limit: int | None = None,
        manner: Manner = Manner(),
        speaker: str | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.session = session
        self.speaker = speaker or session  # turns are named after it: two may speak in one session
        self.style = style
        ports = [port] if isinstance(port, int) else port
        user = f"user-of-{session}"
        self.clients = [Client(each, user=user, timeout=manner.timeout) for each in ports]
        self.manner = manner
        self.limit = limit
        self.ledger: list[Entry] = []
        self.asked_again = 0  # turns whose end was not seen at first
        self.stuck: str | None = None  # the turn that was never acknowledged, with the last error
        self.attempt: Attempt | None = None
        self.notice: Callable[[str], None] = lambda kind: None
        self._over = threading.Event()
        self._rng = random.Random(session)
        self._worker = self._rng.randrange(len(self.clients))

    def finish(self) -> None:
        """Ends the conversation after the running turn, which is asked for until it is acknowledged."""
        self._over.set()

    def ids(self) -> list[str]:
        return [entry.turn_id for entry in self.ledger]

    def run(self) -> None:
        number = 0
        self._over.wait(self._rng.uniform(0, self.manner.think[1]))
        while self.stuck is None and not self._over.is_set() and number != self.limit:
            number += 1
            turn_id = f"{self.speaker}-turn-{number:05d}"
            text = f"{turn_id} where are my nine parcels now, please tell me"
            self._ask_until_acknowledged(turn_id, text)
            self._over.wait(self._rng.uniform(*self.manner.think))
            if self._rng.random() < self.manner.strays:
                self._go_elsewhere()

    def _go_elsewhere(self) -> None:
        self._worker = (self._worker + 1) % len(self.clients)

    def _ask_until_acknowledged(self, turn_id: str, text: str) -> None:
        last_error, attempts = "no answer", 0
        begun = time.monotonic()
        deadline = begun + PATIENCE
        while time.monotonic() < deadline:
            attempts += 1
            attempt = self.attempt = Attempt(turn_id, text, time.monotonic())
            turn = self._ask(attempt)
            if turn is not None and turn.acknowledged:
                attempt.acknowledged = time.monotonic()
                self.notice("acknowledged")
                self.ledger.append(Entry(turn_id, text, turn.text, begun, attempt.acknowledged))
                self.asked_again += attempts > 1
                return
            if turn is not None and turn.error:
                last_error = f"{turn.status} {turn.error}"
            self._go_elsewhere()
            time.sleep(self.manner.retry)
        self.stuck = f"{turn_id}: {last_error}"

    def _ask(self, attempt: Attempt) -> Turn | None:
        def on_text(_: str) -> None:
            if attempt.first_text is None:
                attempt.first_text = time.monotonic()
                self.notice("streaming")

        client, name = self.clients[self._worker], attempt.turn_id if self.manner.names_turns else None
        try:
            if self.style == "native":
                return client.native(attempt.text, self.session, name, on_text)
            return client.chat(attempt.text, self.session, name, self.style == "stream", on_text)
        except (OSError, http.client.HTTPException):
            return None  # the worker was killed, or said nothing for too long: no end was seen
