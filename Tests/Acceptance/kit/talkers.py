"""A session's client, which asks turn after turn and comes back for the rest of a native one, and a client that only listens."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kit.chatters import SDK, Curl
from kit.recital import Lengths
from kit.spoken import Kind, Spoken
from kit.sse import Cut, Exchange, Jar

PATIENCE = 900.0  # seconds beyond a reply's own length after which a client gives a turn up: it may have to begin anew several times
SILENCE = 30.0  # seconds beyond the model's gap in which a stream must say something


@dataclass
class Talker:
    """One session's client, with cookies of its own; asks turn after turn until it is told that it is over."""

    kind: Kind
    session: str
    port: int
    lengths: Lengths
    resumes: bool
    over: asyncio.Event
    spoken: list[Spoken] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.user = f"user-of-{self.session}"
        self.headers = {"X-Session-Id": self.session, "X-AgentPool-User": self.user}
        self.jar = Jar()
        self.rng = random.Random(self.session)

    async def run(self) -> None:
        say = self._sayer()
        await self._pause(2)
        while not self.over.is_set():
            name = f"{self.session}-{len(self.spoken) + 1:04d}"
            spoken = Spoken(self.kind, self.session, self.lengths.choose(name, self.rng), time.monotonic())
            self.spoken.append(spoken)
            try:
                async with asyncio.timeout(spoken.recital.seconds + PATIENCE):
                    await say(spoken)
            except TimeoutError:
                spoken.errors.append("given up")
            spoken.ended = time.monotonic()
            await self._pause(1)

    def _sayer(self) -> Callable[[Spoken], Awaitable[None]]:
        match self.kind:
            case "native":
                return self._native
            case "sdk":
                return SDK(self.port, self.headers).say
            case "curl":
                return Curl(self.port, self.headers).say

    async def _pause(self, most: float) -> None:
        try:
            await asyncio.wait_for(self.over.wait(), self.rng.uniform(0.1, most))
        except TimeoutError:
            pass

    async def _native(self, spoken: Spoken) -> None:
        spoken.turn_id = spoken.recital.name
        ways = ["events", "turns"] if self.rng.random() < 0.5 else ["turns", "events"]
        way = "turns"
        while not await self._attend(spoken, way) and self.resumes:
            # Only who has seen an event can listen to the rest of it.
            way = ways[sum(spoken.resumed.values()) % 2] if spoken.last_id else "turns"
            spoken.resumed[way] = spoken.resumed.get(way, 0) + 1
            await asyncio.sleep(0.3)

    async def _attend(self, spoken: Spoken, way: str) -> bool:
        """One stream of a turn; true once nothing more is to be done for it."""
        path, headers = f"/v1/sessions/{self.session}/{way}", dict(self.headers)
        if spoken.last_id:
            headers["Last-Event-ID"] = spoken.last_id
        method, body = "GET", None
        if way == "turns":
            method, body = "POST", {"input": spoken.recital.prompt, "turn_id": spoken.turn_id}
        try:
            async with await Exchange.begin(self.port, method, path, headers, self.jar, body) as exchange:
                spoken.answered(exchange.status, exchange.headers)
                if exchange.status != 200:
                    spoken.errors.append(f"{exchange.status} {(await exchange.body())[:200]!r}")
                    return exchange.status < 500 and exchange.status not in (409, 429)
                return await self._follow(spoken, exchange)
        except (OSError, Cut) as error:
            spoken.cuts += 1
            spoken.errors.append(f"{way}: {type(error).__name__} {error}")
        return False

    async def _follow(self, spoken: Spoken, exchange: Exchange) -> bool:
        events = exchange.events()
        while True:
            try:
                limit = SILENCE + spoken.recital.gap + spoken.recital.tool_seconds
                event = await asyncio.wait_for(anext(events), limit)
            except TimeoutError:
                spoken.silences += 1
                spoken.errors.append("silence")
                return False
            except StopAsyncIteration:
                spoken.cuts += 1
                spoken.errors.append("an end without a last event")
                return False
            if event.name == "reconnect":
                return False
            if event.id:
                spoken.place(event)
            if event.name == "turn.restarted":
                spoken.restart()
            elif event.name == "text.delta":
                spoken.add(event.json["text"])
            elif event.name == "tool.call":
                spoken.called(event)
            elif event.name == "tool.result":
                spoken.resulted(event)
            elif event.name == "turn.completed":
                spoken.complete()
                return True
            elif event.name == "error":
                spoken.errors.append(f"error {event.data}")
                return False
            elif event.name == "turn.failed":
                spoken.errors.append(f"turn.failed {event.data}")
                return event.json["error"]["type"] not in ("server_error", "rate_limit_error")


@dataclass
class Listener:
    """Follows a session in which nobody speaks, and comes again when it is told to."""

    session: str
    port: int
    over: asyncio.Event
    reconnects: int = 0
    cuts: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def run(self) -> None:
        jar, headers = Jar(), {"X-Session-Id": self.session, "X-AgentPool-User": "nobody"}
        path = f"/v1/sessions/{self.session}/events"
        while not self.over.is_set():
            told = False
            try:
                async with await Exchange.begin(self.port, "GET", path, headers, jar) as exchange:
                    self.statuses.append(exchange.status)
                    async for event in exchange.events():
                        told |= event.name == "reconnect"
                if exchange.status == 200 and not told:
                    self.cuts.append("an end without `reconnect`")
            except (OSError, Cut) as error:
                self.cuts.append(f"{type(error).__name__} {error}")
            self.reconnects += told
            await asyncio.sleep(1)  # as `retry` and Retry-After say
