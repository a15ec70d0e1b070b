"""Functions that clients bring themselves, under the `openai` SDK: their calls end a turn and their answers begin the next, also after a SIGKILL, also beside the pool's tools; on the chat API and on Responses."""

from __future__ import annotations

import json
from typing import Any

import openai
from openai.types.chat import ChatCompletionMessageFunctionToolCall

from kit.checks import Checks, alone, eventually
from kit.client import Client
from kit.model import INSTRUCTIONS, Ask, ModelServer, Reply
from kit.responses import client_of, refused
from kit.told_calls import calls_what_it_is_told
from kit.tool_calls import ToolCall
from kit.tool_server import ToolServer
from kit.worker import Worker, manifest

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION: dict[str, Any] = {"name": "get_weather", "description": "The weather.", "parameters": SCHEMA}
TOOLS: Any = [{"type": "function", "function": FUNCTION}]
FLAT: Any = [{"type": "function", **FUNCTION, "strict": False}]
LONG = 24  # calls in a row; a prompt holds the last twenty turns at most
BOOK = ("book", {"key": "k7", "milliseconds": 0})


def asks(*calls: tuple[str, dict[str, Any]]) -> str:
    """What a user says to have the stand-in make these calls in one reply."""
    return json.dumps(calls)


def weather(*cities: str) -> str:
    return asks(*(("get_weather", {"city": city}) for city in cities))


def carried_out(arguments: str) -> str:
    return f"{json.loads(arguments)['city']} is sunny"


class Chat:
    """The loop that every user of the SDK writes: asks until no function is called."""

    def __init__(self, sdk: openai.OpenAI, stream: bool, session: str | None, **more: Any) -> None:
        self.messages: list[Any] = []
        self.reasons: list[str] = []
        self._sdk, self._stream = sdk, stream
        self._more = {"tools": TOOLS, **more}
        self._headers = {"X-Session-Id": session} if session else {}

    def ask(self) -> list[ChatCompletionMessageFunctionToolCall]:
        """One request with the whole history; the calls that it ends with."""
        arguments = {"model": "assistant", "messages": self.messages, **self._more}
        if self._stream:
            with self._sdk.chat.completions.stream(**arguments, extra_headers=self._headers) as stream:
                choice = stream.get_final_completion().choices[0]
        else:
            choice = self._sdk.chat.completions.create(**arguments, extra_headers=self._headers).choices[0]
        self.reasons.append(choice.finish_reason)
        calls: list[Any] = list(choice.message.tool_calls or [])
        message: dict[str, Any] = {"role": "assistant", "content": choice.message.content}
        if calls:
            message["tool_calls"] = [call.to_dict() for call in calls]
            for call in message["tool_calls"]:
                call["function"].pop("parsed_arguments", None)
                call.pop("index", None)
        self.messages.append(message)
        return calls

    def run(self, text: str) -> str:
        self.messages.append({"role": "user", "content": text})
        while calls := self.ask():
            self.messages += [
                {"role": "tool", "tool_call_id": call.id, "content": carried_out(call.function.arguments)}
                for call in calls
            ]
        return str(self.messages[-1]["content"])


