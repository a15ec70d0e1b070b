"""Storage and retrieval on LoCoMo: its sessions as turns of the product, its questions as searches, beside simpler ways."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import processes
from kit.model import Ask, ModelServer, Reply
from locomo_baselines import vectors_alone, words_alone
from locomo_data import CATEGORIES, Conversation, Ranked, Score, Session, load
from milvus_relay import MilvusRelay
from pool import Client, Embeddings, Pool, wait_until, workers
from ports import free_port
from pymilvus import MilvusClient
from redis import Redis
from rows import SERVERS
from servers import MilvusServer, embeddings, standalone_redis
from tables import Cell, percent, table

# Results of a search; enough for five sessions to be among them.
LIMIT = 30
PATIENT = {"deadline": "5s", "embeddingDeadline": "10s"}

Days = list[tuple[Conversation, Session]]


@dataclass(frozen=True)
class Variant:
    name: str
    rounds: int
    summary: str  # notes: the data set's; verbatim: the lines themselves; builtin: the product's own, without a model
    embedder: str = "minilm"


VARIANTS = [
    Variant("AgentPool, N = 10", 10, "notes"),
    Variant("AgentPool, N = 5", 5, "notes"),
    Variant("AgentPool, N = 20", 20, "notes"),
    Variant("AgentPool offline, N = 10", 10, "builtin", "builtin"),
    Variant("one vector a round, same pipeline", 1, "verbatim"),
]


@dataclass
class Outcome:
    variant: Variant
    server: str
    score: Score
    rows: int
    dense: int
    sparse: int
    text: int
    summaries: int
    asked_of_server: int
    skipped: int


class Speaker:
    """The model's stand-in: says the line that comes next, and sums a batch up by what is known of its lines."""

    def __init__(self, conversations: list[Conversation]) -> None:
        self.line = ""
        self.summary = "notes"
        self._notes = {line.text: line.notes for c in conversations for s in c.sessions for line in s.lines}

    def reply(self, ask: Ask) -> Reply:
        if ask.kind == "chat":
            return Reply([self.line])
        quoted = [json.loads(text) for text in ask.said.splitlines() if text.startswith("{")]
        # The other objects are the summary of what came before.
        said = [line["content"] for line in quoted if "content" in line]
        notes = [note for text in said for note in self._notes.get(text, ())]
        summary = " ".join(notes) if notes and self.summary == "notes" else "\n".join(said)
        return Reply([json.dumps({"summary": summary, "entities": []})])


def measure(path: Path, quick: bool, held_out: bool) -> str:
    conversations = load(path, held_out)
    if quick:
        conversations = conversations[:1]
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        minilm = embeddings(stack, "minilm")
        scores = [
            ("BM25 alone, over rounds", words_alone(conversations, 1)),
            ("BM25 alone, over batches of 10", words_alone(conversations, 10)),
            ("vectors of rounds alone", vectors_alone(conversations, minilm)),
        ]
        speaker = Speaker(conversations)
        model = ModelServer(speaker.reply)
        stack.callback(model.close)
        for start in SERVERS.values():
            with ExitStack() as inner:
                server, redis = start(inner), standalone_redis(inner)
                for variant in VARIANTS[:1] if quick else VARIANTS:
                    speaker.summary = variant.summary
                    outcomes.append(_run(conversations, variant, server, redis, minilm, model, speaker))
                    any_five = percent(outcomes[-1].score.share("any@5"))
                    print(f"  LoCoMo: {server.name}, {variant.name}: any@5 {any_five}", file=sys.stderr)
    return _report(conversations, outcomes, scores, held_out)


def _run(
    conversations: list[Conversation],
    variant: Variant,
    server: MilvusServer,
    redis: int,
    minilm: Embeddings,
    model: ModelServer,
    speaker: Speaker,
) -> Outcome:
    relay = MilvusRelay(server.port)
    redis_settings = {"mode": "Standalone", "addresses": [f"127.0.0.1:{redis}"]}
    name = re.sub(r"[^a-z0-9]+", "-", f"locomo {variant.name} {server.name}".lower())[:40].strip("-")
    pool = Pool(
        name,
        model.url,
        redis_settings,
        relay.port,
        rounds=variant.rounds,
        memory={"recall": PATIENT},
        embeddings=minilm if variant.embedder == "minilm" else None,
    )
    # First the turns, each on its day, with Milvus away; then whoever is to sum them up archives them all.
    away = replace(pool, milvus_port=free_port(), memory={}, embeddings=None)
    # In the order of their days, of all conversations: time never goes back, or a sweep could meet a session half said.
    days = sorted(((c, s) for c in conversations for s in c.sessions), key=lambda day: day[1].began)
    with _clock(days[0][1].began) as clock, workers(away, status="degraded") as [worker]:
        _talk(days, Client(worker.port), speaker, clock)
    _end_checkpoints(redis)
    # The plans are written; a turn that is said while questions are asked shall not become a memory among them.
    archiving = replace(pool, rounds=1000, model_url=None if variant.summary == "builtin" else pool.model_url)
    raw = MilvusClient(uri=f"http://127.0.0.1:{server.port}")
    due = sum(len(session.rounds()) for c in conversations for session in c.sessions)
    with workers(archiving) as [worker]:
        wait_until(
            lambda: sum(row["last_turn"] - row["first_turn"] + 1 for row in _rows(raw, pool)) >= due,
            900,
            lambda: f"not all turns are in Milvus: {worker.tail()[-800:]}",
            step=1,
        )
        rows = _rows(raw, pool)
        score, skipped, asked = _ask(conversations, Client(worker.port), relay)
    relay.close()
    dimensions = pool.embeddings.dimensions if pool.embeddings else 512
    bm25 = bool(raw.describe_collection(pool.collection).get("functions"))
    return Outcome(
        variant,
        server.name,
        score,
        len(rows),
        len(rows) * dimensions * 4,
        sum(_sparse_bytes(row["text"]) for row in rows) if bm25 else 0,
        sum(len(row["text"].encode()) for row in rows),
        sum(len((row["summary"] + row["entities"]).encode()) for row in rows),
        asked,
        skipped,
    )


