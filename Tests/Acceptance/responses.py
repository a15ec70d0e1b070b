"""The openai SDK's Responses API, unmodified: streams, does not stream, goes on after any response, sees the pool's calls of tools, and raises its own exceptions."""

from __future__ import annotations

from typing import Any

import openai
from kit.checks import Checks, alone
from kit.model import Ask, ModelServer, Reply, echo
from kit.responses import KEYS, ask, booking_office, client_of, refused
from kit.tool_calls import ToolCall
from openai.types.responses import ResponseStreamEvent

ORDER = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def plain(checks: Checks, sdk: openai.OpenAI) -> None:
    events: list[ResponseStreamEvent] = list(
        sdk.responses.create(
            model="assistant", input="alpha beta", stream=True, extra_headers={"X-Session-Id": "talk"}
        )
    )
    kinds = [event.type for event in events]
    checks.equal("a stream's events come in the documented order", list(dict.fromkeys(kinds)), ORDER)
    numbers = [event.sequence_number for event in events]
    checks.equal("numbered from 0", numbers, list(range(len(events))))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    checks.equal("its text", text, "You said: alpha beta")
    last = events[-1]
    done = last.response if last.type == "response.completed" else None
    checks.holds("the last event has all of it", done is not None and done.output_text == text)
    checks.holds(
        "and its usage",
        done is not None and done.usage is not None and done.usage.output_tokens == 4,
        done and done.usage,
    )
    whole = sdk.responses.create(
        model="assistant",
        input=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "gamma"}]},
        ],
        instructions="Be kind.",
        metadata={"session_id": "talk", "ticket": "7"},
        max_output_tokens=100,
        store=True,
    )
    checks.equal("a whole response's text", whole.output_text, "You said: gamma")
    checks.equal("its state", (whole.status, whole.error), ("completed", None))
    checks.equal(
        "what was asked is repeated",
        (whole.instructions, whole.metadata, whole.max_output_tokens, whole.model),
        ("Be kind.", {"session_id": "talk", "ticket": "7"}, 100, "assistant"),
    )
    with sdk.responses.stream(
        model="assistant", input="delta", extra_headers={"X-Session-Id": "talk"}
    ) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    checks.equal("the SDK's own helper puts it together", snapshots[-1], "You said: delta")
    checks.equal("and has the final response", final.output_text, "You said: delta")


def instructs(checks: Checks, sdk: openai.OpenAI, model: ModelServer) -> None:
    first = ask(sdk, "theta", instructions="Whisper.")
    checks.holds("instructions reach the model", "Whisper." in model.of_kind("chat")[-1].prompt)
    ask(sdk, "iota", previous_response_id=first.id)
    prompt = model.of_kind("chat")[-1].prompt
    checks.holds("in their own turn alone", "theta" in prompt and "Whisper." not in prompt)


def goes_on(checks: Checks, sdk: openai.OpenAI, url: str, model: ModelServer) -> None:
    first = ask(sdk, "my cat is Tom")
    second = ask(sdk, "my dog is Rex", previous_response_id=first.id)
    checks.equal("a response says what it goes on after", second.previous_response_id, first.id)
    checks.holds("the prompt holds what was said before", "Tom" in model.of_kind("chat")[-1].prompt)
    raw = sdk.responses.with_raw_response.create(
        model="assistant", input="my fox is Zed", previous_response_id=first.id
    )
    prompt = model.of_kind("chat")[-1].prompt
    checks.holds("after an older one it forks", "Tom" in prompt and "Rex" not in prompt)
    checks.equal("and says so", raw.headers.get("x-session-forked-after"), "1")
    left = ask(sdk, "who is left?", previous_response_id=second.id)
    prompt = model.of_kind("chat")[-1].prompt
    checks.holds(
        "a branch that was left is gone on with", "Tom" in prompt and "Rex" in prompt and "Zed" not in prompt
    )
    ask(sdk, "and now?", previous_response_id=left.id)
    prompt = model.of_kind("chat")[-1].prompt
    checks.holds("and stays what it was", "Rex" in prompt and "left" in prompt and "Zed" not in prompt)
    again = sdk.responses.retrieve(second.id)
    checks.equal(
        "a response is read again",
        (again.id, again.output_text, again.status),
        (second.id, "You said: my dog is Rex", "completed"),
    )
    refused(checks, openai.NotFoundError, "an unknown response", lambda: sdk.responses.retrieve("resp_x"))
    bob = client_of(url, KEYS["bob"])
    refused(checks, openai.NotFoundError, "somebody else's", lambda: bob.responses.retrieve(second.id))
    for what, who, previous in [("an unknown", sdk, "resp_x"), ("somebody else's", bob, second.id)]:
        error = refused(
            checks,
            openai.BadRequestError,
            f"going on after {what} response",
            lambda who=who, previous=previous: ask(who, "hi", previous_response_id=previous),
        )
        checks.equal(
            "  as OpenAI says it",
            (error.code, error.param),
            ("previous_response_not_found", "previous_response_id"),
        )


