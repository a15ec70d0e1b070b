"""Two workers on the same stores and clients that talk to both at once: nothing lost, nothing doubled, each turn asked once."""

from __future__ import annotations

import argparse
import http.client
import itertools
import sys
import threading
import time
from collections import Counter
from typing import Literal

from kit.checks import Checks, eventually, run, side_by_side
from kit.client import Client, Turn
from kit.conversation import Conversation, Styles
from kit.model import quoted_user_texts
from kit.pool import ROUNDS, SLOWLY, Pool, two_workers
from kit.proxy import LossyProxy
from kit.store import Rows
from kit.store_proxy import Answers, http1
from kit.watch import readiness
from kit.worker import Worker

CATCH_UP = 90.0  # a plan is left to its own worker for 30 s; then come three summaries, one after another
PAIRS: tuple[tuple[Styles, Styles], ...] = (
    ("native", "native"),
    ("stream", "stream"),
    ("whole", "whole"),
    ("native", "stream"),
    ("whole", "native"),
)
STYLES: tuple[Styles, ...] = ("native", "stream", "whole")
Known = Literal["turn id", "retry header", "nothing"]  # what tells a retry from a new turn
RETRIES: tuple[tuple[Styles, Known], ...] = (
    ("native", "turn id"),
    ("stream", "turn id"),
    ("whole", "turn id"),
    ("stream", "retry header"),
    ("whole", "retry header"),
)


def talk(client: Client, style: Styles, text: str, session: str, turn_id: str | None) -> Turn:
    if style == "native":
        return client.native(text, session, turn_id)
    return client.chat(text, session, turn_id, stream=style == "stream")


