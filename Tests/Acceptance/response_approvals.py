"""Calls that a person has to approve, through the openai SDK's Responses API: asked for by OpenAI's own items, decided by them, also after a kill, and made exactly once."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import Any

import openai
from openai.types.responses import Response
from openai.types.responses.response_output_item import McpApprovalRequest, McpCall

from kit.checks import Checks, alone, eventually
from kit.client import Client
from kit.desk import NAME, Desk
from kit.model import Ask, ModelServer, Reply
from kit.responses import AUTH, KEYS, ask, client_of, refused
from kit.tool_calls import ToolCall
from kit.worker import Worker, manifest

SLOW = "slow"


def parcel_office(ask: Ask) -> Reply:
    """`send A+B C`: looks A up and books A and B in one reply, then books C, then says what the tools said."""
    if ask.kind != "chat":
        return Reply(["none"])
    if not ask.said.startswith("send"):
        return Reply(["You", "said:", *ask.said.split()])
    rounds = [one.split("+") for one in ask.said.split()[1:]]
    done = sum(m["role"] == "assistant" for m in ask.since)
    if done == len(rounds):
        return Reply(
            ["The", "tools", "said:", *ask.answers]
        )
    tools = [("look_up", rounds[0][0])] if done == 0 else []
    calls = [
        ToolCall(f"{tool}-{key}", tool, json.dumps({"key": key, "milliseconds": 3000 if key == SLOW else 5}))
        for tool, key in [*tools, *[("book", key) for key in rounds[done]]]
    ]
    return Reply(["One", "moment."], calls=calls)


def asked(response: Response) -> list[McpApprovalRequest]:
    """What the response asks a person for, as the SDK has parsed it."""
    return [item for item in response.output if isinstance(item, McpApprovalRequest)]


def made(response: Response) -> list[McpCall]:
    return [item for item in response.output if isinstance(item, McpCall)]


def answer(request: McpApprovalRequest | str, approve: bool = True, **more: Any) -> Any:
    name = request if isinstance(request, str) else request.id
    return {"type": "mcp_approval_response", "approval_request_id": name, "approve": approve, **more}


def decide(sdk: openai.OpenAI, *items: Any, **more: Any) -> Response:
    response: Response = sdk.responses.create(model="assistant", input=list(items), **more)
    return response


def bookings(desk: Desk) -> list[str]:
    return sorted(one.key for one in desk.ledger().executions if one.tool == "book")


def asks_and_outlives_a_kill(checks: Checks, worker: Worker, sdk: openai.OpenAI, desk: Desk) -> Response:
    events = list(sdk.responses.create(model="assistant", input="send one", stream=True))
    last = events[-1]
    if last.type != "response.completed":
        raise AssertionError(last)
    first = last.response
    items = [
        (event.type, event.item.type) for event in events if event.type.startswith("response.output_item")
    ]
    checks.equal(
        "a stream begins and ends the request as an item",
        [kind for kind, item in items if item == "mcp_approval_request"],
        ["response.output_item.added", "response.output_item.done"],
    )
    checks.equal("no event tells of its call", [e.type for e in events if "mcp_call.failed" in e.type], [])
    checks.equal(
        "the response is completed, and asks",
        (first.status, [item.type for item in first.output]),
        ("completed", ["message", "mcp_call", "mcp_approval_request"]),
    )
    request = asked(first)[0]
    checks.equal(
        "for the call as it would be made",
        (request.name, request.server_label, json.loads(request.arguments)["key"]),
        ("book", "acceptance", "one"),
    )
    worker.kill()
    worker.start()
    again = sdk.responses.retrieve(first.id)
    checks.equal("after a kill it asks for the same", again.output, first.output)
    second = decide(sdk, answer(request), previous_response_id=first.id)
    checks.equal("approved, the call is made", bookings(desk), ["one"])
    checks.equal(
        "another response tells of it and goes on",
        [item.type for item in second.output],
        ["mcp_call", "message"],
    )
    call = made(second)[0]
    checks.equal(
        "and says which request it was",
        (call.approval_request_id, call.output),
        (request.id, "book one: done"),
    )
    checks.holds(
        "the model was told", "book one: done" in second.output_text and "moment" not in second.output_text
    )
    checks.holds("it is a response of its own", second.id != first.id)
    checks.equal("which goes on after the first", second.previous_response_id, first.id)
    checks.equal("the first stays what it was", sdk.responses.retrieve(first.id).output, first.output)
    checks.equal("the second is read again", sdk.responses.retrieve(second.id).output, second.output)
    repeated = decide(sdk, answer(request), previous_response_id=first.id)
    checks.equal(
        "the same decision is told again", (repeated.id, repeated.output), (second.id, second.output)
    )
    contrary = decide(sdk, answer(request, approve=False), previous_response_id=first.id)
    checks.equal("a contrary one comes too late", contrary.output, second.output)
    checks.equal("and nothing is made again", bookings(desk), ["one"])
    after = ask(sdk, "thanks", previous_response_id=second.id)
    checks.equal("the conversation goes on after it", after.output_text, "You said: thanks")
    return first


def wrong(checks: Checks, sdk: openai.OpenAI, url: str, desk: Desk, other: Response) -> None:
    first = ask(sdk, "send two+three")
    one, two = asked(first)
    before = bookings(desk)
    stranger = client_of(url, KEYS["bob"])
    bad: list[tuple[str, openai.OpenAI, type[openai.APIStatusError], list[Any], dict[str, Any], str]] = [
        (
            "an id of nothing",
            sdk,
            openai.BadRequestError,
            [answer("mcpr_x")],
            {},
            "input[0].approval_request_id",
        ),
        ("one of two decisions", sdk, openai.BadRequestError, [answer(one)], {}, "input"),
        (
            "an answer without a decision",
            sdk,
            openai.BadRequestError,
            [{"type": "mcp_approval_response", "approval_request_id": one.id}],
            {},
            "input[0].approve",
        ),
        (
            "two decisions about one call",
            sdk,
            openai.BadRequestError,
            [answer(one), answer(one, approve=False)],
            {},
            "input[1].approval_request_id",
        ),
        (
            "a decision and a message",
            sdk,
            openai.BadRequestError,
            [answer(one), answer(two), {"role": "user", "content": "and hurry"}],
            {},
            "input",
        ),
        (
            "a decision about another response's call",
            sdk,
            openai.BadRequestError,
            [answer(asked(other)[0])],
            {},
            "previous_response_id",
        ),
        (
            "a decision in another conversation",
            sdk,
            openai.NotFoundError,
            [answer(one), answer(two)],
            {"conversation": "elsewhere"},
            "input[0].approval_request_id",
        ),
        (
            "somebody else's decision",
            stranger,
            openai.NotFoundError,
            [answer(one), answer(two)],
            {},
            "input[0].approval_request_id",
        ),
    ]
    for what, who, kind, items, more, param in bad:
        fields = more or {"previous_response_id": first.id}
        error = refused(
            checks, kind, what, lambda who=who, items=items, fields=fields: decide(who, *items, **fields)
        )
        checks.equal("  which names the field", error.param, param)
    error = refused(
        checks,
        openai.BadRequestError,
        "a decision in no session",
        lambda: decide(sdk, answer(one), answer(two)),
    )
    checks.equal("  which names the field", error.param, "previous_response_id")
    checks.equal("nothing was made meanwhile", bookings(desk), before)

    session = first.conversation.id if first.conversation else ""
    done = decide(sdk, answer(one), answer(two, approve=False, reason="too dear"), conversation=session)
    checks.equal(
        "both decided in the conversation, one is made and one is not",
        [(call.status, call.output is not None) for call in made(done)],
        [("completed", True), ("failed", False)],
    )
    checks.holds("and the model is told why", "They say: too dear" in done.output_text, done.output_text)
    checks.equal("so it is in the ledger", bookings(desk), sorted([*before, "two"]))


def pauses_twice(checks: Checks, sdk: openai.OpenAI, desk: Desk) -> None:
    first = ask(sdk, "send four five")
    second = decide(sdk, answer(asked(first)[0]), previous_response_id=first.id)
    checks.equal(
        "a turn may ask again",
        [item.type for item in second.output],
        ["mcp_call", "message", "mcp_approval_request"],
    )
    repeated = decide(sdk, answer(asked(first)[0]), previous_response_id=first.id)
    checks.equal("the first decision is still told again", repeated.output, second.output)
    events = list(
        sdk.responses.create(
            model="assistant",
            input=[answer(asked(second)[0])],
            previous_response_id=second.id,
            stream=True,
        )
    )
    last = events[-1]
    third = last.response if last.type == "response.completed" else None
    checks.equal(
        "streamed, the second goes on to the end",
        third and [item.type for item in third.output],
        ["mcp_call", "message"],
    )
    checks.equal("each of its own id", len({first.id, second.id, third.id if third else ""}), 3)
    checks.holds(
        "both calls were made once", bookings(desk).count("four") == bookings(desk).count("five") == 1
    )
    session = first.conversation.id if first.conversation else ""
    listed = [item.type for item in sdk.conversations.items.list(session, order="asc")]
    checks.equal(
        "the conversation has what was asked and decided among its items",
        listed,
        ["message", "message", "mcp_call", "mcp_approval_request"]
        + ["mcp_approval_response", "mcp_call", "message", "mcp_approval_request"]
        + ["mcp_approval_response", "mcp_call", "message"],
    )
    given = list(sdk.responses.input_items.list(second.id))
    checks.equal("and the response as its input", [item.type for item in given], ["mcp_approval_response"])


def outlives_a_kill_amid_the_call(checks: Checks, worker: Worker, sdk: openai.OpenAI, desk: Desk) -> None:
    first = ask(sdk, f"send {SLOW}")

    def approve() -> None:
        # The worker is killed under it.
        with contextlib.suppress(openai.APIError):
            decide(sdk, answer(asked(first)[0]), previous_response_id=first.id)

    deciding = threading.Thread(target=approve)
    deciding.start()
    checks.holds("an approved call begins", eventually(lambda: SLOW in bookings(desk), 10))
    worker.kill()
    deciding.join(20)
    worker.start()
    again = decide(sdk, answer(asked(first)[0]), previous_response_id=first.id)
    error: Any = made(again)[0].to_dict()["error"]
    checks.equal("decided again after a kill, its outcome is unknown", error["outcome"], "unknown")
    checks.equal("and it was not made again", bookings(desk).count(SLOW), 1)


def other_ways(checks: Checks, worker: Worker, sdk: openai.OpenAI, desk: Desk) -> None:
    first = ask(sdk, "send six")
    session = first.conversation.id if first.conversation else ""
    turn = sdk.responses.with_raw_response.retrieve(first.id)
    checks.equal("a response that asks is no error", turn.http_response.status_code, 200)
    client = Client(worker.port, key=KEYS["alice"])
    awaited = client.ask("GET", f"/v1/sessions/{session}").json["awaiting_approval"]
    client.stream(
        f"/v1/sessions/{session}/approvals",
        {
            "turn_id": awaited["turn_id"],
            "approvals": [{"call_id": call["id"], "approve": True} for call in awaited["calls"]],
        },
    )
    told = decide(sdk, answer(asked(first)[0]), previous_response_id=first.id)
    checks.holds("what was approved by the native API is told", "book six: done" in told.output_text)
    repeated = ask(sdk, "send seven", extra_headers={"X-Session-Id": "repeats"})
    items = [{"role": "user", "content": "send seven"}, *[item.to_dict() for item in repeated.output]]
    whole = decide(sdk, *items, answer(asked(repeated)[0]), extra_headers={"X-Session-Id": "repeats"})
    checks.holds("a client that sends it all again decides too", "book seven: done" in whole.output_text)
    left = ask(sdk, "send eight")
    gone = ask(sdk, "never mind", previous_response_id=left.id)
    checks.equal("whoever says something else has refused", gone.output_text, "You said: never mind")
    late = decide(sdk, answer(asked(left)[0]), previous_response_id=left.id)
    checks.equal("a late approval is told so", [call.status for call in made(late)], ["failed"])
    counts = [bookings(desk).count(key) for key in ("six", "seven", "eight")]
    checks.equal("each call was made once, or never", counts, [1, 1, 0])


def program(checks: Checks) -> None:
    model, desk = ModelServer(parcel_office), Desk()
    spec = desk.spec
    spec["mcpServers"][0] |= {"name": NAME, "requireApproval": ["book"]}
    with Worker(manifest(model, {"keys": KEYS}, auth=AUTH, **spec)) as worker:
        url = worker.url + "/v1"
        sdk = client_of(url)
        first = asks_and_outlives_a_kill(checks, worker, sdk, desk)
        wrong(checks, sdk, url, desk, first)
        pauses_twice(checks, sdk, desk)
        other_ways(checks, worker, sdk, desk)
        outlives_a_kill_amid_the_call(checks, worker, sdk, desk)
        refusals = desk.ledger().refusals
    desk.close()
    model.close()
    checks.equal("the tool server refused nothing", refusals, [])


if __name__ == "__main__":
    alone(program, __doc__)
