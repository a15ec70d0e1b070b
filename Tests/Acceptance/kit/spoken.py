"""One turn as its client saw it: its text, who answered, the order of its events, and whether it came to its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from kit.haproxy import SERVED_BY
from kit.recital import Recital
from kit.sse import Event
from kit.tool_talk import ToolTalk

Kind = Literal["native", "sdk", "curl"]


@dataclass
class Spoken:
    """Times are `time.monotonic`."""

    kind: Kind
    session: str
    recital: Recital
    begun: float
    turn_id: str = ""
    text: str = ""
    whole: bool = False  # the last event was seen
    cuts: int = 0  # requests without an answer, and streams that ended without their last event
    statuses: list[int] = field(default_factory=list)  # of every answer, also of those that an SDK hides
    slots: list[str] = field(default_factory=list)  # who gave them
    tiers: list[str] = field(default_factory=list)
    resumed: dict[str, int] = field(default_factory=dict)  # how often, by way
    restarts: int = 0
    silences: int = 0  # resumed streams on which nothing came
    faults: list[str] = field(default_factory=list)  # in the order of events
    errors: list[str] = field(default_factory=list)
    longest_gap: float = 0
    ended: float | None = None
    tools: ToolTalk = field(init=False)  # what a native client is told of them
    _place: tuple[int, int] | None = None
    _last_text: float | None = None

    def __post_init__(self) -> None:
        self.tools = ToolTalk(self.recital)

    @property
    def last_id(self) -> str | None:
        return None if self._place is None else f"{self.turn_id}.{self._place[0]}.{self._place[1]}"

    @property
    def is_right(self) -> bool:
        return self.whole and self.text == self.recital.text

    @property
    def is_amid(self) -> bool:
        return self.ended is None and self.text != ""

    def answered(self, status: int, headers: dict[str, str]) -> None:
        self.statuses.append(status)
        self.slots.append(headers.get(SERVED_BY, "nobody"))
        if tier := headers.get("x-memory-tier"):
            self.tiers.append(tier)

    def add(self, text: str) -> None:
        now = time.monotonic()
        if self._last_text is not None:
            self.longest_gap = max(self.longest_gap, now - self._last_text)
        self._last_text = now
        self.faults += self.tools.speaks()
        self.text += text

    def called(self, event: Event) -> None:
        self.faults += self.tools.called(event.json, self.text)

    def resulted(self, event: Event) -> None:
        self.faults += self.tools.resulted(event.json)
        self._last_text = None  # a gap of the text is the worker's own only without the tools' time

    def complete(self) -> None:
        """The turn's last event was seen."""
        self.whole = True
        if self.kind == "native":
            self.faults += self.tools.completed()

    def place(self, event: Event) -> None:
        """Every id of a turn comes after the one before it, and a new attempt says first that it is one."""
        turn, attempt, sequence = event.id.rsplit(".", 2)
        place = (int(attempt), int(sequence))
        if turn != self.turn_id:
            self.faults.append(f"{event.id} in turn {self.turn_id}")
        elif self._place is not None and place <= self._place:
            self.faults.append(f"{event.id} ({event.name}) after {self.last_id}")
        elif self._place is not None and place[0] > self._place[0] and event.name != "turn.restarted":
            self.faults.append(f"{event.id} ({event.name}) begins an attempt after {self.last_id}")
        self._place = place

    def restart(self) -> None:
        self.restarts += 1
        self.text = ""
        self.tools.restart()
