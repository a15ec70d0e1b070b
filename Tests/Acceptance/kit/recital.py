"""A model that recites: how much, at what pace and with which words stands in the prompt, so that clients know every reply beforehand."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kit.model import Ask, ModelServer, Reply, echo
from kit.stores import KILLED_WITH_US

ACCEPTANCE = Path(__file__).resolve().parents[1]
PROMPT = re.compile(r"^(?P<name>\S+): recite (?P<count>\d+) words, one each (?P<gap>\d+) ms$")


@dataclass(frozen=True)
class Recital:
    """A reply that its prompt determines; no two words of a run are the same, so that one too many or too few is seen."""

    name: str
    count: int
    milliseconds: int

    @property
    def prompt(self) -> str:
        return f"{self.name}: recite {self.count} words, one each {self.milliseconds} ms"

    @property
    def words(self) -> list[str]:
        return [f"{self.name}/{number}" for number in range(1, self.count + 1)]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def gap(self) -> float:
        return self.milliseconds / 1000

    @property
    def seconds(self) -> float:
        return self.gap * (self.count - 1)

    @classmethod
    def of(cls, prompt: str) -> Self | None:
        found = PROMPT.match(prompt)
        return cls(found["name"], int(found["count"]), int(found["gap"])) if found else None


@dataclass(frozen=True)
class Lengths:
    """How long replies last: long ones of some span, short ones of a second among them. Times in seconds."""

    least: float
    most: float
    gaps: tuple[float, float]  # between two words, at least and at most
    short: float = 0.3  # their part

    def choose(self, name: str, rng: random.Random) -> Recital:
        gap = round(rng.uniform(*self.gaps), 3)
        seconds = 1.0 if rng.random() < self.short else rng.uniform(self.least, self.most)
        return Recital(name, max(2, round(seconds / gap) + 1), round(gap * 1000))


def recite(ask: Ask) -> Reply:
    recital = Recital.of(ask.said) if ask.kind == "chat" else None
    return Reply(recital.words, recital.gap) if recital else echo(ask)


class ReciterProcess:
    """The model in a process of its own, which shares no interpreter with the clients that time its words."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [*KILLED_WITH_US, sys.executable, "-m", "kit.recital"],
            cwd=ACCEPTANCE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the model's process ended at its start")
        self.url = line.strip()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    print(ModelServer(recite, keeps_asks=False).url, flush=True)
    sys.stdin.read()