def one_session_at_both(checks: Checks, pool: Pool, turns: int) -> None:
    """In each session two clients talk at the same time, each to a worker of its own."""
    talks = [
        Conversation(f"both-{i}", style, worker.port, turns, speaker=f"both-{i}-at-{name}")
        for i, pair in enumerate(PAIRS)
        for style, worker, name in zip(pair, (pool.a, pool.b), "ab", strict=True)
    ]
    for one in talks:
        one.start()
    for one in talks:
        one.join()
    checks.equal("every turn at both workers was acknowledged", [t.stuck for t in talks if t.stuck], [])
    batches = len(PAIRS) * (2 * turns // ROUNDS)
    # A plan that its worker has no room for is carried out by the next pass of maintenance, half a minute later.
    eventually(lambda: pool.metric("agentpool_batches_archived_total") >= batches, 90, 0.1)
    rows = pool.rows_with_memories()
    for session in dict.fromkeys(t.session for t in talks):
        mine = [t for t in talks if t.session == session]
        history_is_the_ledgers(checks, pool, rows, session, mine)
        concurrent_turns_are_marked(checks, pool, rows, session)
        expected = [(n, n + ROUNDS - 1) for n in range(1, 2 * turns, ROUNDS) if n + ROUNDS - 1 <= 2 * turns]
        checks.equal(f"{session}: Milvus holds one memory for each batch", rows.memories[session], expected)
    asked = Counter(ask.said for ask in pool.model.of_kind("chat"))
    again = {text: n for text, n in asked.items() if n != 1}
    checks.equal(f"the model was asked once for each of {len(asked)} turns", again, {})
    summaries = pool.model.of_kind("summary")
    checks.equal("and for one summary a batch", len(summaries), batches)
    told = Counter(text for ask in summaries for text in quoted_user_texts(ask.said))
    said = Counter(e.user for t in talks for e in t.ledger)
    checks.holds("in which every turn was quoted once", told == said, f"{told.total()} turns")
    stale = pool.metric("agentpool_stale_commits_total")
    marked = sum(turn.concurrent for turns in rows.turns.values() for turn in turns)
    counted = pool.metric("agentpool_turns_concurrent_total")
    checks.holds("commits came late and were merged", 0 < marked <= stale, f"{stale:.0f} stale commits")
    checks.equal("as many turns are marked concurrent as the workers counted", marked, int(counted))


def history_is_the_ledgers(
    checks: Checks, pool: Pool, rows: Rows, session: str, talks: list[Conversation]
) -> None:
    stored = rows.turns[session]
    ids = [turn.id for turn in stored]
    acknowledged = {e.turn_id: (e.user, e.reply) for t in talks for e in t.ledger}
    same = sorted(ids) == sorted(acknowledged)
    checks.holds(f"{session}: Redis holds every acknowledged turn once, and no other", same, len(ids))
    words = {turn.id: (turn.user, turn.reply) for turn in stored}
    checks.holds(f"{session}: with the words that its client saw", words == acknowledged)
    for t in talks:
        kept = [i for i in ids if i.startswith(t.speaker + "-")]
        checks.holds(f"{session}: in the order in which {t.speaker} said them", kept == t.ids(), len(kept))
    histories = [Client(w.port, talks[0].clients[0].user).history(session) for w in (pool.a, pool.b)]
    checks.holds(f"{session}: both workers tell the same history", histories[0] == histories[1])
    told = [m["turn_id"] for m in histories[0] if m["role"] == "user"]
    checks.holds(f"{session}: and it is that of Redis", told == ids, f"{len(told)} turns")


def concurrent_turns_are_marked(checks: Checks, pool: Pool, rows: Rows, session: str) -> None:
    """A turn without the mark follows a turn that its model was shown; one with it was told without that turn."""
    stored = rows.turns[session]
    prompts = {ask.said: ask.prompt for ask in pool.model.of_kind("chat")}
    saw = [before.reply in prompts[turn.user] for before, turn in itertools.pairwise(stored)]
    marks = [turn.concurrent for turn in stored[1:]]
    checks.holds(
        f"{session}: marked concurrent are those turns whose model did not see the turn before",
        marks == [not seen for seen in saw],
        f"{sum(marks)} of {len(stored)}",
    )


def send(port: int, style: Styles, text: str, session: str, known: Known, attempt: int) -> Turn:
    client = Client(port, "rita")
    if known == "retry header":
        return client.chat(text, session, stream=style == "stream", attempt=str(attempt))
    return talk(client, style, text, session, "the-turn" if known == "turn id" else None)


def lose_the_end(worker: Worker, style: Styles, text: str, session: str, known: Known) -> bool:
    """Sends a turn whose whole answer is lost on its way to the client; true if it was."""
    proxy = LossyProxy(worker.port)
    proxy.faults = ["after the answer"]
    try:
        return not send(proxy.port, style, text, session, known, 0).acknowledged
    except (OSError, http.client.HTTPException):
        return True
    finally:
        proxy.close()


def retried(pool: Pool, style: Styles, text: str, session: str, known: Known) -> tuple[bool, Turn, list[str]]:
    """A turn at the first worker whose end is lost, then again at the other: whether it was, the answer, the stored replies."""
    lost = lose_the_end(pool.a, style, text, session, known)
    again = send(pool.b.port, style, text, session, known, 1)
    return lost, again, [turn.reply for turn in pool.rows().turns[session] if turn.user == text]


def retries_at_the_other_worker(checks: Checks, pool: Pool, warm: bool) -> None:
    """The other worker has the session in its own memory, as it was before the turn, or does not have it."""
    place = "which has the session warm" if warm else "which does not have the session"
    for style, known in RETRIES:
        session = f"again-{'warm' if warm else 'cold'}-{style}-{known.replace(' ', '-')}"
        for n, worker in enumerate((pool.a, pool.b) if warm else (pool.a,)):
            talk(Client(worker.port, "rita"), style, f"{session} hello number {n}", session, f"hello-{n}")
        text = f"where is the parcel of {session}, please"
        lost, again, stored = retried(pool, style, text, session, known)
        checks.holds(f"{style}, retry by its {known} at the other worker, {place}: the end was lost", lost)
        checks.holds("  the retry is acknowledged", again.acknowledged, again.error or None)
        checks.equal("  with the words that are stored, once", stored, [again.text])
        checks.equal("  and the model was asked once", pool.asked(text), 1)


def retries_without_turn_ids(checks: Checks, pool: Pool) -> None:
    """The control: where a retry can't be told from a new turn it doubles, and the checks above would see it."""
    for style in STYLES:
        session = f"anonymous-{style}"
        text = f"where is the parcel of {session}, please"
        lost, again, stored = retried(pool, style, text, session, "nothing")
        seen = lost and again.acknowledged and len(stored) == 2 and stored[0] != stored[1]
        checks.holds(
            f"{style}, without a turn id: the same retry doubles the turn", seen, f"{len(stored)} stored"
        )
        checks.equal("  and the model is asked twice", pool.asked(text), 2)


def retries_while_the_first_runs(checks: Checks, pool: Pool) -> None:
    """Nobody can know of a turn that another worker has not finished; whoever is acknowledged must have the stored words."""
    for style in STYLES:
        session, text = f"meanwhile-{style}", f"{SLOWLY} of the parcels of {style}"
        answers: list[Turn] = []

        def ask(worker: Worker, style: Styles, session: str, text: str, answers: list[Turn]) -> None:
            answers.append(talk(Client(worker.port, "rita"), style, text, session, "the-turn"))

        what = (style, session, text, answers)
        threads = [threading.Thread(target=ask, args=(worker, *what)) for worker in (pool.a, pool.b)]
        for thread in threads:
            thread.start()
            time.sleep(0.2)
        for thread in threads:
            thread.join()
        stored = [turn.reply for turn in pool.rows().turns[session]]
        asked = pool.asked(text)
        checks.equal(f"{style}, retry while the first runs elsewhere: it is stored once", len(stored), 1)
        checks.note(
            f"the model was asked {asked} times; told: {[t.error or 'acknowledged' for t in answers]}"
        )
        shown = {t.text for t in answers if t.acknowledged}
        checks.equal("  who was acknowledged was shown the stored words", sorted(shown), stored)
        final = [talk(Client(w.port, "rita"), style, text, session, "the-turn") for w in (pool.a, pool.b)]
        checks.equal("  asked once more, both workers tell them", [t.text for t in final], stored * 2)
        checks.equal("  without asking the model", pool.asked(text), asked)


def catching_up_together(checks: Checks, pool: Pool) -> None:
    """Three batches of a session wait for Milvus; then both workers look for work, and neither is in the other's way."""
    opened = eventually(lambda: all(readiness(w).word == "ok" for w in (pool.a, pool.b)), 20, 0.05)
    checks.holds("both workers are ready", opened)
    pool.proxy.begin(Answers(http1))
    talk = Conversation("late", "native", pool.a.port, 3 * ROUNDS, speaker="hard")
    talk.start()
    talk.join()
    checks.equal(
        "without Milvus every turn was acknowledged", (talk.stuck, len(talk.ledger)), (None, 3 * ROUNDS)
    )
    checks.equal("and nothing was summarised", len(pool.model.of_kind("summary")), 0)
    pool.proxy.end()
    begun = time.monotonic()
    eventually(lambda: pool.metric("agentpool_batches_archived_total") >= 3, CATCH_UP, 0.2)
    checks.note(f"caught up for {time.monotonic() - begun:.1f} s")
    expected = [(1, 5), (6, 10), (11, 15)]
    checks.equal(
        "Milvus holds the memory of each batch once", pool.rows_with_memories().memories.get("late"), expected
    )
    checks.equal("and the model was asked for each summary once", len(pool.model.of_kind("summary")), 3)


def program(checks: Checks, cluster: bool = False, turns: int = 10) -> None:
    def talking(checks: Checks) -> None:
        with two_workers(cluster) as pool:
            one_session_at_both(checks, pool, turns)
            retries_without_turn_ids(checks, pool)
            retries_at_the_other_worker(checks, pool, warm=False)
            retries_at_the_other_worker(checks, pool, warm=True)
            retries_while_the_first_runs(checks, pool)

    def archiving(checks: Checks) -> None:
        with two_workers(cluster) as pool:
            catching_up_together(checks, pool)

    side_by_side({"talking": talking, "archiving": archiving}, checks)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--cluster", action="store_true", help="on a Redis Cluster of six, with waitReplicas: 1"
    )
    options.add_argument("--turns", type=int, default=10, help="of each client; 200 is a long run")
    chosen = options.parse_args()
    programs = {"two_workers": lambda checks: program(checks, chosen.cluster, chosen.turns)}
    sys.exit(run(programs, Checks()))


if __name__ == "__main__":
    main()
