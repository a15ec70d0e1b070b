"""Servers of tools that lie, beside a sound one: turns go on, models are told the truth, and the sound server's tools work."""

from __future__ import annotations

from kit.checks import Checks, alone
from kit.client import Client
from kit.lying_server import LISTS, LyingServers
from kit.mcp_server import MCPServerProcess
from kit.model import INSTRUCTIONS, ModelServer
from kit.told_calls import call, calls_what_it_is_told, results
from kit.worker import Worker, manifest


def is_offered(checks: Checks, offered: list[str]) -> None:
    checks.holds("a sound server's tools are offered beside those of liars", "send_parcel" in offered)
    schemas = sorted(name for name in offered if name.startswith("schema_"))
    checks.equal("of ten schemas the two that models can use", schemas, ["schema_empty", "schema_tree"])
    names = sorted(name for name in offered if name in ("twice", "names_good", "names_late", "two words"))
    checks.equal(
        "names that are none are left out, and one that stands thrice is one",
        names,
        ["names_good", "names_late", "twice"],
    )
    endless = [name for name in offered if name.startswith("endless_")]
    checks.equal("a list that never ends is left at its bound", len(endless), 64)
    checks.equal("no name is offered twice", len(offered), len(set(offered)))


def is_called(checks: Checks, client: Client) -> None:
    first = call(
        client,
        "lies-1",
        ("strict", {"city": "Bern"}),
        ("warm", {}),
        ("textual", {}),
        ("kinds", {}),
        ("send_parcel", {"city": "Bern"}),
    )
    checks.holds("a turn with calls of liars ends", first.acknowledged, first.error)
    told = results(first)
    checks.equal("the sound server's call is made", told["send_parcel"][0], "done")
    checks.equal("arguments that fit the schema and are refused have failed", told["strict"][0], "failed")
    checks.holds("in the server's words", "number is required" in told["strict"][1], told["strict"])
    checks.equal("content that its schema doesn't know is told as it came", told["warm"][0], "done")
    checks.holds(
        "whole", "It is warm." in told["warm"][1] and '"degrees":"warm"' in told["warm"][1], told["warm"]
    )
    checks.equal("content that is no list can't be read: unknown", told["textual"][0], "unknown")
    checks.equal("parts of unknown types end no call", told["kinds"][0], "done")
    seen = told["kinds"][1]
    checks.holds("they are named, and the others shown", "hologram" in seen and "plain" in seen, seen)
    second = call(
        client,
        "lies-2",
        ("stranger", {}),
        ("wordless", {}),
        ("twice", {}),
        ("send_parcel", {"city": "Basel"}),
    )
    told = results(second)
    checks.equal("a result for another request is none: unknown", told["stranger"][0], "unknown")
    checks.holds("and is told to nobody", "somebody else" not in told["stranger"][1], told["stranger"])
    checks.equal("an error without a form is one", told["wordless"][0], "failed")
    checks.equal("a tool that was listed twice is called", told["twice"][0], "done")
    checks.equal("and the sound server again", told["send_parcel"][0], "done")
    checks.holds(
        "the model heard it all and answered",
        second.acknowledged and "Told:" in second.text,
        second.text[:80],
    )


def program(checks: Checks) -> None:
    model, sound, liars = ModelServer(calls_what_it_is_told), MCPServerProcess(), LyingServers()
    servers = [{"name": "office", "url": sound.url}]
    servers += [{"name": name, "url": liars.url(name)} for name in LISTS]
    agent = {"name": "assistant", "instructions": INSTRUCTIONS, "model": "chat"}
    spec = {"mcpServers": servers, "agents": [{**agent, "tools": [server["name"] for server in servers]}]}
    with Worker(manifest(model, **spec)) as worker:
        client = Client(worker.port)
        is_called(checks, client)
        is_offered(checks, model.of_kind("chat")[-1].offered)
        log = worker.log.read_text()
        told = [
            name
            for name in ("schemas", "names", "endless", "listless")
            if f"spec.mcpServers[{1 + list(LISTS).index(name)}]" in log
        ]
        checks.equal(
            "the log names the fields of those that were not taken as they came",
            told,
            ["schemas", "names", "endless", "listless"],
        )
    liars.close()
    sound.close()
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
