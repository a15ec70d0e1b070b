"""What a tool server did, by its own account: every execution, whoever was still there to hear of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class Execution:
    """One time that a tool took effect. Times are `time.monotonic`, which all processes of a machine share."""

    tool: str
    key: str  # names turn and call
    milliseconds: int
    peer: int  # the caller's port
    begun: float
    ended: float | None = None
    heard: bool | None = None  # whether the caller was still there at its end

    def left(self, now: float) -> float:
        """Seconds until its end."""
        return 0.0 if self.ended is not None else self.begun + self.milliseconds / 1000 - now


@dataclass
class ToolLedger:
    """All executions, in the order in which they began, and what was refused for its form."""

    executions: list[Execution] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, value: dict[str, Any]) -> Self:
        return cls([Execution(**one) for one in value["executions"]], value["refusals"])

    def repeated(self, *tools: str) -> dict[str, int]:
        """Calls of these tools that were executed more than once."""
        counts = Counter(one.key for one in self.executions if one.tool in tools)
        return {key: count for key, count in counts.items() if count > 1}

    def running(self, ports: set[int]) -> list[Execution]:
        """What is being executed for the process that has these ports."""
        return [one for one in self.executions if one.ended is None and one.peer in ports]

    def counts(self, tools: Sequence[str]) -> str:
        counts = Counter(one.tool for one in self.executions)
        return ", ".join(f"{counts[tool]} {tool}" for tool in tools)

    @property
    def unheard(self) -> int:
        return sum(one.heard is False for one in self.executions)
