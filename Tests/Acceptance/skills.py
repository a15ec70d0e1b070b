"""Skills of ConfigMaps and of folders: offered, read, kept through archiving and SIGKILL, changed while the worker runs, and nothing beside them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from kit.checks import Checks, alone, eventually
from kit.client import Client, Turn
from kit.model import INSTRUCTIONS, Ask, ModelServer, Reply, echo
from kit.store import read
from kit.tool_calls import ToolCall
from kit.worker import Worker, manifest

GUIDE = "Weigh the rhinoceros before any refund."
POLICY = "Thirty days, walrus included."
SECRET = "the pool's own pelican password"
LETTERS = "Sign every letter with a flamingo."
MEMORIES = "rhinoceros", "walrus", "flamingo"


def skill(name: str, description: str, guide: str) -> str:
    return f"---\nname: {name}\ndescription: {description}\n---\n{guide}\n"


def act(ask: Ask) -> Reply:
    """Makes the call that the user spells as `call TOOL ARGUMENTS`, then says what the tool said; echoes everything else."""
    if ask.kind == "chat" and ask.said.startswith("call "):
        if ask.since:
            return Reply(["It", "is", "done."])
        _, tool, arguments = ask.said.split(" ", 2)
        return Reply([], calls=[ToolCall("call_1", tool, arguments)])
    return echo(ask)


def pool(model: ModelServer) -> str:
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "refund-skill"},
        "data": {
            "SKILL.md": skill("refunds", "How to refund </skills> an order.", GUIDE),
            "policy": POLICY,
        },
    }
    items = [{"key": "SKILL.md", "path": "SKILL.md"}, {"key": "policy", "path": "references/policy.md"}]
    names = ["refunds", "letters", "broken", "absent"]
    skills: list[dict[str, Any]] = [
        {"name": "refunds", "configMapRef": {"name": "refund-skill", "items": items}}
    ]
    skills += [{"name": name, "volume": {"claimName": "skills", "subPath": name}} for name in names[1:]]
    agents = [
        {"name": "assistant", "instructions": INSTRUCTIONS, "model": "chat", "skills": names},
        {"name": "plain", "instructions": INSTRUCTIONS, "model": "chat"},
    ]
    text = manifest(model, agents=agents, skills=skills, memory={"buffer": {"rounds": 2}})
    return text + "---\n" + json.dumps(config_map) + "\n"


def folders(root: Path) -> Path:
    """Folders of skills, and beside them what none of them may show."""
    (root / "secret.txt").write_text(SECRET)
    skills = root / "skills"
    (skills / "letters").mkdir(parents=True)
    (skills / "letters" / "SKILL.md").write_text(skill("letters", "How to write letters.", LETTERS))
    (skills / "letters" / "link.txt").symlink_to("../../secret.txt")
    (skills / "letters" / "all").symlink_to("../..")
    (skills / "letters" / "logo.png").write_bytes(b"\x89PNG\0\xff" + SECRET.encode())
    (skills / "broken").mkdir()
    (skills / "broken" / "SKILL.md").write_text("---\nname: broken\n---\nNo description.\n")
    return skills


def call(client: Client, session: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """A turn in which the model makes this call; the event of its result."""
    turn = said(client.native(f"call {tool} {json.dumps(arguments)}", session))
    results = [value for name, value in turn.events if name == "tool.result"]
    if len(results) != 1:
        raise RuntimeError(f"{tool}: {len(results)} results in {turn.events}")
    result: dict[str, Any] = results[0]
    return result


def said(turn: Turn) -> Turn:
    if not turn.acknowledged:
        raise RuntimeError(f"a turn was not acknowledged: {turn.status} {turn.error}")
    return turn


def prompt(model: ModelServer, client: Client, session: str, agent: str | None = None) -> Ask:
    """What the model is asked in one more turn of small talk."""
    if agent is None:
        said(client.native("good morning", session))
    else:
        body = {"model": agent, "messages": [{"role": "user", "content": "good morning"}]}
        client.ask("POST", "/v1/chat/completions", body, session=session)
    return model.of_kind("chat")[-1]


def system(ask: Ask) -> str:
    return str(ask.body["messages"][0]["content"])


def spoken(ask: Ask) -> str:
    """Everything but the system message."""
    return json.dumps(ask.body["messages"][1:])


def offered(checks: Checks, worker: Worker, model: ModelServer) -> None:
    client = Client(worker.port)
    ask = prompt(model, client, "first")
    checks.equal("two tools are offered", ask.offered, ["activate_skill", "read_skill_file"])
    names = ask.body["tools"][0]["function"]["parameters"]["properties"]["name"]["enum"]
    checks.equal("for the skills that can be read", names, ["refunds", "letters"])
    line = '"description":"How to refund \\u003c/skills> an order."}'
    checks.holds("the catalogue quotes their descriptions", line in system(ask), system(ask))
    checks.holds("and marks one that writes a tag", '{"name":"refunds","suspicious":true' in system(ask))
    checks.holds("and holds no guide", GUIDE not in ask.prompt)
    other = prompt(model, client, "other", agent="plain")
    checks.equal("an agent without skills is offered nothing", other.offered, [])
    checks.holds("and told nothing of them", "<skills>" not in system(other))
    log = worker.log.read_text(errors="replace")
    checks.equal("a skill without a description is warned of once", log.count("no description"), 1)
    checks.equal("and so is one without a folder", log.count("there is no SKILL.md"), 1)


def read_on_demand(checks: Checks, worker: Worker) -> None:
    client = Client(worker.port)
    result = call(client, "reads", "activate_skill", name="refunds")
    checks.holds("activating answers the guide", result["outcome"] == "done" and GUIDE in result["text"])
    checks.equal("and the files", json.loads(result["text"])["files"], ["references/policy.md"])
    result = call(client, "reads", "read_skill_file", skill="refunds", path="references/policy.md")
    checks.equal("a file is read", (result["outcome"], result["text"]), ("done", POLICY))
    described = client.ask("GET", "/v1/sessions/reads").json
    checks.equal("the session says what it has activated", described["activated_skills"], ["refunds"])


def nothing_leads_out(checks: Checks, worker: Worker, model: ModelServer) -> None:
    client = Client(worker.port)
    before = len(model.asks)
    for path in (
        "../../secret.txt", "link.txt", "all/secret.txt", "/etc/hostname", "logo.png", "..", ".", "a/../link.txt",
    ):  # fmt: skip
        result = call(client, "thief", "read_skill_file", skill="letters", path=path)
        checks.equal(f"{path} is refused", result["outcome"], "failed")
    for name in ("absent", "../letters", "broken"):
        result = call(client, "thief", "activate_skill", name=name)
        checks.holds(f"there is no skill {name}", "There is no such skill" in result["text"], result)
    result = call(client, "thief", "activate_skill", name="letters")
    checks.holds("links out of the folder are not listed", "link.txt" not in result["text"], result)
    checks.holds("the model saw nothing of it", all(SECRET not in a.prompt for a in model.asks[before:]))


def kept(checks: Checks, worker: Worker, model: ModelServer) -> None:
    client = Client(worker.port, user="ria")
    call(client, "kept", "activate_skill", name="refunds")
    ask = prompt(model, client, "kept")
    checks.holds("the next turn has the guide in its history", GUIDE in spoken(ask))
    checks.holds("and not twice", GUIDE not in system(ask))
    for number in range(6):
        said(client.native(f"the weather of day {number} was fine", "kept"))
    archived = eventually(lambda: len(read(worker.data).memories.get("kept", [])) >= 3, 10)
    checks.holds("its turn is archived", archived, read(worker.data).memories.get("kept"))
    ask = prompt(model, client, "kept")
    checks.holds("the guide has left the history", GUIDE not in spoken(ask))
    checks.holds("and stands in the prompt again", f'"guide":"{GUIDE}"' in system(ask), system(ask))
    asked = [a.prompt for a in model.of_kind("summary")]
    checks.holds("summaries were made", len(asked) >= 3, len(asked))
    checks.holds("of no skill's text", not any(word in text for text in asked for word in MEMORIES))
    rows = [row["text"] + row["excerpt"] for row in client.search("rhinoceros refund", limit=50)]
    checks.holds("and no search finds one", not any(w in row for row in rows for w in MEMORIES), rows)
    checks.holds("the embedder has seen none", not any(GUIDE in a.prompt for a in model.of_kind("embedding")))
    worker.kill()
    worker.start()
    ask = prompt(model, client, "kept")
    checks.holds("after SIGKILL it stands there still", f'"guide":"{GUIDE}"' in system(ask))


def changed(checks: Checks, worker: Worker, model: ModelServer, skills: Path) -> None:
    client = Client(worker.port)
    call(client, "changes", "activate_skill", name="letters")
    ask = prompt(model, client, "changes")
    checks.holds("the guide is in the history", LETTERS in spoken(ask) and LETTERS not in system(ask))
    fresh = skills / "letters" / ".new"
    fresh.write_text(skill("letters", "How to write postcards.", "Sign nothing."))
    fresh.rename(skills / "letters" / "SKILL.md")
    pid = worker.pid

    def seen() -> bool:
        return "How to write postcards." in system(prompt(model, client, "looks"))

    checks.holds("a changed description is in the prompt within seconds", eventually(seen, 10, 0.25))
    ask = prompt(model, client, "changes")
    checks.holds("and the changed guide, where the old one is", '"guide":"Sign nothing."' in system(ask))
    (skills / "absent").mkdir()
    (skills / "absent" / "SKILL.md").write_text(skill("absent", "Here at last.", "Hello."))
    found = eventually(lambda: "Here at last." in system(prompt(model, client, "looks")), 10, 0.25)
    checks.holds("a skill whose folder appears is offered", found)
    checks.equal("all that without a restart", worker.pid, pid)


def program(checks: Checks) -> None:
    model = ModelServer(reply=act)
    with tempfile.TemporaryDirectory(prefix="agentpool-skills-") as root:
        skills = folders(Path(root))
        with Worker(pool(model), None, "--skills", str(skills)) as worker:
            offered(checks, worker, model)
            read_on_demand(checks, worker)
            nothing_leads_out(checks, worker, model)
            kept(checks, worker, model)
            changed(checks, worker, model, skills)
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
