"""A Milvus that is slow, silent or no Milvus at all: turns go on without it, and what was to be archived is archived afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kit.checks import Checks, Program, eventually
from kit.client import Client
from kit.conversation import Styles
from kit.model import ModelServer
from kit.outage import (
    COMMIT_DEADLINE,
    GRACE,
    MEMORY,
    RECALL,
    RECALL_DEADLINE,
    Clients,
    Request,
    Seen,
    in_time,
)
from kit.server_rows import read_servers
from kit.servers import Servers
from kit.store_proxy import Answers, Fault, Silent, Slow, StoreProxy, http1, random_bytes
from kit.watch import Watch, metric, readiness
from kit.worker import Worker, manifest

ROUNDS = 5
STYLES: tuple[Styles, ...] = ("native", "stream", "whole")
NOTICED = 15.0  # a look waits five seconds for each store, and looks are a second apart
CATCH_UP = 75.0  # a plan of another is left to its worker for 30 s; then the next pass takes it
FIRST_READY = 30.0 + GRACE
REOPENED = 45.0  # a collection that can't be opened is tried again after at most 30 s
SKIPPED = 'agentpool_recall_skips_total{stage="index"}'
ARCHIVED = "agentpool_batches_archived_total"


@dataclass
class Case:
    """A fault of a Milvus; `fault` is none in the control."""

    name: str
    redis: int
    milvus: int
    fault: Fault | None
    answers: bool = False  # it does answer, late

    @property
    def away(self) -> bool:
        return self.fault is not None and not self.answers

    @property
    def collection(self) -> str:
        return f"bad_{self.name}"

    def begin(self, proxy: StoreProxy) -> None:
        if self.fault is not None:
            proxy.begin(self.fault)

    def worker(self, model: ModelServer, proxy: StoreProxy) -> Worker:
        milvus = {"address": f"http://127.0.0.1:{proxy.port}", "collection": self.collection}
        memory = {
            "scope": f"acceptance/{self.collection}",
            "redis": {"addresses": [f"127.0.0.1:{self.redis}"]},
            "milvus": milvus,
            "buffer": {"rounds": ROUNDS},
            "recall": RECALL,
        }
        return Worker(manifest(model, memory=memory))

    def program(self, model: ModelServer) -> Program:
        def run(checks: Checks) -> None:
            proxy = StoreProxy(self.milvus)
            with self.worker(model, proxy) as worker:
                Trial(checks, self, worker, proxy, model).run()
            proxy.close()

        return run


class Trial:
    """One case from a sound store through the fault, a start beside it, and back."""

    def __init__(
        self, checks: Checks, case: Case, worker: Worker, proxy: StoreProxy, model: ModelServer
    ) -> None:
        self.checks, self.case, self.worker, self.proxy, self.model = checks, case, worker, proxy, model
        # Of the first user a memory is archived before the fault, of the second while it lasts.
        self.known = Clients(Client(worker.port, f"{case.collection}-known", timeout=60))
        self.fresh = Clients(Client(worker.port, f"{case.collection}-fresh", timeout=60))

    def session(self, name: str) -> str:
        return f"{self.case.collection}-{name}"

    def run(self) -> None:
        self.sound()
        self.in_operation()
        self.at_start()
        self.afterwards()

    def sound(self) -> None:
        opened = eventually(lambda: readiness(self.worker).word == "ok", 20, 0.05)
        self.checks.holds("before: the worker is ready", opened, readiness(self.worker).word)
        self.fill(self.known, "known")
        archived = eventually(lambda: metric(self.worker, ARCHIVED) == 1, 45, 0.05)
        self.checks.holds("before: five turns made a memory", archived)
        self.finds(self.known, "known-before", "before")

    def fill(self, clients: Clients, session: str) -> list[Seen]:
        """As many turns as make a batch, one after another, in every style."""
        return [
            clients.ask(Request(STYLES[n % 3], self.session(session), f"turn-{n}")) for n in range(ROUNDS)
        ]

    def finds(self, clients: Clients, session: str, when: str) -> None:
        """The memory is told to a turn; it may take a turn until it is."""
        names = iter(range(100))

        def told() -> bool:
            seen = clients.ask(Request("native", self.session(session), f"finds-{next(names)}"))
            return any(memory["kind"] == "summary" for memory in seen.recalled.get("memories", []))

        self.checks.holds(f"{when}: a turn is told the memory", eventually(told, 10, 0.2))

    def in_operation(self) -> None:
        checks, case = self.checks, self.case
        skipped = metric(self.worker, SKIPPED)
        with Watch(self.worker) as watch:
            case.begin(self.proxy)
            turns = self.fill(self.fresh, "fresh")
            turns.append(self.known.ask(Request("native", self.session("known-during"), "during")))
            for seen in turns:
                self.goes_on(seen)
            search = self.fresh.client.ask("POST", "/v1/memories/search", {"query": "parcels of locker 4711"})
            checks.equal("a search is answered", search.status, 200)
            if case.away:
                eventually(lambda: watch.complained, NOTICED, 0.1)
            else:
                # A worker that is killed while it archives leaves a claim, which holds for minutes.
                eventually(lambda: metric(self.worker, ARCHIVED) == 2, CATCH_UP, 0.1)
            skips = metric(self.worker, SKIPPED) - skipped
            summaries = [ask for ask in self.model.of_kind("summary") if self.session("fresh-") in ask.prompt]
        checks.note(f"degraded after {watch.first(200, 'degraded')} s: {watch.words()}")
        grown = f"{watch.grown / (1 << 20):.1f} MiB"
        checks.holds(f"the worker grew by less than {MEMORY >> 20} MiB", watch.grown < MEMORY, grown)
        checks.equal("the admin port answered all the time", watch.unanswered, 0)
        checks.holds("it stayed ready", not watch.said(503))
        checks.holds("recalls without the index are counted", (skips > 0) != (case.fault is None), skips)
        named = "index" in turns[0].recalled.get("skipped", [])
        checks.holds(
            "and named to the client", named != (case.fault is None), turns[0].recalled.get("skipped")
        )
        if case.away:
            checks.holds("/readyz says degraded, and why", watch.complained, watch.words())
            checks.equal("no model is asked for a summary that can't be stored", len(summaries), 0)

    def goes_on(self, seen: Seen) -> None:
        self.checks.note(str(seen))
        self.checks.holds("a turn is acknowledged", seen.turn.acknowledged)
        first = RECALL_DEADLINE + 2 if seen.first is not None else None
        in_time(self.checks, "a turn", seen, first, COMMIT_DEADLINE + GRACE)

    def at_start(self) -> None:
        """The first readiness may wait for Milvus a while; turns don't."""
        checks = self.checks
        self.worker.kill()
        self.worker.start()
        with Watch(self.worker) as watch:
            self.goes_on(self.known.ask(Request("native", self.session("known-at-start"), "at-start")))
            eventually(lambda: watch.said(200), FIRST_READY, 0.1)
        checks.note(f"started beside it, ready after {watch.first(200)} s: {watch.words()}")
        checks.holds("started beside it: it becomes ready", watch.said(200))
        waited = {look.word for look in watch.looks if look.status != 200}
        checks.holds("started beside it: until then it says that it starts", waited <= {"starting"}, waited)
        checks.holds("started beside it: it grew by no more", watch.grown < MEMORY, f"{watch.grown:,}")

    def afterwards(self) -> None:
        checks, case = self.checks, self.case
        self.proxy.end()
        reopened = eventually(lambda: readiness(self.worker).word == "ok", REOPENED, 0.1)
        checks.holds("afterwards: all is well without a restart", reopened, readiness(self.worker))
        self.finds(self.known, "known-after", "afterwards")
        wanted = {self.session("known"): [(1, ROUNDS)], self.session("fresh"): [(1, ROUNDS)]}

        begun = time.monotonic()
        eventually(self.all_archived, CATCH_UP, 0.2)
        checks.note(f"all archived after {time.monotonic() - begun:.1f} s more")
        memories = read_servers([], case.milvus, case.collection).memories
        checks.equal("afterwards: Milvus holds each batch's memory, once", memories, wanted)
        self.finds(self.fresh, "fresh-after", "afterwards")
        for clients in (self.known, self.fresh):
            checks.equal(
                "afterwards: no acknowledged turn is lost", clients.lost(read_servers([case.redis])), []
            )

    def all_archived(self) -> bool:
        answers = [
            clients.client.ask("GET", f"/v1/sessions/{self.session(name)}")
            for clients, name in ((self.known, "known"), (self.fresh, "fresh"))
        ]
        return all(answer.json.get("archived_through") == ROUNDS for answer in answers)


def programs(servers: Servers, model: ModelServer) -> dict[str, Program]:
    redis, milvus = servers.redis(), servers.milvus()
    cases = [
        Case("sound", redis, milvus, None),
        Case("slow", redis, milvus, Slow(1), answers=True),
        Case("silent", redis, milvus, Silent()),
        Case("random", redis, milvus, Answers(random_bytes)),
        Case("http1", redis, milvus, Answers(http1)),
    ]
    return {f"Milvus, {case.name}": case.program(model) for case in cases}
