"""Compares what clients saw acknowledged with the raw rows, and says how long their turns waited."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kit.conversation import Conversation, Entry
from kit.server_store import ServerRows
from kit.store import Rows


def losses(talks: Sequence[Conversation], rows: Rows) -> tuple[list[str], list[str], list[str]]:
    """Turn ids that the client saw acknowledged and the store lacks, holds twice, or holds with other words."""
    lost, doubled, altered = [], [], []
    for talk in talks:
        stored = rows.turns.get(talk.session, [])
        ids = [turn.id for turn in stored]
        texts = {turn.id: (turn.user, turn.reply) for turn in stored}
        doubled += [i for i in set(ids) if ids.count(i) > 1]
        users = [turn.user for turn in stored]
        doubled += [u for u in set(users) if users.count(u) > 1]
        for entry in talk.ledger:
            if entry.turn_id not in texts:
                lost.append(entry.turn_id)
            elif texts[entry.turn_id] != (entry.user, entry.reply):
                altered.append(f"{entry}: {texts[entry.turn_id]}")
    return lost, doubled, altered


@dataclass
class MemoryFaults:
    """What a comparison of memories found, a line for each fault."""

    missing: list[str]
    doubled: list[str]
    foreign: list[str]  # of ranges that no batch has, or without the words of their turns

    def __bool__(self) -> bool:
        return bool(self.missing or self.doubled or self.foreign)


def memory_faults(talks: Sequence[Conversation], rows: ServerRows, rounds: int) -> MemoryFaults:
    """Against one memory for every `rounds` turns of a session, with the words of exactly these turns; a batch whose plan L2
    still holds may be there already, or not yet."""
    faults = MemoryFaults([], [], [])
    for talk in talks:
        name, turns = talk.session, rows.turns.get(talk.session, [])
        expected = {(n * rounds + 1, (n + 1) * rounds) for n in range(len(turns) // rounds)}
        seen = Counter(rows.memories.get(name, []))
        waiting = set(rows.waiting.get(name, []))
        faults.missing += [f"{name} {r}" for r in sorted(expected - set(seen) - waiting)]
        faults.doubled += [f"{name} {r}: {count} rows" for r, count in seen.items() if count > 1]
        faults.foreign += [f"{name} {r}" for r in sorted(set(seen) | waiting) if r not in expected]
        for row in rows.archived:
            if row.session == name and (row.first, row.last) in expected:
                told = [turn for turn in turns if turn.user in row.text and turn.reply in row.text]
                if told != turns[row.first - 1 : row.last]:
                    faults.foreign.append(f"{name} {row.first}-{row.last}: the words of {len(told)} turns")
    names = {talk.session for talk in talks}
    faults.foreign += [f"a session that nobody has: {s}" for s in rows.memories if s not in names]
    return faults


@dataclass
class Outage:
    """One process gone: from its kill until all is as before."""

    kind: str
    begun: float
    ended: float
    slots: frozenset[int] = frozenset(range(16384))  # whose sessions it concerns

    def concerns(self, session: str, rows: ServerRows) -> bool:
        return rows.slots.get(session) in self.slots

    def turns(self, talks: Sequence[Conversation]) -> list[tuple[str, float]]:
        """Sessions and seconds of the turns that were under way meanwhile, from the first request to the acknowledgement."""
        return [(t.session, e.acknowledged - e.asked) for t in talks for e in t.ledger if self._overlaps(e)]

    def next_turns(self, talks: Sequence[Conversation]) -> list[tuple[str, float]]:
        """Seconds from the kill to each session's next acknowledged turn."""
        later = {t.session: [e.acknowledged for e in t.ledger if e.acknowledged > self.begun] for t in talks}
        return [(session, min(times) - self.begun) for session, times in later.items() if times]

    def _overlaps(self, entry: Entry) -> bool:
        return entry.asked < self.ended and entry.acknowledged > self.begun


def wait_lines(outages: list[Outage], talks: Sequence[Conversation], rows: ServerRows) -> list[str]:
    """A line for each kind of outage."""
    lines = []
    for kind in dict.fromkeys(outage.kind for outage in outages):
        those = [outage for outage in outages if outage.kind == kind]
        lines.append(
            f"{len(those)} x {kind}: all was as before after {_spread([o.ended - o.begun for o in those])}"
        )
        for whose, own in (("its sessions", True), ("the others", False)):
            took = [s for o in those for name, s in o.turns(talks) if o.concerns(name, rows) == own]
            after = [s for o in those for name, s in o.next_turns(talks) if o.concerns(name, rows) == own]
            if took:
                lines.append(
                    f"  {len(took)} turns of {whose} under way took {_spread(took)}; "
                    f"from the kill to the next acknowledged one {_spread(after)}"
                )
    quiet = [
        e.acknowledged - e.asked
        for talk in talks
        for e in talk.ledger
        if not any(outage._overlaps(e) for outage in outages)
    ]
    lines.append(f"{len(quiet)} turns with nothing down took {_spread(quiet)}")
    return lines


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "nothing"
    return f"p50 {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s"