def loops(checks: Checks, sdk: openai.OpenAI, model: ModelServer) -> None:
    for stream in (False, True):
        for session in (None, f"loop-{stream}"):
            what = f"chat, stream {stream}, {'a session' if session else 'no session'}"
            chat = Chat(sdk, stream, session)
            said = chat.run(weather("Oslo", "Bern", "Rome"))
            checks.equal(f"{what}: three calls, then words", chat.reasons, ["tool_calls", "stop"])
            checks.equal(
                f"{what}: the model hears all answers",
                said,
                "Told: Oslo is sunny Bern is sunny Rome is sunny",
            )
            offered = model.of_kind("chat")[-2].body["tools"]
            checks.equal(f"{what}: it was offered the function", offered[-1]["function"], FUNCTION)
            again = chat.run(weather("Kyiv"))
            checks.equal(
                f"{what}: and so on",
                (again, chat.reasons[2:]),
                ("Told: Kyiv is sunny", ["tool_calls", "stop"]),
            )
            prompt = [m["role"] for m in model.of_kind("chat")[-1].body["messages"]]
            expected = [
                "system",
                "user",
                "assistant",
                *["tool"] * 3,
                "assistant",
                "user",
                "assistant",
                "tool",
            ]
            checks.equal(f"{what}: the model has each call with its answers", prompt, expected)
    plain = Chat(sdk, False, None, tool_choice="none").run("hello")
    checks.equal("functions that may not be called are not offered", plain, "You said: hello")
    checks.holds(
        "to the model",
        "get_weather" not in model.of_kind("chat")[-1].offered,
        model.of_kind("chat")[-1].offered,
    )
    Chat(sdk, False, None, tool_choice="required", parallel_tool_calls=False).run(weather("Oslo"))
    first, second = (ask.body for ask in model.of_kind("chat")[-2:])
    checks.equal("one that must be called is asked for", first.get("tool_choice"), "required")
    checks.equal("and whether several may be", second.get("parallel_tool_calls"), False)


def beside_the_pools(checks: Checks, sdk: openai.OpenAI, tools: ToolServer, model: ModelServer) -> None:
    for stream in (False, True):
        before = len(tools.ledger()["executions"])
        chat = Chat(sdk, stream, f"beside-{stream}")
        said = chat.run(asks(BOOK, ("get_weather", {"city": "Oslo"})))
        calls = chat.messages[1]["tool_calls"]
        names = [call["function"]["name"] for call in calls]
        checks.equal(f"stream {stream}: a client is asked for its own function alone", names, ["get_weather"])
        executed = len(tools.ledger()["executions"]) - before
        checks.equal(f"stream {stream}: the pool's tool beside it is called, once", executed, 1)
        checks.holds(f"stream {stream}: the model hears both", "sunny" in said and "k7" in said, said)
        prompt = [m["role"] for m in model.of_kind("chat")[-1].body["messages"]]
        checks.equal(
            f"stream {stream}: behind their calls", prompt, ["system", "user", "assistant", "tool", "tool"]
        )


def outlives_a_kill(checks: Checks, worker: Worker, model: ModelServer) -> None:
    sdk = client_of(f"{worker.url}/v1")
    chat = Chat(sdk, True, "killed")
    chat.messages.append({"role": "user", "content": weather("Oslo")})
    [call] = chat.ask()
    worker.kill()
    worker.start()
    # The session has the history: the answer alone is enough.
    chat.messages = [{"role": "tool", "tool_call_id": call.id, "content": "Oslo is sunny"}]
    chat.ask()
    checks.equal("after a kill the answer alone goes on", chat.messages[-1]["content"], "Told: Oslo is sunny")
    prompt = model.of_kind("chat")[-1].body["messages"]
    checks.equal("with its call", [m["role"] for m in prompt], ["system", "user", "assistant", "tool"])
    history = [m["role"] for m in Client(worker.port).history("killed")]
    checks.equal("the history has it", history, ["user", "assistant", "tool", "assistant"])


def is_strict(checks: Checks, sdk: openai.OpenAI, model: ModelServer) -> None:
    chat = Chat(sdk, False, "strict")
    chat.messages.append({"role": "user", "content": weather("Oslo", "Bern")})
    one, two = chat.ask()
    asked = len(model.of_kind("chat"))
    for what, ids in {"unknown": ["call-9"], "half": [one.id], "double": [one.id, one.id]}.items():
        answers = [{"role": "tool", "tool_call_id": id, "content": "x"} for id in ids]
        error = refused(
            checks,
            openai.BadRequestError,
            f"answers: {what}",
            lambda answers=answers: sdk.chat.completions.create(
                model="assistant", messages=answers, tools=TOOLS, extra_headers={"X-Session-Id": "strict"}
            ),
        )
        checks.equal(f"answers: {what}: the field is named", error.param, "messages")
    checks.equal("the model is not asked for these", len(model.of_kind("chat")), asked)
    chat.messages = [{"role": "user", "content": "never mind"}]
    chat.ask()
    prompt = model.of_kind("chat")[-1].body["messages"]
    checks.equal("who lets the calls be goes on", chat.messages[-1]["content"], "You said: never mind")
    checks.holds("the model sees no call without an answer", not any(m.get("tool_calls") for m in prompt))


