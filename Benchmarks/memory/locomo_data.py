"""LoCoMo's conversations as rounds of two lines, its questions with their evidence, and how a ranking is judged."""

from __future__ import annotations

import calendar
import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Nothing was tuned on these: they are looked at once, at the very end.
HELD_OUT = {"conv-48", "conv-49", "conv-50"}
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
LINE_ID = re.compile(r"D\d+:\d+")


@dataclass(frozen=True)
class Line:
    id: str
    text: str  # who, what, and the caption of a picture that was shared
    notes: tuple[str, ...]  # what the data set's authors had a model observe in it


@dataclass(frozen=True)
class Session:
    name: str
    began: int  # seconds since 1970, taken as UTC
    lines: tuple[Line, ...]

    def rounds(self) -> list[tuple[Line, ...]]:
        return [self.lines[at : at + 2] for at in range(0, len(self.lines), 2)]


@dataclass(frozen=True)
class Question:
    text: str
    category: int
    evidence: frozenset[str]  # ids of lines
    sessions: frozenset[str]


@dataclass(frozen=True)
class Conversation:
    name: str
    sessions: tuple[Session, ...]
    questions: tuple[Question, ...]

    def turn_of(self, line: str) -> tuple[str, int]:
        """The session and number of the turn that holds a line."""
        return self._turns[line]

    @property
    def _turns(self) -> dict[str, tuple[str, int]]:
        return {
            line.id: (session.name, number)
            for session in self.sessions
            for number, lines in enumerate(session.rounds(), 1)
            for line in lines
        }


def load(path: Path, held_out: bool) -> list[Conversation]:
    """Reads `locomo10.json`, or a folder with a file a conversation as an earlier release has them."""
    if path.is_dir():
        named = [(f"conv-{file.stem}", file) for file in sorted(path.glob("*.json"))]
        chosen = [(name, json.loads(file.read_text())) for name, file in named if _wanted(name, held_out)]
        return [_conversation(name, raw, raw) for name, raw in chosen]
    found = [raw for raw in json.loads(path.read_text()) if _wanted(raw["sample_id"], held_out)]
    flat = [raw["conversation"] | raw["observation"] | {"qa": raw["qa"]} for raw in found]
    return [_conversation(raw["sample_id"], whole, raw) for raw, whole in zip(found, flat, strict=True)]


def _wanted(name: str, held_out: bool) -> bool:
    return (name in HELD_OUT) == held_out


def _conversation(name: str, raw: dict[str, Any], with_questions: dict[str, Any]) -> Conversation:
    numbers = sorted(int(m[1]) for key in raw if (m := re.fullmatch(r"session_(\d+)", key)) and raw[key])
    notes = _notes(raw, numbers)
    sessions = []
    for number in numbers:
        lines = tuple(
            Line(line["dia_id"], _text(line), tuple(notes.get(line["dia_id"], ())))
            for line in raw[f"session_{number}"]
        )
        sessions.append(Session(f"session-{number}", _seconds(raw[f"session_{number}_date_time"]), lines))
    known = {line.id: session.name for session in sessions for line in session.lines}
    questions = []
    for asked in with_questions["qa"]:
        ids = {i for text in asked.get("evidence", []) for i in LINE_ID.findall(text) if i in known}
        if asked["category"] in CATEGORIES and ids:
            places = frozenset(known[i] for i in ids)
            questions.append(Question(asked["question"], asked["category"], frozenset(ids), places))
    return Conversation(name, tuple(sessions), tuple(questions))


def _notes(raw: dict[str, Any], numbers: Iterable[int]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for number in numbers:
        for notes in raw.get(f"session_{number}_observation", {}).values():
            for text, lines in notes:
                for line in LINE_ID.findall(str(lines))[:1]:
                    found.setdefault(line, []).append(text)
    return found


def _text(line: dict[str, Any]) -> str:
    caption = f" (shares {line['blip_caption']})" if line.get("blip_caption") else ""
    return f"{line['speaker']}: {line['text']}{caption}"


def _seconds(text: str) -> int:
    return calendar.timegm(time.strptime(text.replace(",", ""), "%I:%M %p on %d %B %Y"))


@dataclass
class Ranked:
    """One thing that a ranking found: the turns of a session."""

    session: str
    first: int
    last: int


@dataclass
class Score:
    """Over questions: whether the first sessions of a ranking hold any, or all, of the evidence's."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, conversation: Conversation, question: Question, found: list[Ranked]) -> None:
        sessions = list(dict.fromkeys(row.session for row in found))
        first, five = set(sessions[:1]), set(sessions[:5])
        needed = [conversation.turn_of(line) for line in question.evidence]
        row = any(
            r.session == session and r.first <= turn <= r.last for r in found[:5] for session, turn in needed
        )
        self.counts["questions"] += 1
        self.counts["any@1"] += bool(first & question.sessions)
        self.counts["any@5"] += bool(five & question.sessions)
        self.counts["all@5"] += question.sessions <= five
        self.counts["row@5"] += row
        self.counts[f"questions {question.category}"] += 1
        self.counts[f"any@5 {question.category}"] += bool(five & question.sessions)

    def share(self, what: str, category: int | None = None) -> float:
        ending = f" {category}" if category else ""
        return self.counts[what + ending] / max(1, self.counts["questions" + ending])
