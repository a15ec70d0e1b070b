"""The tool events of a turn's last attempt, as its native client saw them: each call once, at its place in the text, and one result for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from kit.recital import Recital

Outcome = Literal["done", "failed", "not_sent", "unknown"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass
class ToolTalk:
    """What each event shows to be wrong is returned, a line for each fault."""

    recital: Recital
    calls: list[str] = field(default_factory=list)  # their ids, in the order in which they were told
    outcomes: dict[str, str] = field(default_factory=dict)  # by id, as they came

    @property
    def open(self) -> list[str]:
        """Calls without a result."""
        return [call for call in self.calls if call not in self.outcomes]

    def called(self, event: dict[str, Any], text: str) -> list[str]:
        """A call must be the next of those that the model makes, after the text that it says before it."""
        number, name = len(self.calls), self.recital.name
        self.calls.append(event["id"])
        said = ""
        planned = self.recital.calls
        if number >= len(planned):
            return [f"{name}: a call too many, {event}"]
        if event["id"] != planned[number].id or not planned[number].is_told(
            event["name"], event["arguments"]
        ):
            return [f"{name}: call {event} where {planned[number]} was made"]
        for one in self.recital.rounds:
            said += one.text
            if planned[number] in one.calls:
                break
        return [] if text == said else [f"{name}: {event['id']} is told after {text[-60:]!r}"]

    def resulted(self, event: dict[str, Any]) -> list[str]:
        """A result must be that of a call that has none; of calls side by side any may end first."""
        waits, identifier, outcome = self.open, event["id"], event["outcome"]
        self.outcomes[identifier] = outcome
        faults = []
        if identifier not in waits:
            faults.append(f"{self.recital.name}: a result of {identifier} while {waits} have none")
        if outcome not in OUTCOMES:
            faults.append(f"{self.recital.name}: {identifier} is {outcome}")
        if not event["text"]:
            faults.append(f"{self.recital.name}: {identifier} has a result without a text")
        return faults

    def speaks(self) -> list[str]:
        """The model goes on only when it has all results."""
        return [f"{self.recital.name}: text while {self.open} have no result"] if self.open else []

    def completed(self) -> list[str]:
        """All calls were told, and all results."""
        planned = [call.id for call in self.recital.calls]
        if self.calls == planned and sorted(self.outcomes) == sorted(planned):
            return []
        return [f"{self.recital.name}: completed with {self.outcomes} of {self.calls}, not {planned}"]

    def restart(self) -> None:
        self.calls, self.outcomes = [], {}


def counted(outcomes: Sequence[str]) -> str:
    """How many of each, in their order."""
    return ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in OUTCOMES if outcome in outcomes)
