"""A Redis that is slow, silent, full, without its replicas, a replica itself, or no Redis at all: what clients are told, and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kit.checks import Checks, Program, eventually
from kit.client import Client
from kit.model import ModelServer
from kit.outage import (
    COMMIT_DEADLINE,
    GRACE,
    LOAD_DEADLINE,
    MEMORY,
    RECALL,
    RECALL_DEADLINE,
    Clients,
    Request,
    Seen,
    in_time,
)
from kit.server_rows import read_servers
from kit.servers import Servers, cli
from kit.store_proxy import Answers, Fault, Silent, Slow, StoreProxy, endless_bulk, random_bytes, wrong_type
from kit.watch import Watch, metric, readiness
from kit.worker import Worker, manifest

HYSTERESIS = 3 * (1 + LOAD_DEADLINE)  # three looks a second apart, each of which may wait for its answer
REPLY_LIMIT = 256 << 20  # of one reply; a node has two connections for commits and two for the rest
FULL = "1mb"  # less than an empty Redis needs


@dataclass
class Case:
    """A fault of a Redis: how it begins and ends, and what clients must be told meanwhile."""

    name: str
    target: int
    begin: Callable[[StoreProxy], None]
    end: Callable[[StoreProxy], None]
    stores: bool = False  # turns are stored nevertheless
    reads: bool = False  # sessions can be read, but not written
    sound: bool = False  # the control: there is no fault
    memory: int = MEMORY

    def sessions(self) -> list[str]:
        return [f"{self.name}-{kind}" for kind in ("native", "stream", "whole", "cold", "new")]

    def during(self) -> list[Request]:
        native, stream, whole, cold, new = self.sessions()
        return [
            Request("native", native, "during"),
            Request("stream", stream, "during"),
            Request("whole", whole, "during"),
            Request("whole", cold, "during"),
            Request("stream", new, "during"),
        ]

    def worker(self, model: ModelServer, proxy: StoreProxy, program: str | None = None) -> Worker:
        redis = {"addresses": [f"127.0.0.1:{proxy.port}"]}
        memory = {"scope": f"acceptance/{self.name}", "redis": redis, "recall": RECALL}
        return Worker(manifest(model, memory=memory), program)

    def prepare(self, checks: Checks, worker: Worker) -> Clients:
        """Four sessions with two turns each, three of them warm."""
        clients = Clients(Client(worker.port, self.name, timeout=60))
        for session in self.sessions()[:4]:
            for name in ("one", "two"):
                clients.ask(Request("native", session, name))
        checks.equal("before: all turns were acknowledged", len(clients.ledger), 8)
        clients.client.ask("POST", f"/v1/sessions/{self.name}-cold/release")
        checks.equal("before: the worker is ready", readiness(worker).word, "ok")
        return clients

    def program(self, model: ModelServer) -> Program:
        def run(checks: Checks) -> None:
            proxy = StoreProxy(self.target)
            with self.worker(model, proxy) as worker:
                clients = self.prepare(checks, worker)
                watch = in_operation(checks, self, worker, proxy, clients)
                at_start(checks, self, worker, proxy, clients, usual=watch.before)
                told_by_probes(checks, self, watch)
            proxy.close()

        return run


def in_operation(checks: Checks, case: Case, worker: Worker, proxy: StoreProxy, clients: Clients) -> Watch:
    requests = case.during()
    with Watch(worker) as watch:
        case.begin(proxy)
        for request, seen in zip(requests, clients.ask_all(requests), strict=True):
            checks.note(f"{request.style:6} {request.session}: {seen}")
            told(checks, case, request, seen)
        if not case.stores:
            eventually(lambda: watch.complained if case.reads else watch.said(503), HYSTERESIS, 0.1)
        ready = metric(worker, "agentpool_ready")
        failed = metric(worker, "agentpool_failed_commits_total")
        skips = metric(worker, 'agentpool_recall_skips_total{stage="fragments"}')
        case.end(proxy)
    checks.note(f"unready after {watch.first(503)} s, agentpool_ready {ready:.0f}; {watch.words()}")
    grown = f"{watch.grown / (1 << 20):.1f} MiB"
    checks.holds(f"the worker grew by less than {case.memory >> 20} MiB", watch.grown < case.memory, grown)
    checks.equal("the admin port answered all the time", watch.unanswered, 0)
    checks.holds("failed commits are counted", (failed > 0) != case.stores, failed)
    if not case.reads:
        checks.holds("recalls without fragments are counted", (skips > 0) != case.sound, skips)
    recovers(checks, "afterwards", worker)
    again = clients.ask_all(requests)
    checks.equal("sent again, all are acknowledged", [s.code for s in again], [None] * len(requests))
    clients.all_kept(checks, "afterwards", read_servers([case.target]), case.sessions())
    return watch


def told(checks: Checks, case: Case, request: Request, seen: Seen) -> None:
    what = f"{request.style} turn of {request.session}"
    warm = not request.session.endswith(("-cold", "-new"))
    if case.stores:
        checks.holds(f"{what}: acknowledged", seen.turn.acknowledged)
        first = RECALL_DEADLINE + 2 if warm and request.style != "whole" else None
        return in_time(checks, what, seen, first, LOAD_DEADLINE + COMMIT_DEADLINE + GRACE)
    checks.holds(f"{what}: not acknowledged", not seen.turn.acknowledged)
    if not (warm or case.reads):
        checks.equal(
            f"{what}: refused before it begins", (seen.turn.status, seen.code), (503, "store_unavailable")
        )
        return in_time(checks, what, seen, None, LOAD_DEADLINE + GRACE)
    status = 503 if request.style == "whole" else 200
    checks.equal(
        f"{what}: told that it is not stored", (seen.turn.status, seen.code), (status, "commit_failed")
    )
    # On a warm session the first text waits for no store: less than a load may take.
    in_time(
        checks,
        what,
        seen,
        RECALL_DEADLINE + 2 if warm and request.style != "whole" else None,
        COMMIT_DEADLINE + GRACE,
    )


def recovers(checks: Checks, when: str, worker: Worker) -> None:
    def ready() -> bool:
        return readiness(worker).status == 200

    checks.holds(f"{when}: ready without a restart", eventually(ready, 20, 0.05))


def at_start(
    checks: Checks, case: Case, worker: Worker, proxy: StoreProxy, clients: Clients, usual: int
) -> None:
    worker.kill()
    case.begin(proxy)
    worker.start()
    request = Request("stream", f"{case.name}-stream", "at-start")
    with Watch(worker) as watch:
        seen = clients.ask(request)
        eventually(lambda: len(watch.looks) >= 20, 10)
    checks.note(f"started: {seen}; {watch.words()}")
    if case.stores:
        checks.holds("started beside it: a turn is acknowledged", seen.turn.acknowledged)
    else:
        checks.holds("started beside it: a turn is not acknowledged", not seen.turn.acknowledged)
        code = "commit_failed" if case.reads else "store_unavailable"
        checks.equal("started beside it: and the client is told why", seen.code, code)
    in_time(checks, "started beside it", seen, None, COMMIT_DEADLINE + GRACE)
    grown = watch.peak - usual
    checks.holds("started beside it: it takes no more", grown < case.memory, f"{grown / (1 << 20):.1f} MiB")
    case.end(proxy)
    recovers(checks, "started beside it", worker)
    checks.holds("then the same turn is acknowledged", clients.ask(request).turn.acknowledged)
    clients.all_kept(checks, "after the restart", read_servers([case.target]), case.sessions())


def told_by_probes(checks: Checks, case: Case, watch: Watch) -> None:
    """Last of a case: whoever sends traffic to a worker that can store nothing must be told."""
    if case.stores:
        checks.holds("/readyz stayed ready all the time", not watch.said(503), watch.words())
    else:
        checks.holds("/readyz said that no turn can be stored", watch.complained, watch.words())
        if not case.reads:
            checks.holds("and was not ready any more", watch.said(503), watch.first(503))


def proxied(name: str, target: int, fault: Fault, stores: bool = False, memory: int = MEMORY) -> Case:
    return Case(name, target, lambda p: p.begin(fault), lambda p: p.end(), stores=stores, memory=memory)


def configured(name: str, target: int, option: str, bad: str, good: str) -> Case:
    def set_to(value: str) -> Callable[[StoreProxy], None]:
        return lambda _: _configure(target, option, value)

    return Case(name, target, set_to(bad), set_to(good), reads=True)


def _configure(port: int, option: str, value: str) -> None:
    cli(port, "config", "set", option, value)


def demoted(name: str, servers: Servers) -> Case:
    """The server that the manifest names becomes a replica of another, with all its data, and later the master again."""
    named = servers.redis()
    other = servers.redis("--replicaof", "127.0.0.1", str(named))
    return Case(
        name, named, lambda _: _hand_over(named, other), lambda _: _hand_over(other, named), reads=True
    )


def _hand_over(master: int, replica: int) -> None:
    def role(port: int) -> str:
        return cli(port, "role").split()[0]

    if not eventually(lambda: "state=online" in cli(master, "info", "replication"), 20, 0.05):
        raise RuntimeError("the replica is not in step")
    cli(master, "failover")
    if not eventually(lambda: (role(master), role(replica)) == ("slave", "master"), 20, 0.02):
        raise RuntimeError("the master did not hand over")


def programs(servers: Servers, model: ModelServer) -> dict[str, Program]:
    shared = servers.redis()
    cases = [
        Case("sound", shared, lambda _: None, lambda _: None, stores=True, sound=True),
        proxied("slow", shared, Slow(1), stores=True),
        proxied("silent", shared, Silent()),
        proxied("random", shared, Answers(random_bytes)),
        proxied("mistyped", shared, Answers(wrong_type)),
        proxied("endless", shared, Answers(endless_bulk), memory=4 * REPLY_LIMIT + MEMORY),
        configured("full", servers.redis(), "maxmemory", FULL, "0"),
        configured("alone", servers.redis(), "min-replicas-to-write", "1", "0"),
        demoted("replica", servers),
    ]
    return {f"Redis, {case.name}": case.program(model) for case in cases}