def waits_for_approval(checks: Checks, sdk: openai.OpenAI, client: Client, tools: ToolServer) -> None:
    """An answer that fits no call must not eat a person's decision."""
    paused = client.native(asks(("confirm", {"key": "k8", "milliseconds": 0})), "approval", "turn-1")
    waiting = [value["id"] for name, value in paused.events if name == "approval.required"]
    checks.equal("a call waits for a person", len(waiting), 1)
    refused(
        checks,
        openai.BadRequestError,
        "an answer to a call that is not the client's",
        lambda: sdk.chat.completions.create(
            model="assistant",
            messages=[{"role": "tool", "tool_call_id": waiting[0], "content": "x"}],
            extra_headers={"X-Session-Id": "approval"},
        ),
    )
    decision = {"turn_id": "turn-1", "approvals": [{"call_id": waiting[0], "approve": True}]}
    turn = client.stream("/v1/sessions/approval/approvals", decision)
    checks.holds("the call waits still, and is approved", "k8" in turn.text, turn.text)
    done = [one for one in tools.ledger()["executions"] if one["key"] == "k8"]
    checks.equal("and made, once", len(done), 1)


def is_brought_again(checks: Checks, sdk: openai.OpenAI, breaks: list[str]) -> None:
    """The turn of the answers breaks off; its client sends them again."""
    chat = Chat(sdk, False, "broken")
    chat.messages.append({"role": "user", "content": weather("Oslo")})
    [call] = chat.ask()
    chat.messages = [{"role": "tool", "tool_call_id": call.id, "content": "Oslo is sunny"}]
    breaks.append("Oslo is sunny")
    try:
        chat.ask()
        checks.holds("the turn of the answers breaks off", False)
    except openai.APIError as error:
        checks.holds("the turn of the answers breaks off", not breaks, error)
    chat.ask()
    checks.equal("its answers may be sent again", chat.messages[-1]["content"], "Told: Oslo is sunny")


def outlives_its_context(checks: Checks, sdk: openai.OpenAI, client: Client, model: ModelServer) -> None:
    """A loop of calls that has more turns than a prompt holds: the model still hears what was asked."""
    chat = Chat(sdk, False, "long")
    chat.messages = [{"role": "user", "content": "loop"}]
    rounds = 0
    while calls := chat.ask():
        rounds += 1
        chat.messages = [{"role": "tool", "tool_call_id": calls[0].id, "content": "Oslo is sunny"}]
        if rounds == LONG:
            path = "/v1/sessions/long"
            archived = eventually(lambda: client.ask("GET", path).json["archived_through"] >= 20, 20)
            checks.holds("the question's turn is archived", archived, client.ask("GET", path).json)
    checks.equal("a loop goes on to its end", (rounds, chat.messages[-1]["content"]), (LONG, "Done."))
    prompt = model.of_kind("chat")[-1].body["messages"]
    checks.holds("the prompt holds a part of it", len(prompt) < 2 * LONG, len(prompt))
    asked = [m["content"] for m in prompt if m["role"] == "user"]
    checks.equal("and the question, which had left it", asked[0], "loop")


