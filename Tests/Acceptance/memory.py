"""What is remembered, by whom, for how long, and that it is gone when it is forgotten."""

from __future__ import annotations

from kit.checks import Checks, alone, eventually
from kit.client import Client
from kit.model import ModelServer
from kit.store import read
from kit.worker import Worker, manifest

SMALL_TALK = "the weather of day number {} was fine"
CODE = "4711"
FACT = f"my locker code is {CODE} zebra"
QUESTION = "what is the code of my locker?"


def tell(client: Client, session: str, texts: list[str]) -> None:
    for text in texts:
        turn = client.chat(text, session)
        if not turn.acknowledged:
            raise RuntimeError(f"a turn was not acknowledged: {turn.status} {turn.error}")


def found(client: Client, query: str, needle: str) -> bool:
    return any(needle in row["text"] or needle in row["excerpt"] for row in client.search(query))


def two_memories_of_25_turns(checks: Checks, worker: Worker) -> None:
    client = Client(worker.port, user="ria")
    texts = [SMALL_TALK.format(n) for n in range(1, 26)]
    texts[3] = "the name of my cat is Wilhelmina"
    texts[22] = FACT
    tell(client, "long", texts)
    settled = eventually(lambda: len(read(worker.data).memories.get("long", [])) >= 2, 10)
    rows = read(worker.data)
    checks.holds("25 turns at ten rounds make two memories", settled, rows.memories.get("long"))
    checks.equal("of ten turns each", rows.memories["long"], [(1, 10), (11, 20)])
    summaries = [row for row in client.search("weather cat locker", limit=50) if row["kind"] == "summary"]
    checks.equal("search answers both", sorted(r["first_turn"] for r in summaries), [1, 11])
    checks.holds("a fact of the 4th turn is found", found(client, "name of the cat", "Wilhelmina"))
    checks.holds("a fact of the 23rd turn is found before it is archived", found(client, "locker code", CODE))


def recalled_by_its_principal_alone(checks: Checks, worker: Worker, model: ModelServer) -> None:
    anna, ben, nobody = Client(worker.port, "anna"), Client(worker.port, "ben"), Client(worker.port)
    tell(anna, "first", ["good morning, I am Anna", FACT, "I shall come by on Friday"])

    def prompt_of(client: Client, session: str) -> str:
        turn = client.chat(QUESTION, session)
        if not turn.acknowledged:
            raise RuntimeError(f"a turn was not acknowledged: {turn.error}")
        return model.of_kind("chat")[-1].prompt

    checks.holds("a later session of the same principal is told the fact", CODE in prompt_of(anna, "second"))
    events = anna.native(QUESTION, "third").events
    recalled = [value for name, value in events if name == "memory.recalled"]
    checks.holds("the client of a native turn is shown what was recalled", CODE in str(recalled))
    checks.holds("another end user's session is not", CODE not in prompt_of(ben, "second"))
    checks.holds("nor where it has the same id", CODE not in prompt_of(ben, "first"))
    checks.holds("nor a session of nobody in particular", CODE not in prompt_of(nobody, "fourth"))
    checks.holds("the principal's search finds it", found(anna, "locker code", CODE))
    checks.holds("another's does not", not found(ben, "locker code zebra", CODE))
    said = [m["content"] for m in ben.history("first")]
    checks.holds("an id of somebody else's session names a session of one's own", FACT not in said, said)


def kept_through_restarts(checks: Checks, worker: Worker) -> None:
    anna = Client(worker.port, "anna")
    before = anna.history("first")
    worker.kill()
    worker.start()
    checks.equal("after SIGKILL the history is the same", anna.history("first"), before)
    checks.holds("and the fact is found", found(anna, "locker code", CODE))
    checks.equal(
        "the session comes from the store", anna.chat("and now?", "first").headers["x-memory-tier"], "l2"
    )
    worker.terminate()
    checks.equal("SIGTERM ends the worker with 0", worker.wait(30), 0)
    worker.start()
    checks.holds("after SIGTERM the fact is found", found(anna, "locker code", CODE))


def forgotten_everywhere(checks: Checks, worker: Worker) -> None:
    client = Client(worker.port, "carl")
    texts = [SMALL_TALK.format(n) for n in range(12)]
    texts[2], texts[11] = "my secret number is 90210 giraffe", "my other number is 60606 walrus"
    tell(client, "gone", texts)
    archived = eventually(lambda: len(read(worker.data).memories.get("gone", [])) == 1, 10)
    checks.holds("there is a memory and a fragment to forget", archived)
    checks.holds("and both are found", found(client, "giraffe", "90210") and found(client, "walrus", "60606"))
    answer = client.ask("DELETE", "/v1/sessions/gone")
    checks.holds(
        "DELETE answers 200, or 202 while it is not done", answer.status in (200, 202), answer.status
    )
    hidden = not found(client, "giraffe", "90210") and not found(client, "walrus", "60606")
    checks.holds("from then on search finds neither", hidden)
    checks.equal("the session is not found", client.ask("GET", "/v1/sessions/gone").status, 404)

    def absent() -> bool:
        text = read(worker.data).text
        return "giraffe" not in text and "walrus" not in text

    checks.holds("no row of the store holds a word of it", eventually(absent, 15))
    worker.kill()
    worker.start()
    checks.holds("nor after a SIGKILL", absent() and not found(client, "giraffe walrus", "90210"))


def program(checks: Checks) -> None:
    model = ModelServer()
    with Worker(manifest(model, memory={"buffer": {"rounds": 10}})) as worker:
        two_memories_of_25_turns(checks, worker)
        recalled_by_its_principal_alone(checks, worker, model)
        kept_through_restarts(checks, worker)
        forgotten_everywhere(checks, worker)
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
