"""What clients were told of their tool calls against the tool server's ledger: nothing that must not be repeated was, and what was told is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kit.spoken import Spoken
from kit.tool_ledger import Execution, ToolLedger
from kit.tool_rounds import Planned
from kit.tool_talk import counted

ONCE = ("book",)
REPEATABLE = ("look_up", "confirm")


@dataclass
class Verdict:
    """The turns of a crowd, and the ledger of the server that they called."""

    said: Sequence[Spoken]
    ledger: ToolLedger
    _seen: dict[str, list[Execution]] = field(default_factory=dict)  # by key

    def __post_init__(self) -> None:
        for one in self.ledger.executions:
            self._seen.setdefault(one.key, []).append(one)

    @property
    def told(self) -> list[tuple[Spoken, Planned, str]]:
        """Every call of which a native client was told an outcome in the last attempt that it saw."""
        natives = [(s, call) for s in self.said if s.kind == "native" for call in s.recital.calls]
        return [(s, call, s.tools.outcomes[call.id]) for s, call in natives if call.id in s.tools.outcomes]

    @property
    def outcomes(self) -> list[str]:
        return [outcome for _, _, outcome in self.told]

    @property
    def repeated(self) -> list[str]:
        """Calls that took effect more than once and must not have: with what befell their turns."""
        by_name = {s.recital.name: s for s in self.said}
        stories = []
        for key, count in self.ledger.repeated(*ONCE).items():
            turn = by_name.get(key.rpartition("#")[0])
            what = f"{turn.kind}, {turn.restarts} restarts, {turn.errors[-3:]}" if turn else "no turn"
            stories.append(f"{key} {count} times ({what})")
        return stories

    @property
    def repeated_rightly(self) -> dict[str, int]:
        return self.ledger.repeated(*REPEATABLE)

    @property
    def untrue(self) -> list[str]:
        """Outcomes that the ledger contradicts; these tools themselves never fail."""
        faults = []
        for spoken, call, outcome in self.told:
            seen = self._seen.get(call.key, [])
            heard = any(one.heard for one in seen)
            if outcome == "failed" or (outcome == "done" and not heard) or (outcome == "not_sent" and seen):
                faults.append(f"{call.tool} {call.key} was told as {outcome}: {seen}, {spoken.errors[-3:]}")
        return faults

    @property
    def missing(self) -> list[str]:
        """Calls of whole turns, also of chat clients, that did not take place."""
        return [
            f"{spoken.kind} {call.key}"
            for spoken in self.said
            if spoken.is_right
            for call in spoken.recital.calls
            if call.key not in self._seen
            and spoken.tools.outcomes.get(call.id) not in ("not_sent", "unknown")
        ]

    @property
    def foreign(self) -> list[str]:
        """Executions that no turn of the crowd asked for."""
        asked = {call.key for spoken in self.said for call in spoken.recital.calls}
        return sorted(self._seen.keys() - asked)

    def line(self) -> str:
        turns = [spoken for spoken in self.said if spoken.recital.tools]
        parts = [
            f"{len(turns)} turns with tools",
            f"{len(self._seen)} calls made, {len(self.ledger.executions)} executions "
            f"({self.ledger.counts([*ONCE, *REPEATABLE])})",
            f"unheard {self.ledger.unheard}",
            f"native clients were told {len(self.told)} outcomes ({counted(self.outcomes) or 'none'})",
            f"calls of the tool that is not idempotent repeated: {len(self.repeated)}",
            f"repeatable calls repeated: {len(self.repeated_rightly)}",
        ]
        return "; ".join(parts)
