"""Approvals at another worker than the one whose turn waits: while that one lives, after its death and amid the call, and from two sides at once: one call, one end for all."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from approvals import decide, executions, last, parcel_office
from kit.checks import Checks, alone, eventually
from kit.client import Client, Turn
from kit.desk import NAME, Desk
from kit.model import ModelServer
from kit.servers import Servers
from kit.worker import Worker, manifest

LONG = 1500  # milliseconds of a call in which a worker is killed


class Follower:
    """Reads a session's events at one worker until a turn has ended, in a thread of its own."""

    def __init__(self, client: Client, session: str, until: str = "turn.completed") -> None:
        self.seen: list[str] = []
        self.listens = threading.Event()
        self._client, self._path, self._until = client, f"/v1/sessions/{session}/events", until
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.listens.wait(10)

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._client.port, timeout=30)
        try:
            connection.request("GET", self._path, None, self._client.headers())
            response = connection.getresponse()
            self.listens.set()
            for raw in response:
                name, _, value = raw.decode().strip().partition(":")
                if name == "event":
                    self.seen.append(value.strip())
                    if self.seen[-1] == self._until:
                        return
        except OSError:
            return  # its worker is gone
        finally:
            self.listens.set()
            connection.close()

    def last(self) -> str:
        self._thread.join(20)
        return self.seen[-1] if self.seen else "nothing"


class Pair:
    """Two workers on one Redis, and their clients."""

    def __init__(self, a: Worker, b: Worker, desk: Desk) -> None:
        self.a, self.b, self.desk = a, b, desk
        self.at_a, self.at_b = Client(a.port, user="ann"), Client(b.port, user="ann")

    def pause(self, checks: Checks, session: str, said: str = "") -> str:
        """A turn of A's that waits for its call `book`; the turn's id."""
        turn = f"turn-{session}"
        paused = self.at_a.native(f"send {session} {said}".strip(), session, turn)
        checks.equal(f"{session}: a turn pauses at A", last(paused)[0], "turn.paused")
        return turn

    def booked(self, session: str) -> int:
        return executions(self.desk).count(f"book {session}")


@contextmanager
def pair() -> Iterator[Pair]:
    model, desk = ModelServer(parcel_office), Desk()
    spec: dict[str, Any] = desk.spec
    spec["mcpServers"][0] |= {"name": NAME, "requireApproval": ["book"]}
    with Servers() as servers:
        spec["memory"] = {"redis": {"addresses": [f"127.0.0.1:{servers.redis()}"]}}
        text = manifest(model, **spec)
        with Worker(text) as a, Worker(text) as b:
            yield Pair(a, b, desk)
    desk.close()
    model.close()


def told_alike(checks: Checks, session: str, *turns: Turn) -> None:
    """Whoever decided sees the same end."""
    ends = [last(turn)[0] for turn in turns]
    errors = [turn.error for turn in turns if turn.error]
    checks.holds(f"{session}: each sees the end", set(ends) == {"turn.completed"}, errors or ends)
    texts = {turn.text.rpartition("moment.")[2] for turn in turns}
    checks.equal(f"{session}: the same one", len(texts), 1)


def while_a_lives(checks: Checks, pair: Pair) -> None:
    session = "alive"
    turn = pair.pause(checks, session)
    followers = [Follower(client, session) for client in (pair.at_a, pair.at_b)]
    awaited = pair.at_b.ask("GET", f"/v1/sessions/{session}").json["awaiting_approval"]["calls"]
    checks.equal("B tells what A's turn waits for", [call["name"] for call in awaited], ["book"])
    went_on = decide(pair.at_b, turn, (f"book-{session}", True), session=session)
    checks.equal("approved at B the turn goes on to its end", last(went_on)[0], "turn.completed")
    checks.equal("the call is made once", pair.booked(session), 1)
    ends = [follower.last() for follower in followers]
    checks.equal("who follows at A and at B sees the end", ends, ["turn.completed"] * 2)
    repeated = [decide(c, turn, (f"book-{session}", True), session=session) for c in (pair.at_a, pair.at_b)]
    told_alike(checks, session, went_on, *repeated)
    checks.equal("and again once", pair.booked(session), 1)
    held(checks, pair, session)


