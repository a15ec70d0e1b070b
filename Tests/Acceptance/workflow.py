"""A pool whose turns go through a graph of the manifest's own: every kind of node, what clients are told of it, kills in the middle, and graphs that are refused."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import openai
from kit.checks import Checks, alone
from kit.client import Client, Turn
from kit.desk import NAME, Desk
from kit.model import INSTRUCTIONS, Ask, ModelServer, Reply
from kit.recorder import Recorder
from kit.worker import Worker, binary, manifest

KEY = "key-of-the-notes-9f3a"


def shop(ask: Ask) -> Reply:
    """Says which agent it is, and what the calls before it were answered."""
    if ask.kind != "chat":
        return Reply(["none"])
    who = "care" if "You calm." in ask.prompt else "desk"
    results = ask.answers
    return Reply([who, "heard:", *results])


def graph(crm: str) -> dict[str, Any]:
    """All kinds of nodes; `{milliseconds}` of the look-up and the booking are what the user's words say."""
    book = {"server": NAME, "tool": "book", "arguments": {"key": "{{input}}", "milliseconds": 700}}
    find = {"server": NAME, "tool": "look_up", "arguments": {"key": "{{session}}", "milliseconds": 5}}
    note = {
        "url": f"{crm}/notes",
        "body": {"said": "{{steps.calm}}", "heard": "{{input}}", "level": "{{steps.customer.level}}"},
        "headersSecretRef": {"name": "crm"},
    }
    customer = {"url": f"{crm}/customers", "method": "GET", "query": {"text": "{{input}}"}}
    nodes = [
        {"name": "guard", "kind": "inputGuard"},
        {"name": "gather", "kind": "parallel", "parallel": {"nodes": ["remember", "find", "customer"]}},
        {"name": "remember", "kind": "recall"},
        {"name": "find", "kind": "callTool", "callTool": find},
        {"name": "customer", "kind": "httpCall", "httpCall": customer},
        {"name": "angry", "kind": "condition", "condition": {"text": "{{input}}", "matches": "(?i)complain"}},
        {"name": "calm", "kind": "converse", "converse": {"agent": "care"}},
        {"name": "file", "kind": "httpCall", "httpCall": note},
        {"name": "sends", "kind": "condition", "condition": {"text": "{{input}}", "matches": "^send"}},
        {"name": "book", "kind": "callTool", "callTool": book},
        {"name": "talk", "kind": "converse", "converse": {"agent": "desk"}},
        {"name": "keep", "kind": "commit"},
        {"name": "digest", "kind": "summarize"},
    ]
    edges = [
        ("guard", "gather"),
        ("gather", "angry"),
        ("angry", "calm", "matched"),
        ("angry", "sends"),
        ("calm", "file"),
        ("file", "sends"),
        ("sends", "book", "matched"),
        ("sends", "talk"),
        ("book", "talk"),
        ("talk", "keep"),
        ("keep", "digest", "planned"),
    ]
    return {
        "nodes": nodes,
        "edges": [dict(zip(("from", "to", "when"), edge, strict=False)) for edge in edges],
    }


def steps(turn: Turn) -> list[str]:
    return [value["step"] for name, value in turn.events if name == "turn.step"]


def calls(turn: Turn) -> list[str]:
    return [f"{value['name']} {value['outcome']}" for name, value in turn.events if name == "tool.result"]


def goes_through(checks: Checks, client: Client, worker: Worker, desk: Desk, crm: Recorder) -> None:
    turn = client.native("good day", "s-plain")
    checks.equal(
        "a turn goes through the nodes that its edges lead to",
        steps(turn),
        ["guard", "gather", "angry", "sends", "talk", "keep"],
    )
    kinds = {value["step"]: value["kind"] for name, value in turn.events if name == "turn.step"}
    checks.equal("clients are told the kinds", kinds["gather"], "parallel")
    checks.equal("both calls beside each other", sorted(calls(turn)), ["customer done", "look_up done"])
    checks.equal("the request was filled in", crm.requests[-1].target, "/customers?text=good%20day")
    checks.holds("the model heard what they said", "look_up s-plain: done" in turn.text, turn.text)

    angry = client.native("I complain", "s-angry")
    checks.equal(
        "another way where the condition holds",
        steps(angry),
        ["guard", "gather", "angry", "calm", "file", "sends", "talk", "keep"],
    )
    note = crm.requests[-1]
    checks.holds(
        "the note holds what was said before it", note.body["said"].startswith("care heard:"), note.body
    )
    checks.equal("and a number of an answer as a number", (note.body["heard"], note.body["level"]), ("I complain", 3))
    checks.equal("with the Secret's header", note.headers.get("authorization"), f"Bearer {KEY}")
    checks.holds("both replies are streamed apart", "\n\ndesk heard:" in angry.text, angry.text)
    speakers = [value["agent"] for name, value in angry.events if name == "agent.changed"]
    checks.equal("who speaks is told", speakers, ["care", "desk"])
    history = [m for m in client.history("s-angry") if m["role"] == "assistant" and m["content"]]
    checks.equal("the history holds what was streamed", "".join(m["content"] for m in history), angry.text)

    with urllib.request.urlopen(f"http://127.0.0.1:{worker.admin_port}/metrics", timeout=10) as page:
        metrics = page.read().decode()
    counted = 'agentpool_workflow_step_seconds_count{step="calm",kind="converse"} 1'
    checks.holds("each node counts in the metrics", counted in metrics)
    checks.holds("the Secret is in no log", KEY not in worker.log.read_text())


