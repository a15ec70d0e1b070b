"""A pool of workers behind a proxy, the crowd that talks to it, and the tools that it calls: how much of everything, and what kills fall upon."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

from kit.checks import eventually
from kit.desk import Desk
from kit.fleet import Fleet, Pod, Weather
from kit.haproxy import Affinity, HAProxy
from kit.recital import Lengths, ReciterProcess
from kit.spoken import Kind
from kit.stores import Stores
from kit.tool_ledger import Execution, ToolLedger
from kit.tool_verdict import Verdict
from kit.traffic import KINDS, Crowd, Figures, Traffic
from kit.worker import manifest

ROUNDS = 5


@dataclass(frozen=True)
class Scale:
    """How much of everything; times in seconds."""

    updates: int
    kills: int
    streams: int
    scalings: int  # times out, in, in and out again
    workers: int
    lengths: Lengths
    late: tuple[float, float]
    delay: int  # the pool's drain.delay
    turn: int  # the pool's concurrency.turnTimeout
    between: float  # two kills, and two steps of a scaling

    def with_tools(self, part: float) -> Self:
        return dataclasses.replace(self, lengths=dataclasses.replace(self.lengths, tools=part))


TOOLS = 0.4  # the part of turns that call tools
SHORT_LENGTHS = Lengths(3, 10, (0.25, 0.5), tools=TOOLS, tool_seconds=(0.3, 2))
FULL_LENGTHS = Lengths(20, 120, (0.5, 1), tools=TOOLS, tool_seconds=(0.3, 5))
SHORT = Scale(1, 4, 40, 1, 4, SHORT_LENGTHS, (0.5, 3), delay=2, turn=60, between=4)
FULL = Scale(20, 30, 200, 5, 4, FULL_LENGTHS, (5, 30), delay=15, turn=180, between=20)
# Enough for a control to show what it is for.
FEW = dataclasses.replace(SHORT, streams=16, workers=2).with_tools(0)
# Slow tools in every turn, for kills amid them.
SLOW_TOOLS = dataclasses.replace(
    SHORT,
    kills=3,
    streams=24,
    lengths=Lengths(3, 10, (0.25, 0.5), tools=1, calls=(2, 4), tool_seconds=(2, 4)),
)


class Scene:
    """A pool of its own on shared stores: its workers, the proxy before them, and the crowd that talks to them."""

    def __init__(
        self,
        name: str,
        stores: Stores,
        scale: Scale,
        seed: int,
        affinity: Affinity = "cookie",
        drains: bool = True,
        peers: bool = True,
        kinds: Sequence[Kind] = KINDS,
        resumes: bool = True,
        lies: bool = False,  # the tool server, of what may be called again
    ) -> None:
        self.name, self.scale = name, scale
        self.desk: Desk | None = None
        with ExitStack() as undo:
            model = ReciterProcess()
            undo.callback(model.close)
            if scale.lengths.tools:
                self.desk = Desk(lies)
                undo.callback(self.desk.close)
            text = _pool(name, model, stores, scale, self.desk)
            proxy = undo.enter_context(HAProxy(affinity))
            weather = Weather(scale.late, drains, peers)
            self.fleet = undo.enter_context(Fleet(text, scale.workers, proxy, weather, seed))
            crowd = Crowd(scale.streams, scale.lengths, kinds, resumes)
            self.traffic = undo.enter_context(Traffic(name, proxy, crowd))
            self._undo = undo.pop_all()
        self.verdict = Verdict([], ToolLedger())
        self._begun = time.monotonic()
        time.sleep(3)  # every client has begun to talk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def end(self) -> Figures:
        """Lets all that was begun end, while the load goes on as long as pods are ending."""
        self.fleet.settle()
        self.traffic.finish()
        figures = self.traffic.figures()
        print(f"  {self.name}, {time.monotonic() - self._begun:.0f} s: {figures.line()}", flush=True)
        if self.desk:
            self.verdict = Verdict(figures.said, self.desk.ledger())
            print(f"  {self.name}, tools: {self.verdict.line()}", flush=True)
        return figures

    def busy(self) -> Pod:
        """A worker amid a call that must not be repeated; waits for one."""
        found: list[Pod] = []

        def is_found() -> bool:
            pod = self.desk.busy(self.fleet.pods) if self.desk else None
            found.extend([pod] if pod else [])
            return bool(found)

        if not eventually(is_found, 60, step=0.1):
            raise RuntimeError("no worker calls a tool for 60 s")
        return found[0]


def _pool(name: str, model: ReciterProcess, stores: Stores, scale: Scale, desk: Desk | None) -> str:
    redis = {"mode": "Cluster", "addresses": stores.cluster.addresses, "waitReplicas": 1}
    milvus = {"address": f"http://127.0.0.1:{stores.milvus.port}", "collection": name.replace("-", "_")}
    return manifest(
        model,
        memory={
            "scope": f"acceptance/{name}",
            "redis": redis,
            "milvus": milvus,
            "buffer": {"rounds": ROUNDS},
        },
        replicas=scale.workers,
        drain={"delay": f"{scale.delay}s", "timeout": f"{scale.turn}s"},
        concurrency={"turnTimeout": f"{scale.turn}s"},
        **(desk.spec if desk else {}),
    )


@dataclass
class Hits:
    """What kills fell upon."""

    traffic: Traffic
    desk: Desk | None
    hit: int = 0  # kills that hit a reply at all
    replies: dict[Kind, int] = field(default_factory=dict)
    calls: list[list[Execution]] = field(default_factory=list)  # that each kill hit, of those that hit any

    def before(self, pod: Pod) -> None:
        if self.desk and (running := self.desk.running(pod)):
            self.calls.append(running)
        amid = self.traffic.amid(pod.slot)
        self.hit += bool(amid)
        for spoken in amid:
            self.replies[spoken.kind] = self.replies.get(spoken.kind, 0) + 1

    def line(self) -> str:
        """What they fell upon of tools."""
        tools = Counter(one.tool for running in self.calls for one in running)
        executions = ", ".join(f"{n} {tool}" for tool, n in sorted(tools.items())) or "none"
        return f"{len(self.calls)} kills fell into executions of tools ({executions})"
