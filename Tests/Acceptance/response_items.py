"""Responses and conversations as they are read again, by the openai SDK: as streams from any event on, as items a page at a time, as input."""

from __future__ import annotations

from typing import Any

import openai
from kit.checks import Checks, alone, eventually
from kit.model import Ask, Reply, echo
from kit.responses import KEYS, ask, booking_office, client_of, refused
from kit.tool_calls import ToolCall
from openai.types.responses import ResponseStreamEvent


def streams_again(checks: Checks, sdk: openai.OpenAI) -> None:
    first = ask(sdk, "book it")
    events: list[ResponseStreamEvent] = list(sdk.responses.retrieve(first.id, stream=True))
    kinds = [event.type for event in events]
    checks.equal(
        "a stored response is streamed from its begin to its end",
        (kinds[0], kinds[-1]),
        ("response.created", "response.completed"),
    )
    checks.equal("numbered from 0", [event.sequence_number for event in events], list(range(len(events))))
    last = events[-1]
    checks.holds(
        "its last event has all of it",
        last.type == "response.completed" and last.response.output == first.output,
        last,
    )
    checks.equal("with each call's events", kinds.count("response.mcp_call.completed"), 1)
    for number in (0, 5, len(events) - 2):
        rest = list(sdk.responses.retrieve(first.id, stream=True, starting_after=number))
        checks.equal(f"from event {number} on the same follows", rest, events[number + 1 :])
    error = refused(
        checks,
        openai.BadRequestError,
        "an event that there is none after",
        lambda: sdk.responses.retrieve(first.id, stream=True, starting_after=len(events) - 1),
    )
    checks.equal("  which names the field", error.param, "starting_after")
    refused(
        checks,
        openai.NotFoundError,
        "an unknown response",
        lambda: sdk.responses.retrieve("resp_x", stream=True),
    )


def is_running(sdk: openai.OpenAI, name: str) -> bool:
    try:
        return sdk.responses.retrieve(name).status == "in_progress"
    except openai.NotFoundError:
        return False


def running(checks: Checks, sdk: openai.OpenAI) -> None:
    """A response that calls a tool is stored while it runs, and streamed to its own client alone."""
    name = ""
    for event in sdk.responses.create(model="assistant", input="book slowly", stream=True):
        if event.type == "response.created":
            name = event.response.id
        if event.type == "response.mcp_call.in_progress":
            found = eventually(lambda name=name: is_running(sdk, name), 1)
            checks.holds("it is read as it runs", found)
            error = refused(
                checks,
                openai.ConflictError,
                "to follow it",
                lambda name=name: sdk.responses.retrieve(name, stream=True),
            )
            checks.equal("  which names the field", error.param, "stream")
    ended = list(sdk.responses.retrieve(name, stream=True))
    checks.equal("once it has ended it is streamed", ended[-1].type, "response.completed")


def lists(checks: Checks, sdk: openai.OpenAI, url: str) -> None:
    conversation = sdk.conversations.create()
    unused = "the items of one without a response"
    refused(checks, openai.NotFoundError, unused, lambda: sdk.conversations.items.list(conversation.id))
    said = [f"word {number}" for number in range(12)]
    responses = [ask(sdk, text, conversation=conversation.id) for text in said]
    ask(sdk, "book it", conversation=conversation.id)

    def texts(**more: Any) -> list[str]:
        items = sdk.conversations.items.list(conversation.id, **more)
        return [item.content[0].text for item in items if item.type == "message" and item.role == "user"]

    checks.equal("a conversation's items, page by page", texts(order="asc", limit=5), [*said, "book it"])
    checks.equal("the newest first where nothing is said", texts(limit=7), ["book it", *reversed(said)])
    page = sdk.conversations.items.list(conversation.id, limit=4)
    checks.equal(
        "a page is of the size that is asked for",
        ([item.type for item in page.data], page.has_more),
        (["message", "mcp_call", "message", "message"], True),
    )
    every = list(sdk.conversations.items.list(conversation.id, order="asc", limit=3))
    checks.equal("each item is told once", len({item.id for item in every}), len(every))
    checks.equal("there are as many as there are", len(every), 2 * len(said) + 4)
    reply = next(item for item in every if item.id == responses[3].output[0].id)
    checks.holds(
        "what a response told is an item by its id", reply.type == "message" and reply.role == "assistant"
    )
    one = sdk.conversations.items.retrieve(reply.id, conversation_id=conversation.id)
    checks.equal("which is read alone", one, reply)
    given = list(sdk.responses.input_items.list(responses[3].id))
    checks.equal(
        "a response tells what it was asked",
        [item.content[0].text for item in given if item.type == "message"],
        ["word 3"],
    )
    checks.equal("as the conversation does", given[0].id, every[6].id)

    bob = client_of(url, KEYS["bob"])
    missing: list[tuple[str, Any]] = [
        ("somebody else's items", lambda: bob.conversations.items.list(conversation.id)),
        (
            "an unknown item",
            lambda: sdk.conversations.items.retrieve("msg_x_0_0", conversation_id=conversation.id),
        ),
        ("an unknown response's input", lambda: sdk.responses.input_items.list("resp_x")),
        ("somebody else's input", lambda: bob.responses.input_items.list(responses[0].id)),
    ]
    for what, request in missing:
        refused(checks, openai.NotFoundError, what, request)
    user: Any = [{"role": "user", "content": "x"}]
    bad: list[tuple[str, Any, str]] = [
        ("a limit of 0", lambda: sdk.conversations.items.list(conversation.id, limit=0), "limit"),
        (
            "an unknown cursor",
            lambda: sdk.conversations.items.list(conversation.id, after="msg_x_0_0"),
            "after",
        ),
        ("items to be added", lambda: sdk.conversations.items.create(conversation.id, items=user), "items"),
    ]
    for what, request, param in bad:
        error = refused(checks, openai.BadRequestError, what, request)
        checks.equal("  which names the field", error.param, param)


def program(checks: Checks) -> None:
    def reply(ask: Ask) -> Reply:
        if not ask.said.startswith("book"):
            return echo(ask)
        if ask.since:
            return Reply(["All", "booked."])
        milliseconds = 1500 if "slowly" in ask.said else 10
        arguments = f'{{"key": "k{ask.said}", "milliseconds": {milliseconds}}}'
        return Reply(["One", "moment."], calls=[ToolCall("call_1", "book", arguments)])

    with booking_office(reply) as (worker, _):
        url = worker.url + "/v1"
        sdk = client_of(url)
        streams_again(checks, sdk)
        running(checks, sdk)
        lists(checks, sdk, url)


if __name__ == "__main__":
    alone(program, __doc__)