def _set(clock: Path, second: int) -> None:
    with clock.open("r+b") as file:
        file.write(struct.pack("<q", second))


def _end_checkpoints(port: int) -> None:
    """The time of every checkpoint is nearly over, so the sweep takes what is left of each session."""
    server = Redis(port=port)
    soon = int((time.time() + 60) * 1000)
    for key in server.scan_iter(match="*:session:*"):
        server.hset(key, "e", str(soon))


@contextmanager
def _clock(second: int) -> Iterator[Path]:
    """For the workers that are started within: a file that says which second it is."""
    library = processes.BUILD / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.check_call(["cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, source])
    with tempfile.NamedTemporaryFile(prefix="agentpool-clock-") as file:
        file.write(struct.pack("<q", second))
        file.flush()
        os.environ |= {"LD_PRELOAD": str(library), "CLOCK_FILE": file.name}
        try:
            yield Path(file.name)
        finally:
            del os.environ["LD_PRELOAD"], os.environ["CLOCK_FILE"]


def _talk(days: Days, client: Client, speaker: Speaker, clock: Path) -> None:
    """A principal a conversation; the first line of a round is the user's, the second the model's."""
    for conversation, session in days:
        _set(clock, session.began)
        for lines in session.rounds():
            speaker.line = lines[1].text if len(lines) > 1 else "(nothing)"
            client.turn(f"{conversation.name}-{session.name}", conversation.name, lines[0].text)


def _ask(conversations: list[Conversation], client: Client, relay: MilvusRelay) -> tuple[Score, int, int]:
    score, skipped, asked = Score(), 0, 0
    for conversation in conversations:
        # A recall and a turn after it bring a principal's memories into L1, where the worker searches them from then on.
        client.search(conversation.name, "Hello?")
        client.turn("greeting", conversation.name, "Hello, thanks!")
        time.sleep(2)
        before = relay.calls["Search"] + relay.calls["HybridSearch"]
        for question in conversation.questions:
            answer = client.search(conversation.name, question.text, LIMIT)
            skipped += len(answer["skipped"])
            score.add(conversation, question, [_ranked(conversation, row) for row in answer["data"]])
        asked += relay.calls["Search"] + relay.calls["HybridSearch"] - before
    return score, skipped, asked


def _ranked(conversation: Conversation, row: dict[str, Any]) -> Ranked:
    session = row["session_id"].removeprefix(f"{conversation.name}-")
    return Ranked(session, row["first_turn"], row["last_turn"])


def _rows(raw: MilvusClient, pool: Pool) -> list[dict[str, Any]]:
    if not raw.has_collection(pool.collection):
        return []
    fields = ["first_turn", "last_turn", "text", "summary", "entities"]
    found: list[dict[str, Any]] = raw.query(
        pool.collection,
        filter="first_turn >= 0",
        output_fields=fields,
        limit=16_000,
        consistency_level="Strong",
    )
    return found


def _sparse_bytes(text: str) -> int:
    """An index and a weight, four bytes each, for every word that a text has: the server keeps no less."""
    return 8 * len(set(re.findall(r"\w+", text.lower())))


def _report(
    conversations: list[Conversation],
    outcomes: list[Outcome],
    scores: list[tuple[str, Score]],
    held_out: bool,
) -> str:
    questions = sum(len(c.questions) for c in conversations)
    rounds = sum(len(s.rounds()) for c in conversations for s in c.sessions)
    text = (
        f"### LoCoMo: {', '.join(c.name for c in conversations)}{' (held out)' if held_out else ''}\n\n"
        f"{questions:,} questions of the categories 1 to 4 with evidence, {rounds:,} rounds. A search's first 5 (or 1) "
        "distinct sessions hold any, or all, of the sessions with evidence; row@5: one of the first 5 rows holds a line of "
        "evidence. Vectors of MiniLM; summaries: the data set's own observations of the lines; offline: the built-in "
        "embedder and summary; one vector a round: the lines as they are.\n\n"
    )
    rows: list[list[Cell]] = []
    for o in outcomes:
        s = [percent(o.score.share(what)) for what in ("any@1", "any@5", "all@5", "row@5")]
        by_category = [percent(o.score.share("any@5", category)) for category in CATEGORIES]
        rows.append([o.server, o.variant.name, *s, *by_category, f"{o.asked_of_server:,}", o.skipped])
    for name, score in scores:
        s = [percent(score.share(what)) for what in ("any@1", "any@5", "all@5", "row@5")]
        rows.append(["", name, *s, *(percent(score.share("any@5", c)) for c in CATEGORIES), "", ""])
    heads = ["", "", "any@1", "any@5", "all@5", "row@5", *(f"any@5 {name}" for name in CATEGORIES.values())]
    text += table([*heads, "calls of Milvus's searches", "stages skipped"], rows) + "\nStored:\n\n"
    stored: list[list[Cell]] = [
        [
            o.server,
            o.variant.name,
            o.rows,
            percent(o.rows / rounds),
            o.dense,
            o.sparse,
            o.text,
            o.summaries,
            percent(o.dense / (rounds * 384 * 4)),
        ]
        for o in outcomes
    ]
    heads = ["", "", "rows", "of one a round", "dense bytes", "sparse bytes, at least", "text bytes"]
    return text + table([*heads, "summary and entity bytes", "dense of one vector a round"], stored)