def speaks_to_an_sdk(checks: Checks, worker: Worker) -> None:
    sdk = openai.OpenAI(base_url=f"{worker.url}/v1", api_key="none", max_retries=0)
    for stream in (True, False):
        messages: Any = [{"role": "user", "content": "I complain loudly"}]
        if stream:
            chunks = sdk.chat.completions.create(model="acceptance", messages=messages, stream=True)
            text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        else:
            reply = sdk.chat.completions.create(model="acceptance", messages=messages)
            text = reply.choices[0].message.content or ""
        whole = text.startswith("care heard:") and "\n\ndesk heard:" in text
        checks.holds(f"the openai SDK gets both replies ({'streamed' if stream else 'whole'})", whole, text)


def outlives_kills(checks: Checks, client: Client, worker: Worker, desk: Desk, crm: Recorder) -> None:
    """Killed amid a call that must not be repeated, and sent again under the same id."""
    for text, session in (("send one", "s-kill-tool"), ("I complain of two", "s-kill-http")):
        crm.seconds = 0.0
        noted = sum(r.method == "POST" for r in crm.requests)
        thread = threading.Thread(target=_ignoring_the_end, args=(client, text, session))
        thread.start()
        deadline = time.monotonic() + 20
        if text.startswith("send"):
            while not any(one.tool == "book" and one.ended is None for one in desk.ledger().executions):
                _wait(deadline)
        else:
            crm.seconds = 1.0
            while sum(r.method == "POST" for r in crm.requests) == noted:
                _wait(deadline)
        worker.kill()
        thread.join()
        crm.seconds = 0.0
        worker.start()
        turn = client.native(text, session, f"turn-{session}")
        checks.equal("the turn comes to its end", turn.events[-1][0], "turn.completed")
        outcome = "book unknown" if text.startswith("send") else "file unknown"
        checks.holds("what was cut off is told as unknown", outcome in calls(turn), calls(turn))
    booked = [e.key for e in desk.ledger().executions if e.tool == "book"]
    checks.equal("the booking was made once", booked, ["send one"])
    notes = [r for r in crm.requests if r.method == "POST" and "s-kill-http" in str(r.body)]
    checks.equal("the note was sent once", len(notes), 1)


def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise RuntimeError("the call did not begin in 20 s")
    time.sleep(0.01)


def _ignoring_the_end(client: Client, text: str, session: str) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        client.native(text, session, f"turn-{session}")


def refuses(checks: Checks, model: ModelServer) -> None:
    """Each is refused at the start, with the field."""
    talk, keep = {"name": "talk", "kind": "converse"}, {"name": "keep", "kind": "commit"}
    again = {"name": "again", "kind": "converse"}
    cases = [
        (
            "spec.workflow.nodes[0]: the path talk -> again -> talk has no way out",
            [talk, again, keep],
            ["talk again", "again talk"],
        ),
        (
            "spec.workflow.nodes[2]: no path from talk leads to again",
            [talk, keep, again],
            ["talk keep", "again keep"],
        ),
        ("spec.workflow.edges[0].to: no node is called", [talk, keep], ["talk kep"]),
        ("spec.workflow.nodes[0]: no edge leads on from talk", [talk, keep], []),
    ]
    for words, nodes, edges in cases:
        pairs = [dict(zip(("from", "to"), edge.split(), strict=True)) for edge in edges]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            Path(file.name).write_text(manifest(model, workflow={"nodes": nodes, "edges": pairs}))
            ended = subprocess.run(
                [binary(), "run", "-f", file.name], capture_output=True, text=True, timeout=20, check=False
            )
        said = ended.stdout + ended.stderr
        checks.holds("a graph that can't work is refused", ended.returncode != 0 and words in said, words)


def program(checks: Checks) -> None:
    model, desk, crm = ModelServer(shop), Desk(), Recorder(answer={"level": 3})
    spec = desk.spec
    spec["agents"] = [
        {"name": name, "instructions": f"{INSTRUCTIONS} {more}", "model": "chat"}
        for name, more in (("desk", "You greet."), ("care", "You calm."))
    ]
    secrets = {"crm": {"Authorization": f"Bearer {KEY}"}}
    with Worker(manifest(model, secrets, workflow=graph(crm.url), **spec)) as worker:
        client = Client(worker.port)
        goes_through(checks, client, worker, desk, crm)
        speaks_to_an_sdk(checks, worker)
        outlives_kills(checks, client, worker, desk, crm)
    refuses(checks, model)
    refusals = desk.ledger().refusals
    desk.close()
    crm.close()
    model.close()
    checks.equal("the tool server refused nothing", refusals, [])


if __name__ == "__main__":
    alone(program, __doc__)