def converses(checks: Checks, sdk: openai.OpenAI, model: ModelServer) -> None:
    conversation = sdk.conversations.create(metadata={"topic": "boats"})
    checks.equal("a conversation repeats its metadata", conversation.metadata, {"topic": "boats"})
    unused = "one without a response"
    refused(checks, openai.NotFoundError, unused, lambda: sdk.conversations.retrieve(conversation.id))
    first = ask(sdk, "my boat is blue", conversation=conversation.id)
    checks.equal("a response names it", first.conversation and first.conversation.id, conversation.id)
    ask(sdk, "what colour?", conversation={"id": conversation.id})
    checks.holds("it is gone on with", "boat is blue" in model.of_kind("chat")[-1].prompt)
    found = sdk.conversations.retrieve(conversation.id)
    checks.holds("it is found", found.id == conversation.id and found.created_at > 1_700_000_000)
    gone = sdk.conversations.delete(conversation.id)
    checks.equal("it is forgotten", (gone.deleted, gone.object), (True, "conversation.deleted"))
    refused(checks, openai.NotFoundError, "its response then", lambda: sdk.responses.retrieve(first.id))


def errors(checks: Checks, sdk: openai.OpenAI, url: str) -> None:
    bad: list[tuple[str, dict[str, Any], str]] = [
        ("not to be stored", {"store": False}, "store"),
        ("in the background", {"background": True}, "background"),
        ("tools", {"tools": [{"type": "web_search"}]}, "tools[0]"),
        (
            "an image",
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0]",
        ),
        ("an output of no call", {"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ("JSON as its format", {"text": {"format": {"type": "json_object"}}}, "text.format"),
        (
            "two histories",
            {"conversation": "c", "previous_response_id": ask(sdk, "x").id},
            "previous_response_id",
        ),
    ]
    for what, fields, param in bad:
        body = {"model": "assistant", "input": "hello", **fields}
        error = refused(checks, openai.BadRequestError, what, lambda body=body: sdk.responses.create(**body))
        checks.equal("  which names the field", error.param, param)
    refused(
        checks,
        openai.NotFoundError,
        "an unknown model",
        lambda: sdk.responses.create(model="nobody", input="x"),
    )
    wrong = client_of(url, "sk-wrong")
    refused(checks, openai.AuthenticationError, "a wrong key", lambda: ask(wrong, "x"))
    refused(checks, openai.PermissionDeniedError, "an end user", lambda: ask(sdk, "x", user="ann"))
    items: Any = [{"role": "user", "content": "x"}]
    refused(
        checks,
        openai.BadRequestError,
        "a conversation with items",
        lambda: sdk.conversations.create(items=items),
    )
    answer = ask(client_of(url, KEYS["backend"]), "hello", user="ann")
    checks.equal("an end user named by a trusted key is served", answer.output_text, "You said: hello")


def calls_tools(checks: Checks, sdk: openai.OpenAI) -> None:
    events = list(sdk.responses.create(model="assistant", input="book it", stream=True))
    kinds = [event.type for event in events]
    wanted = [
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ]
    checks.equal("a tool's call is told", [kind for kind in kinds if "mcp_call" in kind], wanted)
    last = events[-1]
    if last.type != "response.completed":
        raise AssertionError(last)
    told = last.response
    shape = [item.type for item in told.output]
    checks.equal("as an item between the agent's words", shape, ["message", "mcp_call", "message"])
    call = told.output[1]
    checks.holds(
        "with its arguments and its output",
        call.type == "mcp_call" and call.name == "book" and call.output == "book k1: done",
        call,
    )
    checks.equal("the words are told apart", told.output_text, "One moment.All booked.")
    again = sdk.responses.retrieve(told.id)
    checks.equal("the stored response has the same items", again.output, told.output)
    repeated: Any = [
        {"role": "user", "content": "book it"},
        *[item.to_dict() for item in told.output],
        {"role": "user", "content": "thank you"},
    ]
    session = told.conversation.id if told.conversation else ""
    raw = sdk.responses.with_raw_response.create(
        model="assistant", input=repeated, extra_headers={"X-Session-Id": session}
    )
    checks.equal(
        "a client that sends it all again is understood", raw.parse().output_text, "You said: thank you"
    )
    checks.equal("as being where the session is", raw.headers.get("x-session-forked-after"), None)


def program(checks: Checks) -> None:
    def reply(ask: Ask) -> Reply:
        if ask.said != "book it":
            return echo(ask)
        if ask.since:
            return Reply(["All", "booked."])
        booking = ToolCall("call_1", "book", '{"key": "k1", "milliseconds": 10}')
        return Reply(["One", "moment."], calls=[booking])

    with booking_office(reply) as (worker, model):
        url = worker.url + "/v1"
        sdk = client_of(url)
        plain(checks, sdk)
        instructs(checks, sdk, model)
        goes_on(checks, sdk, url, model)
        converses(checks, sdk, model)
        errors(checks, sdk, url)
        calls_tools(checks, sdk)


if __name__ == "__main__":
    alone(program, __doc__)