def responds(checks: Checks, sdk: openai.OpenAI, tools: ToolServer, model: ModelServer) -> None:
    for stream in (False, True):
        what = f"responses, stream {stream}"
        first = response(sdk, stream, asks(BOOK, ("get_weather", {"city": "Oslo"})))
        kinds = [item.type for item in first.output]
        checks.equal(
            f"{what}: the calls are items, the pool's made", kinds, ["message", "mcp_call", "function_call"]
        )
        call = first.output[-1]
        checks.equal(f"{what}: the client's is not", (call.name, call.status), ("get_weather", "completed"))
        checks.equal(
            f"{what}: what may be called is repeated", [t.name for t in first.tools], ["get_weather"]
        )
        answer: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "Oslo is sunny"}]
        second = response(sdk, stream, answer, previous_response_id=first.id)
        checks.holds(f"{what}: the answer goes on", "Oslo is sunny" in second.output_text, second.output_text)
        again = sdk.responses.retrieve(first.id)
        checks.equal(f"{what}: read again it is the same", facts(again.output[-1]), facts(call))
        items = (
            sdk.conversations.items.list(first.conversation.id, order="asc").data
            if first.conversation
            else []
        )
        checks.equal(
            f"{what}: and in the conversation",
            [item.type for item in items],
            ["message", "message", "mcp_call", "function_call", "function_call_output", "message"],
        )
    # And by a client that keeps the history itself.
    history: list[Any] = [{"role": "user", "content": weather("Oslo", "Bern")}]
    first = sdk.responses.create(model="assistant", input=history, tools=FLAT)
    history += [item.to_dict() for item in first.output]
    history += [
        {"type": "function_call_output", "call_id": item.call_id, "output": carried_out(item.arguments)}
        for item in first.output
        if item.type == "function_call"
    ]
    second = sdk.responses.create(model="assistant", input=history, tools=FLAT)
    checks.equal("a client with the history", second.output_text, "Told: Oslo is sunny Bern is sunny")
    error = refused(
        checks,
        openai.BadRequestError,
        "an answer to nothing",
        lambda: sdk.responses.create(
            model="assistant", input=[{"type": "function_call_output", "call_id": "c", "output": "x"}]
        ),
    )
    checks.equal("the field is named", error.param, "input")


def facts(call: Any) -> tuple[Any, ...]:
    return call.type, call.id, call.call_id, call.name, call.arguments, call.status


def response(sdk: openai.OpenAI, stream: bool, given: Any, **more: Any) -> Any:
    arguments = {"model": "assistant", "input": given, "tools": FLAT, **more}
    if not stream:
        return sdk.responses.create(**arguments)
    with sdk.responses.stream(**arguments) as events:
        for _ in events:
            pass
        return events.get_final_response()


def program(checks: Checks) -> None:
    breaks: list[str] = []
    long = list(range(LONG))

    def reply(ask: Ask) -> Reply:
        if breaks and ask.kind == "chat" and breaks[0] in ask.answers:
            breaks.pop()
            return Reply(["Half", "a", "sentence"], cut_at=2)
        if ask.kind == "chat" and any(m["content"] == "loop" for m in ask.body["messages"]):
            call = ToolCall(f"long-{len(long)}", "get_weather", json.dumps({"city": "Oslo"}))
            return Reply(["Again."], calls=[call]) if long and long.pop() >= 0 else Reply(["Done."])
        return calls_what_it_is_told(ask)

    model, tools = ModelServer(reply), ToolServer()
    agent = {"name": "assistant", "instructions": INSTRUCTIONS, "model": "chat", "tools": ["desk"]}
    servers = [{"name": "desk", "url": tools.url, "requireApproval": ["confirm"]}]
    with Worker(manifest(model, auth={"mode": "None"}, agents=[agent], mcpServers=servers)) as worker:
        sdk = client_of(f"{worker.url}/v1")
        loops(checks, sdk, model)
        beside_the_pools(checks, sdk, tools, model)
        outlives_a_kill(checks, worker, model)
        sdk = client_of(f"{worker.url}/v1")
        is_strict(checks, sdk, model)
        waits_for_approval(checks, sdk, Client(worker.port), tools)
        is_brought_again(checks, sdk, breaks)
        outlives_its_context(checks, sdk, Client(worker.port), model)
        responds(checks, sdk, tools, model)
    tools.close()
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
