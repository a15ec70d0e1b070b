"""Several agents under real clients: hand-offs that stay and outlive a kill, agents asked side by side, and both bounded; the SDK's chat with the pool's tools."""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import openai
from openai.types.chat import ChatCompletionMessageParam

from kit.checks import Checks, alone, eventually
from kit.client import Client, Turn
from kit.desk import Desk
from kit.model import INSTRUCTIONS, ModelServer
from kit.office import LEAVES, POOL, SPEC, Office, speaker
from kit.responses import client_of
from kit.worker import Worker, binary, manifest

HANDOVERS = 8  # of one turn
DEPTH = 3  # agents between a client and whoever is asked last


def told(turn: Turn, event: str) -> list[Any]:
    return [value for name, value in turn.events if name == event]


def results(turn: Turn) -> dict[str, tuple[str, str]]:
    """What clients were told of each call."""
    return {value["name"]: (value["outcome"], value["text"]) for value in told(turn, "tool.result")}


def agent_of(client: Client, session: str) -> str:
    return str(client.ask("GET", f"/v1/sessions/{session}").json["agent"])


def says(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def hands_over(checks: Checks, worker: Worker, client: Client, model: ModelServer) -> None:
    turn = client.native("transfer me", "native")
    checks.holds("a model hands over, and the turn ends", turn.acknowledged, turn.text)
    checks.equal(
        "clients are told who speaks", [v["agent"] for v in told(turn, "agent.changed")], ["billing"]
    )
    checks.holds("who answers in words of its own", "billing:" in turn.text, turn.text)
    asked = [speaker(ask) for ask in model.of_kind("chat")]
    checks.equal("each was asked once", asked, ["triage", "billing"])
    offered = model.of_kind("chat")[-1].offered
    checks.equal("the new agent has its own tools", offered, ["transfer_to_triage"])
    checks.equal("the session tells whose it is", agent_of(client, "native"), "billing")
    stored = {message["agent"] for message in client.history("native")}
    checks.equal("the turn is the new agent's", stored, {"billing"})
    stays(checks, client, model, "the next turn is the new agent's")
    worker.kill()
    worker.start()
    checks.equal("after a kill the session tells it still", agent_of(client, "native"), "billing")
    stays(checks, client, model, "and the next turn is its too")
    named = client.stream("/v1/sessions/native/turns", {"input": "hello", "agent": "triage"})
    checks.holds("a client may name another", "triage: hello" in named.text, named.text)
    checks.equal("who has it from then on", agent_of(client, "native"), "triage")


def stays(checks: Checks, client: Client, model: ModelServer, sentence: str) -> None:
    turn = client.native("and now?", "native")
    started = told(turn, "turn.started")[0]["agent"]
    checks.equal(
        sentence, (started, turn.text, speaker(model.of_kind("chat")[-1])), ("billing", "billing: and now?", "billing")
    )  # fmt: skip


def goes_on_after_a_kill(
    checks: Checks, worker: Worker, client: Client, model: ModelServer, office: Office
) -> None:
    """The worker dies when the hand-off is durable and the new agent has not said a word."""
    office.hold.clear()
    before = len(model.of_kind("chat"))

    def ask() -> None:
        try:
            client.native("hold on", "killed", "turn-1")
        except OSError:
            return  # its worker is gone

    thread = threading.Thread(target=ask)
    thread.start()
    began = eventually(
        lambda: [speaker(a) for a in model.of_kind("chat")[before:]] == ["triage", "billing"], 10
    )
    checks.holds("a worker is killed while the new agent is asked", began)
    worker.kill()
    thread.join()
    office.hold.set()
    worker.start()
    again = client.native("hold on", "killed", "turn-1")
    checks.holds("the turn goes on", again.acknowledged and "billing:" in again.text, again.text)
    asked = [speaker(ask) for ask in model.of_kind("chat")[before:]]
    checks.equal("with who had it; the first is not asked again", asked, ["triage", "billing", "billing"])
    checks.equal("and the session is the new agent's", agent_of(client, "killed"), "billing")


def is_seen_by_the_sdk(checks: Checks, url: str, client: Client) -> None:
    sdk = client_of(f"{url}/v1")
    for stream in (True, False):
        name = f"sdk-{stream}"
        text = chat(sdk, POOL, "transfer me", name, stream)
        checks.holds(f"chat, stream {stream}: both agents' words are one reply", "billing:" in text, text)
        checks.equal("the session is the new agent's", agent_of(client, name), "billing")
        checks.equal("the pool's name means it", chat(sdk, POOL, "more", name, stream), "billing: more")
        checks.equal("an agent's name that agent", chat(sdk, "triage", "more", name, stream), "triage: more")
    first = sdk.responses.create(model=POOL, input="transfer me")
    kinds = [(item.type, getattr(item, "name", None)) for item in first.output]
    checks.holds(
        "a response has the hand-off as an item", ("mcp_call", "transfer_to_billing") in kinds, kinds
    )
    second = sdk.responses.create(model=POOL, input="more", previous_response_id=first.id)
    checks.equal("the next response is the new agent's", second.output_text, "billing: more")


def chat(sdk: openai.OpenAI, model: str, text: str, session: str, stream: bool) -> str:
    """A reply's text; a call of the pool's tools is nothing for the client to carry out."""
    answer = sdk.chat.completions.create(
        model=model, messages=says(text), stream=stream, extra_headers={"X-Session-Id": session}
    )
    if not isinstance(answer, openai.Stream):
        choice = answer.choices[0]
        if choice.message.tool_calls or choice.finish_reason != "stop":
            raise RuntimeError(f"not a plain reply: {choice}")
        return choice.message.content or ""
    chunks = [chunk.choices[0] for chunk in answer if chunk.choices]
    if any(chunk.delta.tool_calls for chunk in chunks) or chunks[-1].finish_reason != "stop":
        raise RuntimeError(f"not a plain reply: {chunks[-1]}")
    return "".join(chunk.delta.content or "" for chunk in chunks)


def calls_tools(checks: Checks, url: str, desk: Desk) -> None:
    sdk = client_of(f"{url}/v1")
    for stream in (True, False):
        text = chat(sdk, POOL, f"parcel {stream}", f"tools-{stream}", stream)
        checks.holds(
            f"chat, stream {stream}: the pool's tool is called", f"look_up {stream}: done" in text, text
        )
        executed = [one.key for one in desk.ledger().executions]
        checks.equal("once", executed.count(str(stream)), 1)
    whole = sdk.chat.completions.create(model=POOL, messages=says("hello"), tools=[])
    checks.equal("an empty list is none", whole.choices[0].message.content, "triage: hello")


def asks_side_by_side(checks: Checks, url: str, client: Client, model: ModelServer) -> None:
    turn = client.native("compare apples", "merged")
    found = results(turn)
    expected = {f"ask_{leaf}": ("done", f"{leaf} of apples") for leaf in LEAVES}
    checks.equal("two agents are asked in one reply", found, expected)
    checks.holds(
        "who asked merges their answers", all(text in turn.text for _, text in expected.values()), turn.text
    )
    leaves = [ask for ask in model.of_kind("chat") if speaker(ask) in LEAVES]
    begun, ended = max(a.begun for a in leaves), min(a.sent_all or 0 for a in leaves)
    checks.holds("they answered at the same time", begun < ended, f"for {ended - begun:.2f} s")
    heard = [[m["content"] for m in ask.body["messages"] if m["role"] != "system"] for ask in leaves]
    checks.equal("each heard the question alone", heard, [["apples"], ["apples"]])
    spoken = [m["content"] for m in client.history("merged") if m["role"] == "user"]
    checks.equal("the session has the client's words alone", spoken, ["compare apples"])
    before = len(model.of_kind("chat"))
    whole = client_of(f"{url}/v1").chat.completions.create(model=POOL, messages=says("compare pears"))
    asked = model.of_kind("chat")[before:]
    words = 3 + 3 + 3 + 3  # two of "One moment. " and each agent's answer
    counted = whole.usage.completion_tokens if whole.usage else 0
    checks.equal("all that was said counts as the turn's", (len(asked), counted), (4, words))


def is_bounded(checks: Checks, client: Client, model: ModelServer) -> None:
    before = len(model.of_kind("chat"))
    turn = client.native("round and round", "round")
    changes = [value["agent"] for value in told(turn, "agent.changed")]
    checks.holds("a circle of hand-offs ends in an answer", turn.acknowledged, turn.text)
    checks.equal("after eight", changes, ["billing", "triage"] * (HANDOVERS // 2))
    checks.equal("for each of which the model was asked", len(model.of_kind("chat")) - before, HANDOVERS + 1)
    last = model.of_kind("chat")[-1].offered
    checks.holds("then no hand-off is offered", not any(t.startswith("transfer_to_") for t in last), last)
    before = len(model.of_kind("chat"))
    turn = client.native("deep down", "deep")
    asked = [speaker(ask) for ask in model.of_kind("chat")[before:]]
    depth = [name for name in asked[1:] if name != "triage"]
    checks.holds("agents that ask each other come to an end", turn.acknowledged, turn.text)
    checks.equal("after three", depth, ["ping", "pong", "ping", "pong", "ping"])
    offered = [ask.offered for ask in model.of_kind("chat")[before:]][DEPTH]
    checks.equal("the third can ask nobody", offered, [])
    checks.holds("its answer comes back up", "down" in turn.text, turn.text)


def knows_nobody(checks: Checks, url: str, client: Client) -> None:
    turn = client.native("unknown", "unknown")
    outcomes = {name: outcome for name, (outcome, _) in results(turn).items()}
    expected = dict.fromkeys(("transfer_to_nobody", "ask_nobody"), "not_sent")
    checks.equal("a model that names nobody is told so", outcomes, expected)
    checks.holds("and who there is", "transfer_to_billing" in turn.text and turn.acknowledged, turn.text)
    checks.equal("the session stays where it is", agent_of(client, "unknown"), "triage")
    named = client.stream("/v1/sessions/unknown/turns", {"input": "hello", "agent": "nobody"})
    checks.equal("a client that names nobody is told so", named.status, 404)
    checks.holds("by name", "nobody" in str(named.error.get("message")), named.error)
    try:
        client_of(f"{url}/v1").responses.create(model="nobody", input="hello")
        checks.holds("by the SDK's exception", False)
    except openai.NotFoundError as error:
        checks.holds("by the SDK's exception", True, error.message)


def cannot_pause(checks: Checks, client: Client, desk: Desk) -> None:
    turn = client.native("clerk parcel-9", "clerk")
    text = results(turn)["ask_clerk"][1]
    checks.holds("an asked agent can't wait for an approval", "a person has to approve" in text, text)
    checks.equal("its call was not made", [e.key for e in desk.ledger().executions if e.tool == "book"], [])


def speaks_to_curl(checks: Checks, url: str) -> None:
    command = ["curl", "-sN", "--max-time", "20", f"{url}/v1/sessions/curl/turns"]
    command += ["-H", "Content-Type: application/json", "-d", '{"input": "transfer me"}']
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^event: ?(\S+)", out, re.MULTILINE)
    order = [name for name in names if name in ("turn.started", "agent.changed", "turn.completed")]
    checks.equal("curl sees who speaks", order, ["turn.started", "agent.changed", "turn.completed"])
    checks.holds("and what", '"billing"' in out and "billing:" in out)


def refuses_manifests(checks: Checks, model: ModelServer) -> None:
    cases = {
        "a hand-off to nobody": ("handoffs", ["nobody"]),
        "a hand-off to itself": ("handoffs", ["assistant"]),
        "asking nobody": ("agentTools", ["nobody"]),
        "asking itself": ("agentTools", ["assistant"]),
    }
    for what, (field, value) in cases.items():
        agent = {"name": "assistant", "instructions": INSTRUCTIONS, "model": "chat", field: value}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "pool.yaml"
            file.write_text(manifest(model, agents=[agent]))
            done = subprocess.run(
                [binary(), "render", "-f", str(file)], capture_output=True, text=True, check=False
            )
        lines = done.stderr.strip()
        checks.holds(f"{what} is refused, by field", done.returncode != 0 and field in lines, lines[-160:])


def program(checks: Checks) -> None:
    office = Office()
    model, desk = ModelServer(office), Desk()
    spec = {**desk.spec, **SPEC}
    spec["mcpServers"][0] |= {"requireApproval": ["book"]}
    with Worker(manifest(model, **spec)) as worker:
        client = Client(worker.port)
        hands_over(checks, worker, client, model)
        goes_on_after_a_kill(checks, worker, client, model, office)
        is_seen_by_the_sdk(checks, worker.url, client)
        calls_tools(checks, worker.url, desk)
        asks_side_by_side(checks, worker.url, client, model)
        is_bounded(checks, client, model)
        knows_nobody(checks, worker.url, client)
        cannot_pause(checks, client, desk)
        speaks_to_curl(checks, worker.url)
        refusals = desk.ledger().refusals
    refuses_manifests(checks, model)
    desk.close()
    model.close()
    checks.equal("the tool server refused nothing", refusals, [])


if __name__ == "__main__":
    alone(program, __doc__)
