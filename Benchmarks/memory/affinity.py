"""What a proxy's affinity is worth: how often L1 has the session and what a turn takes, by cookie, by header and without any."""

from __future__ import annotations

import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from kit.fleet import Fleet, Pod, Weather
from kit.haproxy import Affinity, HAProxy
from kit.model import INSTRUCTIONS
from pool import JSON
from servers import model, redis_cluster
from tables import Cell, percent, quantile, table

WORKERS = 4
CLIENTS = 8
COUNTERS = {
    "l1": 'agentpool_sessions_opened_total{tier="l1"}',
    "l2": 'agentpool_sessions_opened_total{tier="l2"}',
    "new": 'agentpool_sessions_opened_total{tier="new"}',
    "relayed": "agentpool_requests_relayed_total",
    "stale": "agentpool_stale_commits_total",
}


@dataclass(frozen=True)
class Way:
    """How requests find their worker."""

    name: str
    affinity: Affinity
    relays: bool = True


WAYS = (
    Way("by cookie", "cookie"),
    Way("by header", "header"),
    Way("none", "none"),
    Way("none, workers that don't reach each other", "none", relays=False),
)


@dataclass
class Found:
    counted: dict[str, float]
    first_byte: list[float]  # seconds, of every turn but a session's first
    whole: list[float]


class Talker:
    """One session's client: its own cookies, a connection that it shares with others of its thread."""

    def __init__(self, connection: http.client.HTTPConnection, session: str) -> None:
        self.first_byte: list[float] = []
        self.whole: list[float] = []
        self._connection, self._session = connection, session
        self._cookie = ""

    def turn(self, number: int) -> None:
        text = f"Question {number} in {self._session}: which of the parcels is still on its way?"
        body = {"model": "assistant", "stream": True, "messages": [{"role": "user", "content": text}]}
        fields = JSON | {"X-Session-Id": self._session, "X-AgentPool-User": self._session}
        if self._cookie:
            fields["Cookie"] = self._cookie
        begun = time.monotonic()
        self._connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), fields)
        response = self._connection.getresponse()
        piece = response.read1(65536)
        first = time.monotonic() - begun
        rest = piece + response.read()
        if response.status != 200 or b"[DONE]" not in rest:
            raise RuntimeError(f"turn of {self._session}: {response.status} {rest[-300:]!r}")
        if cookie := response.getheader("Set-Cookie"):
            self._cookie = cookie.partition(";")[0]
        if number > 1:
            self.first_byte.append(first)
            self.whole.append(time.monotonic() - begun)


def measure(quick: bool) -> str:
    sessions, turns = (16, 4) if quick else (200, 10)
    rows: list[list[Cell]] = []
    base: list[float] = []
    with ExitStack() as stack:
        redis, model_url = redis_cluster(stack), model(stack)
        for number, way in enumerate(WAYS):
            found = _run(way, _manifest(f"affinity-{number}", redis[0], model_url), sessions, turns)
            base = base or found.first_byte
            rows.append(_row(way, found, base, sessions * turns))
            print(f"  affinity {way.name}", file=sys.stderr)
    heads = ["affinity", "turns", "relayed", "session from L1, of those that had one", "stale commits"]
    heads += ["first byte, ms: p50", "p99", "more than by cookie: p50", "p99", "whole turn p50", "p99"]
    return (
        f"### Affinity\n\n{sessions} sessions of {turns} turns, streamed, at {WORKERS} workers behind HAProxy on a Redis Cluster of "
        f"three masters and three replicas; {CLIENTS} clients at once, each with the sessions' own cookies on one connection, so that "
        "the proxy chooses anew for each request. Times without a session's first turn.\n\n"
        + table(heads, rows)
    )


def _run(way: Way, manifest: str, sessions: int, turns: int) -> Found:
    weather = Weather((0, 0), peers=way.relays)
    with HAProxy(way.affinity) as proxy, Fleet(manifest, WORKERS, proxy, weather, seed=1) as fleet:
        time.sleep(3)  # until all know of each other, and listen
        before = _counters(fleet.pods)
        with ThreadPoolExecutor(CLIENTS) as threads:
            parts = list(threads.map(partial(_talk, proxy.port, sessions, turns), range(CLIENTS)))
        after = _counters(fleet.pods)
    talkers = [talker for part in parts for talker in part]
    return Found(
        {name: after[name] - before[name] for name in COUNTERS},
        [t for talker in talkers for t in talker.first_byte],
        [t for talker in talkers for t in talker.whole],
    )


def _talk(port: int, sessions: int, turns: int, part: int) -> list[Talker]:
    """Turn by turn over the sessions of one client, as an application's server does for its users."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    talkers = [Talker(connection, f"session-{index}") for index in range(part, sessions, CLIENTS)]
    for number in range(1, turns + 1):
        for talker in talkers:
            talker.turn(number)
    connection.close()
    return talkers


def _row(way: Way, found: Found, base: list[float], turns: int) -> list[Cell]:
    counted = found.counted
    p50, p99 = (quantile(found.first_byte, share) * 1000 for share in (0.5, 0.99))
    return [
        way.name,
        turns,
        percent(counted["relayed"] / turns),
        percent(counted["l1"] / max(1, counted["l1"] + counted["l2"])),
        int(counted["stale"]),
        p50,
        p99,
        p50 - quantile(base, 0.5) * 1000,
        p99 - quantile(base, 0.99) * 1000,
        quantile(found.whole, 0.5) * 1000,
        quantile(found.whole, 0.99) * 1000,
    ]


def _counters(pods: list[Pod]) -> dict[str, float]:
    """Of all workers together."""
    totals = dict.fromkeys(COUNTERS, 0.0)
    for pod in pods:
        connection = http.client.HTTPConnection("127.0.0.1", pod.admin_port, timeout=30)
        connection.request("GET", "/metrics")
        for line in connection.getresponse().read().decode().splitlines():
            name, _, value = line.rpartition(" ")
            for key, metric in COUNTERS.items():
                if name == metric:
                    totals[key] += float(value)
        connection.close()
    return totals


def _manifest(name: str, redis: int, model_url: str) -> str:
    """A pool whose sessions end before their first batch is archived: what is measured is the way to a session."""
    spec = {
        "models": [{"name": "chat", "provider": "openai", "baseURL": model_url, "model": "stand-in"}],
        "agents": [{"name": "assistant", "instructions": INSTRUCTIONS, "model": "chat"}],
        "auth": {"mode": "None"},
        "drain": {"delay": "0s", "timeout": "30s"},
        "concurrency": {"turnTimeout": "30s"},
        "memory": {
            "redis": {"mode": "Cluster", "addresses": [f"127.0.0.1:{redis}"], "waitReplicas": 0},
            "buffer": {"rounds": 20},
        },
    }
    kind = {"apiVersion": "agentpool.dev/v1alpha1", "kind": "AgentPool"}
    return json.dumps(kind | {"metadata": {"name": name}, "spec": spec})
