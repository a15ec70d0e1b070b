"""The rounds of a reply with tools, which its prompt determines: what is said in each, which tools are called, and whether the worker tells the model all of it again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kit.tool_calls import ToolCall

# Most calls are of the one that must not be repeated.
TOOLS = ("book", "book", "book", "look_up", "confirm")


@dataclass(frozen=True)
class Planned:
    """A call that a reply makes. Its key names turn and call, so that no two turns of a run have the same."""

    name: str  # of the reply
    number: int
    milliseconds: int

    @property
    def key(self) -> str:
        return f"{self.name}#{self.number}"

    @property
    def id(self) -> str:
        return f"call_{self.name}_{self.number}"

    @property
    def tool(self) -> str:
        return TOOLS[_number(self.key) % len(TOOLS)]

    @property
    def arguments(self) -> dict[str, Any]:
        return {"key": self.key, "milliseconds": self.milliseconds}

    def call(self, offered: Sequence[str]) -> ToolCall:
        """As the model writes it; a worker may offer a tool with something in front of its name."""
        name = next((name for name in offered if name.endswith(self.tool)), None)
        if name is None:
            raise Amiss(f"no tool {self.tool} among the offered {list(offered)}")
        return ToolCall(self.id, name, json.dumps(self.arguments))

    def is_told(self, name: object, arguments: object) -> bool:
        """Whether this is the call that somebody tells of; arguments may be an object or its text."""
        try:
            value = json.loads(arguments) if isinstance(arguments, str) else arguments
        except ValueError:
            return False
        return isinstance(name, str) and name.endswith(self.tool) and value == self.arguments


@dataclass(frozen=True)
class Round:
    """One answer of the model: words, then calls; no calls in the last one."""

    lead: str  # between what was said before and the first word
    words: list[str]
    calls: list[Planned]

    @property
    def text(self) -> str:
        return self.lead + " ".join(self.words) if self.words else ""


class Amiss(Exception):
    """What the model was sent is not what it should be."""


def rounds_of(name: str, words: Sequence[str], tools: int, milliseconds: int) -> list[Round]:
    """Calls come one by one or, for a third of all names, in pairs. The first round and the last one have words, for a chat
    client's turn must have begun its answer before anything is called: nobody sends such a request again."""
    calls = [Planned(name, number, milliseconds) for number in range(1, tools + 1)]
    size = 2 if _number(name) % 3 == 0 else 1
    groups = [calls[at : at + size] for at in range(0, tools, size)] + [[]]
    inner = [max(1, min(len(words) - 1, n * len(words) // len(groups))) for n in range(1, len(groups))]
    bounds = [0, *inner, len(words)]
    return [
        Round(" " if at else "", list(words[bounds[at] : bounds[at + 1]]), group)
        for at, group in enumerate(groups)
    ]


def next_round(rounds: Sequence[Round], messages: Sequence[dict[str, Any]]) -> Round:
    """The round to be said after these messages, which follow the user's and must be the former rounds and their results."""
    rest = list(messages)
    for planned in rounds:
        if not rest:
            return planned
        _check_answer(planned, rest.pop(0))
        results = [rest.pop(0) for _ in planned.calls if rest]
        expected = sorted(call.id for call in planned.calls)
        if sorted(str(m.get("tool_call_id")) for m in results if m["role"] == "tool") != expected:
            raise Amiss(f"results of {expected} must follow their calls, not {results!r}")
        if empty := [m["tool_call_id"] for m in results if not _text(m)]:
            raise Amiss(f"results without a text: {empty}")
    raise Amiss(f"all was said, and yet more is asked for after {messages[-1]!r}")


def _check_answer(planned: Round, message: dict[str, Any]) -> None:
    calls = message.get("tool_calls") or []
    told = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls]
    if message["role"] != "assistant" or len(told) != len(planned.calls) or not told:
        raise Amiss(f"{message!r} where an answer with {len(planned.calls)} calls was given")
    if _text(message) != planned.text:
        raise Amiss(f"{_text(message)!r} where {planned.text!r} was said")
    for call, (identifier, name, arguments) in zip(planned.calls, told, strict=True):
        if identifier != call.id or not call.is_told(name, arguments):
            raise Amiss(f"{name} {arguments} as {identifier} where {call.tool} of {call.key} was called")


def _text(message: dict[str, Any]) -> str:
    """A message's content, which may be absent, a text or a list of texts."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content)


def _number(text: str) -> int:
    return zlib.crc32(text.encode())
