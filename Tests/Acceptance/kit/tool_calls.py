"""Calls of tools as a model's server writes them: whole in an answer or a message, and in pieces in a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ToolCall:
    """One call that a model asks for; its arguments are a JSON object's text."""

    id: str
    name: str
    arguments: str

    @property
    def whole(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }

    def pieces(self, index: int, length: int = 9) -> list[dict[str, Any]]:
        """The deltas of a stream: first who is called, then the arguments bit by bit, which end anywhere."""
        first: dict[str, Any] = {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": ""},
        }
        starts = range(0, len(self.arguments), length)
        bits: list[dict[str, Any]] = [
            {"function": {"arguments": self.arguments[at : at + length]}} for at in starts
        ]
        return [{"index": index, **piece} for piece in (first, *bits)]
