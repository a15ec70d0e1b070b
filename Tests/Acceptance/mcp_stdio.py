"""Tools of a genuine MCP server that `agentpool run` starts as a process: both eras, progress, death, silence, rubbish, floods, and that no process stays behind."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path

from kit.checks import Checks, alone, eventually
from kit.client import Client
from kit.mcp_stdio_server import MCPStdioServer
from kit.model import INSTRUCTIONS, ModelServer
from kit.told_calls import call, calls_what_it_is_told, results
from kit.worker import Worker, manifest

TIMEOUT = 6  # seconds that a call may take
START = 20  # seconds that a process may take to start
SECRET = "sk-stdio-secret"


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def group(pid: int) -> list[int]:
    """The living processes of a process group."""
    members = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, NotADirectoryError):
            continue
        if fields[0] != "Z" and int(fields[2]) == pid:
            members.append(int(entry.name))
    return members


def pool(model: ModelServer, *offices: MCPStdioServer) -> str:
    entries = [{**office.entry, "timeout": f"{TIMEOUT}s"} for office in offices]
    agent = {"name": "assistant", "instructions": INSTRUCTIONS, "model": "chat"}
    return manifest(
        model, mcpServers=entries, agents=[{**agent, "tools": [entry["name"] for entry in entries]}]
    )


def opens(checks: Checks, client: Client, session: str, name: str) -> None:
    """A busy machine may take longer to start a process than a turn waits for it."""
    tries = iter(range(100))

    def is_found() -> bool:
        turn = call(client, f"{session}-{next(tries)}", (name, {"number": "7"}))
        return results(turn).get(name, ("", ""))[0] == "done"

    checks.holds(f"{session}: a process is started when it is needed", eventually(is_found, 40, 1))


def works(checks: Checks, client: Client, office: MCPStdioServer, what: str) -> None:
    turn = call(
        client,
        f"works-{what}",
        ("find_parcel", {"number": "7"}),
        ("send_parcel", {"city": "Bern"}),
        ("send_parcel", {"city": "Basel"}),
        ("load_van", {"seconds": 1.5, "steps": 3}),
        ("show_desk", {}),
    )
    checks.holds(f"{what}: a turn with five calls ends", turn.acknowledged, turn.error)
    told = results(turn)
    outcomes = {name: outcome for name, (outcome, _) in told.items()}
    checks.equal(f"{what}: each came to its end", set(outcomes.values()), {"done"})
    checks.holds(f"{what}: structured answers are told", "Zürich" in told["find_parcel"][1])
    done = office.done()
    checks.equal(f"{what}: each was carried out once", (done["send_parcel"], done["load_van"]), (2, 1))
    names = told["show_desk"][1].split()
    checks.holds(
        f"{what}: the process has PATH and what the manifest gives", {"PATH", "OFFICE_TOKEN"} <= set(names)
    )
    checks.holds(f"{what}: and nothing of the worker's own", "WORKERS_OWN" not in names, names)
    order = [name for name, value in turn.events if value.get("name") == "load_van"]
    checks.equal(
        f"{what}: progress is told between the call and its result",
        (order[0], order[-1]),
        ("tool.call", "tool.result"),
    )
    reports = [value for name, value in turn.events if name == "tool.progress"]
    checks.equal(
        f"{what}: as the tool reports it",
        [r["message"] for r in reports],
        [f"step {n} of 3" for n in range(3)],
    )
    checks.equal(
        f"{what}: with its share", [(r["progress"], r["total"]) for r in reports], [(0, 3), (1, 3), (2, 3)]
    )
    checks.equal(f"{what}: one process served all", len(office.pids()), 1)
    stored = client.ask("GET", f"/v1/sessions/works-{what}/messages?limit=100&after=0").body
    checks.holds(f"{what}: progress is no part of the history", b"step 1 of 3" not in stored)


def dies(checks: Checks, client: Client, office: MCPStdioServer, what: str) -> None:
    before = office.done()["load_van begun"]
    pid = office.pids()[-1]

    def kill(_: str) -> None:
        eventually(lambda: office.done()["load_van begun"] > before, 10)
        if is_there(pid):
            os.kill(pid, signal.SIGKILL)

    turn = client.stream(
        f"/v1/sessions/dies-{what}/turns",
        {"input": json.dumps([("load_van", {"seconds": 60, "steps": 1})])},
        on_text=kill,
    )
    checks.equal(
        f"{what}: a call whose process is killed is unknown", results(turn)["load_van"][0], "unknown"
    )
    checks.holds(f"{what}: and the turn goes on", turn.acknowledged, turn.error)
    checks.equal(f"{what}: it was not called again", office.done()["load_van begun"], before + 1)
    again = call(client, f"again-{what}", ("send_parcel", {"city": "Chur"}))
    checks.equal(f"{what}: the next call finds another process", results(again)["send_parcel"][0], "done")
    checks.holds(f"{what}: started for it", office.pids()[-1] != pid, office.pids())


def hangs(checks: Checks, client: Client, office: MCPStdioServer, what: str) -> None:
    pid = office.pids()[-1]
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    turn = call(client, f"hangs-{what}", ("send_parcel", {"city": "Thun"}))
    took = time.monotonic() - begun
    os.kill(pid, signal.SIGCONT)
    checks.equal(
        f"{what}: a call to a process that stands still is unknown",
        results(turn)["send_parcel"][0],
        "unknown",
    )
    checks.holds(f"{what}: and costs no more than its time", took < TIMEOUT + 15, f"{took:.1f} s")
    late = call(client, f"late-{what}", ("load_van", {"seconds": 60, "steps": 60}))
    checks.equal(f"{what}: a call that takes too long is given up", results(late)["load_van"][0], "unknown")
    heard = eventually(lambda: office.done()["load_van cancelled"] >= 1, 15)
    checks.holds(f"{what}: and the process is told so", heard, dict(office.done()))


def floods(checks: Checks, client: Client, what: str) -> None:
    turn = call(client, f"floods-{what}", ("list_everything", {}), ("find_parcel", {"number": "7"}))
    told = results(turn)
    checks.equal(
        f"{what}: an answer of ten million characters is refused", told["list_everything"][0], "failed"
    )
    checks.equal(f"{what}: and the one beside it is read", told["find_parcel"][0], "done")


def ends(checks: Checks, worker: Worker, office: MCPStdioServer, what: str) -> None:
    pids = [pid for pid in office.pids() if is_there(pid)]
    checks.equal(f"{what}: one process is there", len(pids), 1)
    worker.terminate()
    checks.equal(f"{what}: SIGTERM ends the worker", worker.wait(30), 0)
    checks.equal(f"{what}: and no process is left", group(pids[0]), [])
    log = worker.log.read_text(errors="replace")
    checks.holds(f"{what}: its words are in the log", "parcel office at work" in log)
    checks.holds(f"{what}: without its secret", SECRET not in log)


def misbehaves(checks: Checks, model: ModelServer, folder: Path) -> None:
    """Beside a sound server four that are not: what they cost is bounded, and the sound one's tools work."""
    sound = MCPStdioServer(folder, "both")
    others = [MCPStdioServer(folder, "both", fault) for fault in ("rubbish", "silent", "ends", "family")]
    with Worker(pool(model, sound, *others)) as worker:
        client = Client(worker.port, timeout=60)
        opens(checks, client, "opens-sound", "office__find_parcel")
        opens(checks, client, "opens-rubbish", "office-rubbish__find_parcel")
        first = call(
            client,
            "first",
            ("office__send_parcel", {"city": "Bern"}),
            ("office-rubbish__send_parcel", {"city": "Chur"}),
        )
        told = {name: outcome for name, (outcome, _) in results(first).items()}
        checks.equal("beside broken ones a sound server's tools work", told["office__send_parcel"], "done")
        checks.equal("and those of one that writes rubbish too", told["office-rubbish__send_parcel"], "done")
        took = []
        for number in range(3):
            begun = time.monotonic()
            call(client, f"turn-{number}", ("office__find_parcel", {"number": "7"}))
            took.append(time.monotonic() - begun)
        checks.holds("a silent one costs not every turn its start's time", min(took) < START / 2, took)
        checks.holds(
            "one that ends is not started again and again", len(others[2].pids()) <= 8, others[2].pids()
        )
        checks.holds("the rubbish is in the log", "no message of the protocol" in worker.log.read_text())
        family = others[3].pids()[-1]
        checks.equal("a server and what it started are there", len(group(family)), 2)
        started = [pid for office in (sound, *others) for pid in office.pids()]
        begun = time.monotonic()
        worker.terminate()
        checks.equal("SIGTERM ends the worker", worker.wait(30), 0)
        checks.note(f"after {time.monotonic() - begun:.1f} s")
        left = [pid for leader in started for pid in group(leader)]
        checks.equal("and not one process is left, whether it listens or not", left, [])


