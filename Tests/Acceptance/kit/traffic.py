"""Many clients at once, in an event loop of their own, and what became of everything they said."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from kit.client import Client
from kit.haproxy import HAProxy
from kit.recital import Lengths
from kit.spoken import Kind, Spoken
from kit.talkers import Listener, Talker

KINDS: tuple[Kind, ...] = ("native", "sdk", "native", "curl")


@dataclass(frozen=True)
class Crowd:
    """Who talks, and how."""

    streams: int
    lengths: Lengths
    kinds: Sequence[Kind] = KINDS
    resumes: bool = True  # native clients come back for the rest of a turn


@dataclass
class Figures:
    """What became of the turns of a crowd."""

    said: list[Spoken]
    listeners: list[Listener]
    retries: tuple[int, int]  # of the proxy
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)

    def of(self, *kinds: Kind) -> list[Spoken]:
        return [spoken for spoken in self.said if spoken.kind in kinds]

    @property
    def cuts(self) -> list[str]:
        cut = [f"{s.recital.name}: {s.errors[:3]}" for s in self.said if s.cuts]
        return cut + [f"{one.session}: {one.cuts[:3]}" for one in self.listeners if one.cuts]

    @property
    def server_errors(self) -> dict[str, int]:
        """Answers of 500 and more by who got them and the status, also those that an SDK hides."""
        seen: list[tuple[str, int]] = [(s.kind, status) for s in self.said for status in s.statuses]
        seen += [("listener", status) for one in self.listeners for status in one.statuses]
        return dict(Counter(f"{kind} {status}" for kind, status in seen if status >= 500))

    @property
    def troubled(self) -> list[str]:
        """Turns in which a client met any error at all, also one that it got over."""
        return [f"{s.recital.name}: {s.errors[:3]}" for s in self.said if s.errors]

    @property
    def unfinished(self) -> list[str]:
        return [f"{s.recital.name}: {s.errors[-3:]}" for s in self.said if not s.whole]

    @property
    def wrong(self) -> list[str]:
        """Replies that look whole and are not what the model says."""
        return [f"{s.recital.name}: {s.text[:200]!r}" for s in self.said if s.whole and not s.is_right]

    @property
    def disorder(self) -> list[str]:
        return [fault for spoken in self.said for fault in spoken.faults]

    @property
    def silences(self) -> int:
        return sum(spoken.silences for spoken in self.said)

    @property
    def moved(self) -> int:
        """Requests that were answered by another worker than the one before them in their session."""
        slots: dict[str, list[str]] = {}
        for spoken in self.said:
            slots.setdefault(spoken.session, []).extend(spoken.slots)
        return sum(a != b for of_one in slots.values() for a, b in itertools.pairwise(of_one))

    @property
    def slowest(self) -> Spoken | None:
        """That with the longest gap beyond the model's own; what tools take is in the gaps of chat clients."""
        timed = [s for s in self.said if s.kind == "native" or not s.recital.tools]
        return max(timed, key=lambda s: s.longest_gap - s.recital.gap, default=None)

    def line(self) -> str:
        kinds = Counter(spoken.kind for spoken in self.said)
        ways = sum((Counter(spoken.resumed) for spoken in self.said), Counter[str]())
        tiers = Counter(tier for spoken in self.said for tier in spoken.tiers)
        gap = self.slowest
        longest = f"{gap.longest_gap:.2f} s (the model's {gap.recital.gap:.2f} s)" if gap else "none"
        parts = [
            f"{len(self.said)} turns ({', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items()))})",
            f"cut {len(self.cuts)}",
            f"unfinished {len(self.unfinished)}",
            f"lost {len(self.lost)}",
            f"doubled {len(self.doubled)}",
            f"altered {len(self.altered) + len(self.wrong)}",
            f"5xx {', '.join(f'{n} {what}' for what, n in self.server_errors.items()) or 'none'}",
            f"longest gap {longest}",
            f"moved {self.moved}",
            f"tiers {', '.join(f'{n} {tier}' for tier, n in sorted(tiers.items()))}",
            f"resumed {ways['events']} by events and {ways['turns']} by turns",
            f"restarts {sum(s.restarts for s in self.said)}",
            f"{len(self.listeners)} listeners reconnected {sum(one.reconnects for one in self.listeners)} times",
            f"proxy retried {self.retries[0]} and sent elsewhere {self.retries[1]}",
        ]
        return "; ".join(parts)


class Traffic:
    """A crowd under way between `__enter__` and `finish`."""

    def __init__(self, name: str, proxy: HAProxy, crowd: Crowd) -> None:
        self._proxy = proxy
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.talkers = [
            Talker(
                crowd.kinds[n % len(crowd.kinds)],
                f"{name}-{n}",
                proxy.port,
                crowd.lengths,
                crowd.resumes,
                self._over,
            )
            for n in range(crowd.streams)
        ]
        self.listeners = [
            Listener(f"{name}-silent-{n}", proxy.port, self._over) for n in range(crowd.streams // 8)
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def amid(self, slot: str) -> list[Spoken]:
        """Replies that this worker is in the middle of."""
        latest = [talker.spoken[-1] for talker in self.talkers if talker.spoken]
        return [s for s in latest if s.is_amid and s.slots and s.slots[-1] == slot]

    def finish(self) -> None:
        """Nobody begins another turn; those that run run to their end."""
        self._end()
        if self._failure is not None:
            raise RuntimeError("the clients themselves failed") from self._failure

    def figures(self) -> Figures:
        """Compares what was acknowledged with what is stored, session by session."""
        said = [spoken for talker in self.talkers for spoken in talker.spoken]
        figures = Figures(said, self.listeners, self._proxy.retries())
        for talker in self.talkers:
            if any(spoken.text for spoken in talker.spoken):
                _compare(talker, Client(self._proxy.port, talker.user).history(talker.session), figures)
        return figures

    def _end(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._all())
        except BaseException as error:
            self._failure = error
        finally:
            self._loop.close()

    async def _all(self) -> None:
        listening = [asyncio.create_task(listener.run()) for listener in self.listeners]
        await asyncio.gather(*(talker.run() for talker in self.talkers))
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)


def _compare(talker: Talker, messages: list[dict[str, object]], figures: Figures) -> None:
    users = Counter(str(m["content"]) for m in messages if m["role"] == "user")
    ids = Counter(str(m["turn_id"]) for m in messages if m["role"] == "user")
    replies: dict[str, str] = {}
    for m in messages:
        if m["role"] == "assistant":  # with tools, a turn may have several
            replies[str(m["turn_id"])] = replies.get(str(m["turn_id"]), "") + str(m["content"] or "")
    by_text = {str(m["content"]): str(m["turn_id"]) for m in messages if m["role"] == "user"}
    for spoken in talker.spoken:
        prompt = spoken.recital.prompt
        if users[prompt] > 1 or (spoken.turn_id and ids[spoken.turn_id] > 1):
            figures.doubled.append(spoken.recital.name)
        elif spoken.whole and prompt not in by_text:
            figures.lost.append(spoken.recital.name)
        elif spoken.whole and replies.get(by_text[prompt]) != spoken.text:
            figures.altered.append(
                f"{spoken.recital.name}: stored {replies.get(by_text[prompt], '')[:100]!r}"
            )
