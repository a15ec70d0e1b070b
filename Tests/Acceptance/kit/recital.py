"""A model that recites: how much, at what pace, with which words and calls of tools stands in the prompt, so that clients know every reply beforehand."""

from __future__ import annotations

import dataclasses
import random
import re
import sys
from dataclasses import dataclass
from typing import Self

from kit.model import Ask, ModelServer, Reply, echo
from kit.server_process import ServerProcess
from kit.tool_rounds import Amiss, Planned, Round, next_round, rounds_of

PROMPT = re.compile(
    r"^(?P<name>\S+): recite (?P<count>\d+) words, one each (?P<gap>\d+) ms"
    r"(, with (?P<tools>\d+) tools of (?P<time>\d+) ms)?$"
)


@dataclass(frozen=True)
class Recital:
    """A reply that its prompt determines; no two words of a run are the same, so that one too many or too few is seen."""

    name: str
    count: int
    milliseconds: int
    tools: int = 0  # how many calls are made between the words
    tool_milliseconds: int = 0  # that each of them takes

    @property
    def prompt(self) -> str:
        tools = f", with {self.tools} tools of {self.tool_milliseconds} ms" if self.tools else ""
        return f"{self.name}: recite {self.count} words, one each {self.milliseconds} ms{tools}"

    @property
    def words(self) -> list[str]:
        return [f"{self.name}/{number}" for number in range(1, self.count + 1)]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def rounds(self) -> list[Round]:
        """The model's answers, of which the text of all is `text`."""
        return rounds_of(self.name, self.words, self.tools, self.tool_milliseconds)

    @property
    def calls(self) -> list[Planned]:
        return [call for one in self.rounds for call in one.calls]

    @property
    def gap(self) -> float:
        return self.milliseconds / 1000

    @property
    def seconds(self) -> float:
        return self.gap * (self.count - 1) + self.tool_seconds

    @property
    def tool_seconds(self) -> float:
        """Of all calls, one after the other."""
        return self.tools * self.tool_milliseconds / 1000

    @classmethod
    def of(cls, prompt: str) -> Self | None:
        found = PROMPT.match(prompt)
        if found is None:
            return None
        numbers = (int(found[name] or 0) for name in ("count", "gap", "tools", "time"))
        return cls(found["name"], *numbers)


@dataclass(frozen=True)
class Lengths:
    """How long replies last: long ones of some span, short ones of a second among them, and which call tools. Times in seconds."""

    least: float
    most: float
    gaps: tuple[float, float]  # between two words, at least and at most
    short: float = 0.3  # their part
    tools: float = 0  # the part of those with tools
    calls: tuple[int, int] = (1, 4)  # in each of them, at least and at most
    tool_seconds: tuple[float, float] = (0.3, 2)

    def choose(self, name: str, rng: random.Random) -> Recital:
        gap = round(rng.uniform(*self.gaps), 3)
        seconds = 1.0 if rng.random() < self.short else rng.uniform(self.least, self.most)
        recital = Recital(name, max(2, round(seconds / gap) + 1), round(gap * 1000))
        if not self.tools or rng.random() >= self.tools:
            return recital
        time = round(rng.uniform(*self.tool_seconds) * 1000)
        return dataclasses.replace(recital, tools=rng.randint(*self.calls), tool_milliseconds=time)


def recite(ask: Ask) -> Reply:
    recital = Recital.of(ask.said) if ask.kind == "chat" else None
    if recital is None:
        return echo(ask)
    if not recital.tools:
        return Reply(recital.words, recital.gap)
    try:
        now = next_round(recital.rounds, ask.since)
        calls = [call.call(ask.offered) for call in now.calls]
    except Amiss as amiss:
        print(f"  the model refuses {recital.name}: {amiss}", file=sys.stderr, flush=True)
        return Reply([str(amiss)], status=400)
    return Reply(now.words, recital.gap, lead=now.lead, calls=calls)


class ReciterProcess(ServerProcess):
    """The model in a process of its own, which shares no interpreter with the clients that time its words."""

    def __init__(self) -> None:
        super().__init__("kit.recital")


if __name__ == "__main__":
    print(ModelServer(recite, keeps_asks=False).url, flush=True)
    sys.stdin.read()
