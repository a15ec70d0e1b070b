"""Turns whose calls the user writes down: a stand-in model that makes them, and what clients are told of each."""

from __future__ import annotations

import json
from typing import Any

from kit.client import Client, Turn
from kit.model import Ask, Reply
from kit.tool_calls import ToolCall


def calls_what_it_is_told(ask: Ask) -> Reply:
    """The user's text is a list of calls; when they are answered it repeats the answers."""
    if ask.kind != "chat":
        return Reply(["none"])
    results = ask.answers
    if results:
        return Reply(["Told:", *(result[:300] for result in results)])
    if not ask.said.startswith("["):
        return Reply(["You", "said:", *ask.said.split()])
    calls = [
        ToolCall(f"call-{at}", name, json.dumps(arguments))
        for at, (name, arguments) in enumerate(json.loads(ask.said))
    ]
    return Reply(["One", "moment."], calls=calls)


def results(turn: Turn) -> dict[str, tuple[str, str]]:
    """What clients were told of each call: outcome and text, by the tool's name."""
    return {
        value["name"]: (value["outcome"], value["text"])
        for name, value in turn.events
        if name == "tool.result"
    }


def call(client: Client, session: str, *calls: tuple[str, dict[str, Any]]) -> Turn:
    return client.native(json.dumps(calls), session)
