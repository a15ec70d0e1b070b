"""Tools of a genuine MCP server, in both eras of the protocol: five calls at once, every type of content, errors, restarts, silence and floods."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

from kit.checks import Checks, alone, eventually
from kit.client import Client, Turn
from kit.mcp_server import MODERN, Era, MCPServerProcess
from kit.model import Ask, ModelServer, Reply
from kit.tool_calls import ToolCall
from kit.worker import Worker, manifest

INSTRUCTIONS = "You are the front desk of the parcel office."
MODES: tuple[tuple[Era, bool], ...] = (("both", False), ("modern", True), ("older", False), ("older", True))
TIMEOUT = 6  # seconds that a call may take
RESIDENT = 300 << 20  # bytes that a worker may take after a flood, at most; it takes some 60 MB at its start


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


def five_at_once(
    checks: Checks, client: Client, model: ModelServer, server: MCPServerProcess, what: str
) -> None:
    turn = call(
        client,
        f"five-{what}",
        ("find_parcel", {"number": "7"}),
        ("photograph", {"number": "7"}),
        ("send_parcel", {"city": "Zürich"}),
        ("weigh", {"seconds": 0.3, "steps": 3}),
        ("lose_parcel", {"number": "8"}),
    )
    told = results(turn)
    checks.holds(f"{what}: a turn with five calls ends", turn.acknowledged, turn.error)
    outcomes = {name: outcome for name, (outcome, _) in told.items()}
    expected = dict.fromkeys(("find_parcel", "photograph", "send_parcel", "weigh"), "done")
    checks.equal(f"{what}: each came to its end", outcomes, {**expected, "lose_parcel": "failed"})
    checks.holds(
        f"{what}: structured answers are told", "Zürich" in told["find_parcel"][1], told["find_parcel"]
    )
    seen = told["photograph"][1]
    checks.holds(
        f"{what}: texts among other contents are told", "Fragile." in seen and "Parcel 7:" in seen, seen
    )
    checks.holds(
        f"{what}: what is no text is named", all(kind in seen for kind in ("image/png", "audio/wav")), seen
    )
    checks.holds(
        f"{what}: an error is the model's to hear",
        "lose_parcel" in told["lose_parcel"][1],
        told["lose_parcel"],
    )
    done, revisions = server.ledger()
    counted = {name: done[name] for name in (*expected, "lose_parcel")}
    checks.equal(f"{what}: each was carried out once", counted, dict.fromkeys(counted, 1))
    used = {revision for revision in revisions if revision != "none"}
    checks.note(f"{what}: asked in {dict(revisions)}")
    if what.startswith("older"):
        checks.holds(f"{what}: in a revision of the older era", any(r < MODERN for r in used), used)
    else:
        checks.equal(f"{what}: in the newest revision alone", used, {MODERN})
    offered = sorted(model.of_kind("chat")[-1].offered)
    checks.holds(f"{what}: the model was offered the server's tools", "send_parcel" in offered, offered)


def outlives_restarts(
    checks: Checks, client: Client, server: MCPServerProcess, mode: tuple[Era, bool], what: str
) -> MCPServerProcess:
    """A session of the older era ends with its server; whoever asks begins another."""
    port = server.port
    server.close()
    lost = call(client, f"lost-{what}", ("send_parcel", {"city": "Bern"}))
    outcome = results(lost)["send_parcel"][0]
    checks.equal(f"{what}: without a server a call is not sent", outcome, "not_sent")
    server = MCPServerProcess(*mode, port=port)
    again = call(client, f"again-{what}", ("send_parcel", {"city": "Basel"}))
    checks.equal(f"{what}: after its restart it is", results(again)["send_parcel"][0], "done")
    checks.equal(f"{what}: once", server.ledger()[0]["send_parcel"], 1)
    return server


def hangs(checks: Checks, client: Client, server: MCPServerProcess, what: str) -> None:
    server.signal(signal.SIGSTOP)
    begun = time.monotonic()
    turn = call(client, f"hangs-{what}", ("send_parcel", {"city": "Chur"}), ("find_parcel", {"number": "9"}))
    took = time.monotonic() - begun
    server.signal(signal.SIGCONT)
    told = {name: outcome for name, (outcome, _) in results(turn).items()}
    checks.holds(
        f"{what}: a server that hangs costs a turn the call's own time", turn.acknowledged, f"{took:.1f} s"
    )
    checks.equal(f"{what}: what it may have done is unknown", told["send_parcel"], "unknown")
    sent = eventually(lambda: server.ledger()[0]["send_parcel"] <= 2, 10)
    checks.holds(f"{what}: and the call was not sent twice", sent, server.ledger()[0]["send_parcel"])


def is_cancelled(checks: Checks, client: Client, server: MCPServerProcess, what: str) -> None:
    turn = call(client, f"cancelled-{what}", ("weigh", {"seconds": 60, "steps": 60}))
    checks.equal(f"{what}: a call that takes too long is given up", results(turn)["weigh"][0], "unknown")
    heard = eventually(lambda: server.ledger()[0]["weigh cancelled"] == 1, 20)
    checks.holds(f"{what}: and its server is told so", heard, dict(server.ledger()[0]))


def floods(checks: Checks, client: Client, worker: Worker, what: str) -> None:
    turn = call(client, f"floods-{what}", ("list_everything", {}))
    outcome, text = results(turn)["list_everything"]
    checks.holds(f"{what}: ten million characters end no turn", turn.acknowledged, f"{outcome}: {text[:120]}")
    status = open(f"/proc/{worker.pid}/status").read()
    resident = int(status.partition("VmRSS:")[2].split()[0]) << 10
    checks.holds(
        f"{what}: and take no more memory than is bounded", resident < RESIDENT, f"{resident >> 20} MiB"
    )


def program(checks: Checks) -> None:
    for mode in MODES:
        era, json_answers = mode
        what = f"{era}{'-json' if json_answers else ''}"
        model, server = ModelServer(calls_what_it_is_told), MCPServerProcess(*mode)
        spec = {
            "mcpServers": [{"name": "office", "url": server.url, "timeout": f"{TIMEOUT}s"}],
            "agents": [
                {"name": "assistant", "instructions": INSTRUCTIONS, "model": "chat", "tools": ["office"]}
            ],
        }
        with Worker(manifest(model, **spec)) as worker:
            client = Client(worker.port)
            five_at_once(checks, client, model, server, what)
            server = outlives_restarts(checks, client, server, mode, what)
            hangs(checks, client, server, what)
            if not json_answers:
                is_cancelled(checks, client, server, what)
            floods(checks, client, worker, what)
        server.close()
        model.close()


if __name__ == "__main__":
    alone(program, __doc__)
