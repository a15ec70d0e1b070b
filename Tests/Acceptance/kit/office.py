"""A pool of several agents and the model of all of them, which does what is said to it: hands over, asks others, goes round in circles."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

from kit.desk import NAME
from kit.model import INSTRUCTIONS, Ask, Reply
from kit.tool_calls import ToolCall

POOL = "acceptance"  # as a model's name: whoever fits
LEAVES = ("stock", "prices")
AGENTS: list[dict[str, Any]] = [
    {"name": "triage", "handoffs": ["billing"], "agentTools": [*LEAVES, "clerk", "ping"], "tools": [NAME]},
    {"name": "billing", "description": "Invoices and payments.", "handoffs": ["triage"]},
    *({"name": name, "description": f"Knows the {name}."} for name in LEAVES),
    {"name": "clerk", "tools": [NAME]},
    {"name": "ping", "agentTools": ["pong"]},
    {"name": "pong", "agentTools": ["ping"]},
]
SPEC: dict[str, Any] = {
    "agents": [
        {**a, "instructions": f"{INSTRUCTIONS} You are {a['name']}.", "model": "chat"} for a in AGENTS
    ],
    "entryAgent": "triage",
}


def speaker(ask: Ask) -> str:
    """The agent in whose name the model is asked."""
    found = re.search(r"You are (\w+)\.", str(ask.body["messages"][0]["content"]))
    return found[1] if found else "nobody"


def calls(*asked: tuple[str, dict[str, Any]]) -> Reply:
    made = [ToolCall(f"call-{at}-{name}", name, json.dumps(given)) for at, (name, given) in enumerate(asked)]
    return Reply(["One", "moment.", ""], calls=made)


class Office:
    """The model of all agents: what is said to it says what it does."""

    def __init__(self) -> None:
        self.hold = threading.Event()  # billing goes on with "hold on"
        self.hold.set()

    def __call__(self, ask: Ask) -> Reply:
        if ask.kind != "chat":
            return Reply(["none"])
        name, results = speaker(ask), ask.answers
        if name in ("ping", "pong"):
            other = f"ask_{'pong' if name == 'ping' else 'ping'}"
            if other in ask.offered and not results:
                return calls((other, {"question": ask.said}))
        elif ask.said == "round and round":
            to = f"transfer_to_{'billing' if name == 'triage' else 'triage'}"
            if to in ask.offered:
                return calls((to, {}))
        elif name == "clerk" and not results:
            return calls(("book", {"key": ask.said, "milliseconds": 1}))
        elif name == "triage" and not results and (asked := self.asked_by_triage(ask.said)):
            return calls(*asked)
        if name in LEAVES:
            return Reply([name, "of", *ask.said.split()], gap=0.2)
        return Reply([f"{name}:", *(results or ask.said.split())], before_each=lambda _: self.wait(name, ask))

    def asked_by_triage(self, said: str) -> list[tuple[str, dict[str, Any]]]:
        verb, _, rest = said.partition(" ")
        match verb:
            case "transfer" | "hold":
                return [("transfer_to_billing", {"reason": "an invoice"})]
            case "unknown":
                return [("transfer_to_nobody", {}), ("ask_nobody", {"question": "who?"})]
            case "compare":
                return [(f"ask_{leaf}", {"question": rest}) for leaf in LEAVES]
            case "deep":
                return [("ask_ping", {"question": rest})]
            case "clerk":
                return [("ask_clerk", {"question": rest})]
            case "parcel":
                return [("look_up", {"key": rest, "milliseconds": 1})]
        return []

    def wait(self, name: str, ask: Ask) -> None:
        if name == "billing" and ask.said.startswith("hold"):
            self.hold.wait(20)
