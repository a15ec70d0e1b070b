"""A call that a person has to approve: asked for over SSE, decided over HTTP, also after a kill of the worker, and made exactly once."""

from __future__ import annotations

import json
from typing import Any

from kit.checks import Checks, alone
from kit.client import Client, Turn
from kit.desk import NAME, Desk
from kit.model import Ask, ModelServer, Reply
from kit.tool_calls import ToolCall
from kit.worker import Worker, manifest

SESSION = "front-desk"


def parcel_office(ask: Ask) -> Reply:
    """Looks the parcel up and books a courier for it in one reply, then says what the tools said. `send KEY MILLISECONDS` takes longer."""
    if ask.kind != "chat":
        return Reply(["none"])
    results = ask.answers
    if results or not ask.said.startswith("send"):
        return Reply(["The", "tools", "said:", *results] if results else ["You", "said:", *ask.said.split()])
    _, key, *time = ask.said.split()
    arguments = json.dumps({"key": key, "milliseconds": int(time[0]) if time else 5})
    calls = [ToolCall(f"{tool}-{key}", tool, arguments) for tool in ("look_up", "book")]
    return Reply(["One", "moment."], calls=calls)


def decide(client: Client, turn: str, *approvals: tuple[str, bool], session: str = SESSION) -> Turn:
    """The stream with which a turn goes on; its last event is in `events`."""
    body = {
        "turn_id": turn,
        "approvals": [
            {"call_id": call, "approve": approve, "reason": "because"} for call, approve in approvals
        ],
    }
    return client.stream(f"/v1/sessions/{session}/approvals", body)


def names(turn: Turn) -> list[str]:
    """Its events without those that vary."""
    return [name for name, _ in turn.events if name not in ("turn.step", "text.delta", "memory.recalled")]


def last(turn: Turn) -> tuple[str, Any]:
    return turn.events[-1] if turn.events else ("nothing", {})


def executions(desk: Desk) -> list[str]:
    return [f"{one.tool} {one.key}" for one in desk.ledger().executions]


def pauses_and_outlives_a_kill(checks: Checks, worker: Worker, client: Client, desk: Desk) -> None:
    paused = client.native("send one", SESSION, "turn-1")
    checks.equal(
        "a turn pauses when all that needs no approval is done",
        names(paused)[-3:],
        ["tool.result", "approval.required", "turn.paused"],
    )
    checks.equal("only that was called", executions(desk), ["look_up one"])
    worker.kill()
    worker.start()
    described = client.ask("GET", f"/v1/sessions/{SESSION}").json
    awaited = described["awaiting_approval"]
    checks.equal("after a kill the session tells what it waits for", awaited["turn_id"], "turn-1")
    checks.equal("and the call", [call["name"] for call in awaited["calls"]], ["book"])
    again = client.native("send one", SESSION, "turn-1")
    checks.equal("the turn sent again is told as it stands", last(again)[0], "turn.paused")

    missing = decide(client, "turn-1", ("look_up-one", True))
    checks.equal("a call that waits for nobody can't be decided", missing.status, 400)
    unknown = decide(client, "turn-9", ("book-one", True))
    checks.equal("nor one of a turn that is not there", unknown.status, 404)
    stranger = Client(client.port, user="somebody-else")
    foreign = decide(stranger, "turn-1", ("book-one", True))
    checks.equal("nor by anybody else", foreign.status, 404)
    checks.equal("nothing was called meanwhile", executions(desk), ["look_up one"])

    went_on = decide(client, "turn-1", ("book-one", True))
    checks.equal("with the approval the turn goes on to its end", last(went_on)[0], "turn.completed")
    checks.equal("the call was made", executions(desk), ["look_up one", "book one"])
    checks.holds("its answer reached the model", "book one: done" in went_on.text, went_on.text)
    repeated = decide(client, "turn-1", ("book-one", True))
    checks.equal("approved again it is told again", last(repeated)[0], "turn.completed")
    checks.equal("and not made again", executions(desk), ["look_up one", "book one"])
    history = client.history(SESSION)
    checks.equal("the history has the turn once", [m["role"] for m in history].count("user"), 1)
    checks.equal("and it is whole", {m["ending"] for m in history}, {"complete"})


def refuses(checks: Checks, client: Client, desk: Desk) -> None:
    before = len(executions(desk))
    client.native("send two", SESSION, "turn-2")
    refused = decide(client, "turn-2", ("book-two", False))
    checks.equal("a refused call leaves the turn to the model", last(refused)[0], "turn.completed")
    checks.holds("which is told why", "They say: because" in refused.text, refused.text)
    outcomes = [value["outcome"] for name, value in refused.events if name == "tool.result"]
    checks.equal("clients are told so too", outcomes, ["done", "refused"])

    client.native("send three", SESSION, "turn-3")
    other = client.native("never mind", SESSION)
    checks.holds("whoever goes on has refused", other.acknowledged, other.text)
    late = decide(client, "turn-3", ("book-three", True))
    checks.equal("a late approval tells the turn as it ended", last(late)[0], "turn.completed")
    called = [one for one in executions(desk)[before:] if one.startswith("book")]
    checks.equal("neither was called", called, [])


def chat_clients_are_told(checks: Checks, client: Client, desk: Desk) -> None:
    for stream in (True, False):
        key = f"chat-{stream}"
        turn = client.chat(f"send {key}", f"session-{key}", stream=stream)
        checks.holds("a chat client's reply ends, and says what waits", f"book-{key}" in turn.text, turn.text)
        went_on = decide(client, turn.headers["x-turn-id"], (f"book-{key}", True), session=f"session-{key}")
        checks.equal("its turn can be approved too", last(went_on)[0], "turn.completed")
        checks.equal("the call was made once", executions(desk).count(f"book {key}"), 1)


def program(checks: Checks) -> None:
    model, desk = ModelServer(parcel_office), Desk()
    spec = desk.spec
    spec["mcpServers"][0] |= {"name": NAME, "requireApproval": ["book"]}
    with Worker(manifest(model, **spec)) as worker:
        client = Client(worker.port)
        pauses_and_outlives_a_kill(checks, worker, client, desk)
        refuses(checks, client, desk)
        chat_clients_are_told(checks, client, desk)
        refusals = desk.ledger().refusals
    desk.close()
    model.close()
    checks.equal("the tool server refused nothing", refusals, [])


if __name__ == "__main__":
    alone(program, __doc__)