def after_its_death(checks: Checks, pair: Pair) -> None:
    session = "killed"
    turn = pair.pause(checks, session)
    pair.a.kill()
    follower = Follower(pair.at_b, session)
    went_on = decide(pair.at_b, turn, (f"book-{session}", True), session=session)
    checks.equal("A is dead: approved at B the turn ends there", last(went_on)[0], "turn.completed")
    checks.equal("who follows at B sees it", follower.last(), "turn.completed")
    pair.a.start()
    again = decide(pair.at_a, turn, (f"book-{session}", True), session=session)
    told_alike(checks, session, went_on, again)
    checks.equal("the call was made once", pair.booked(session), 1)
    held(checks, pair, session)


def amid_the_call(checks: Checks, pair: Pair) -> None:
    """A carries out the approved call, and dies in it: nobody knows what came of it, so nobody makes it again."""
    session = "amid"
    turn = pair.pause(checks, session, str(LONG))

    def approve() -> None:
        try:
            decide(pair.at_a, turn, (f"book-{session}", True), session=session)
        except (OSError, http.client.HTTPException):
            return  # its worker is gone

    thread = threading.Thread(target=approve)
    thread.start()
    begun = eventually(lambda: pair.booked(session) == 1, 10)
    checks.holds("A is killed amid the approved call", begun)
    pair.a.kill()
    thread.join()
    went_on = decide(pair.at_b, turn, (f"book-{session}", True), session=session)
    checks.equal("the approval sent again to B ends the turn", last(went_on)[0], "turn.completed")
    outcomes = {v["name"]: v["outcome"] for name, v in went_on.events if name == "tool.result"}
    checks.equal("the model is told that it is unknown", outcomes, {"look_up": "done", "book": "unknown"})
    checks.equal("the call was not made again", pair.booked(session), 1)
    pair.a.start()
    held(checks, pair, session)


def know_each_other(pair: Pair) -> bool:
    """Whether B leaves A's sessions to A, which a worker does for those whose reports it has read."""
    session = f"probe-{time.monotonic_ns()}"
    pair.at_a.native("hello", session)
    return pair.at_b.native("hello", session).headers["x-memory-tier"] == "l1"


def from_both_sides(checks: Checks, pair: Pair, session: str, at_b: bool, strangers: bool = False) -> None:
    """Two people decide at the same time, each at a worker of their own.

    Workers that don't know of each other yet both begin: one of them has to give way, and says so.
    """
    turn = pair.pause(checks, session, "200")
    turns: list[Turn] = []

    def decide_at(client: Client, approve: bool) -> None:
        went_on = decide(client, turn, (f"book-{session}", approve), session=session)
        if strangers and went_on.error.get("code") == "session_taken_over":
            checks.note(f"{session}: {went_on.error['message']}")
            went_on = decide(client, turn, (f"book-{session}", approve), session=session)
        turns.append(went_on)

    decisions = ((pair.at_a, True), (pair.at_b, at_b))
    sides = [threading.Thread(target=decide_at, args=decision) for decision in decisions]
    for one in sides:
        one.start()
    for one in sides:
        one.join()
    told_alike(checks, session, *turns)
    seen = [v for t in turns for name, v in t.events if name == "tool.result" and v["name"] == "book"]
    outcomes = {value["outcome"] for value in seen}
    checks.equal(f"{session}: one decision counts", len(outcomes), 1)
    booked = pair.booked(session)
    if strangers and outcomes == {"unknown"}:
        # It was taken over amid the call.
        checks.holds(f"{session}: the call was made once at most", booked <= 1, booked)
    else:
        expected = int(outcomes == {"done"})
        checks.equal(f"{session}: the call was made as that says ({outcomes})", booked, expected)
    held(checks, pair, session)


def held(checks: Checks, pair: Pair, session: str) -> None:
    """The history has the turn once and whole, whoever is asked."""
    for name, client in (("A", pair.at_a), ("B", pair.at_b)):
        messages = client.history(session)
        seen = ([m["role"] for m in messages].count("user"), {m["ending"] for m in messages})
        checks.equal(f"{session}: by {name} the history has it once, whole", seen, (1, {"complete"}))


def program(checks: Checks) -> None:
    with pair() as both:
        while_a_lives(checks, both)
        after_its_death(checks, both)
        amid_the_call(checks, both)
        for number in range(2):
            # A has just come back.
            from_both_sides(checks, both, f"strangers-{number}", at_b=number == 0, strangers=True)
        checks.holds("the workers know each other", eventually(lambda: know_each_other(both), 20, 0.2))
        for number in range(5):
            from_both_sides(checks, both, f"agreed-{number}", at_b=True)
            from_both_sides(checks, both, f"disagreed-{number}", at_b=False)
        checks.equal("the tool server refused nothing", both.desk.ledger().refusals, [])


if __name__ == "__main__":
    alone(program, __doc__)