def is_killed(checks: Checks, model: ModelServer, folder: Path) -> None:
    office = MCPStdioServer(folder, "older", "rubbish")
    with Worker(pool(model, office)) as worker:
        opens(checks, Client(worker.port, timeout=60), "killed", "find_parcel")
        pid = office.pids()[-1]
        checks.holds("a process is there", is_there(pid))
        worker.kill()
        gone = eventually(lambda: not is_there(pid), 15)
        checks.holds("after SIGKILL of the worker it sees the end of its input, and ends", gone)


def program(checks: Checks) -> None:
    os.environ["WORKERS_OWN"] = "not for tools"
    model = ModelServer(calls_what_it_is_told)
    for era in ("both", "older"):
        with tempfile.TemporaryDirectory(prefix="agentpool-acceptance-") as name:
            office = MCPStdioServer(Path(name), era)
            with Worker(pool(model, office)) as worker:
                client = Client(worker.port, timeout=60)
                opens(checks, client, f"opens-{era}", "find_parcel")
                works(checks, client, office, era)
                dies(checks, client, office, era)
                if era == "both":
                    hangs(checks, client, office, era)
                floods(checks, client, era)
                ends(checks, worker, office, era)
    with tempfile.TemporaryDirectory(prefix="agentpool-acceptance-") as name:
        misbehaves(checks, model, Path(name))
        is_killed(checks, model, Path(name))
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
