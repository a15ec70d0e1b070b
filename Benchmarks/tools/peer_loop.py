"""What the peers share: they take orders on standard input, talk in one event loop, and print each order's figures on standard output."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvloop

INSTRUCTIONS = "Be brief."
# The words of the load generator.
QUESTION = "Question {turn} of client {client}: which of the parcels is still on its way?"

# Answers a text in a session, whose history it keeps in the list that it is handed: the reply's words as they come.
Talk = Callable[[list[Any], str], AsyncIterator[str]]


async def _turn(talk: Talk, history: list[Any], text: str) -> tuple[float, float]:
    """Microseconds to the first word and to the end."""
    begun, first, words = time.perf_counter(), 0.0, ""
    async for word in talk(history, text):
        first = first or time.perf_counter()
        words += word
    if not words.endswith("word19 "):
        raise RuntimeError(f"the turn is not whole: {words!r}")
    return (first - begun) * 1e6, (time.perf_counter() - begun) * 1e6


async def _client(talk: Talk, client: int, turns: int) -> list[tuple[float, float]]:
    history: list[Any] = []
    return [await _turn(talk, history, QUESTION.format(turn=turn, client=client)) for turn in range(turns)]


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {name: ordered[int(len(ordered) * share)] for name, share in at.items()} | {"max": ordered[-1]}


async def _carry_out(talk: Talk, clients: int, turns: int) -> dict[str, Any]:
    begun = time.perf_counter()
    each = await asyncio.gather(*(_client(talk, client, turns) for client in range(clients)))
    seconds = time.perf_counter() - begun
    took = [turn for one in each for turn in one]
    return {
        "turns": len(took),
        "seconds": seconds,
        "per_second": len(took) / seconds,
        "first_token_us": _quantiles([first for first, _ in took]),
        "turn_us": _quantiles([whole for _, whole in took]),
    }


async def serve(talk: Talk) -> None:
    """Until standard input ends: `{"clients": N, "turns": M}` a line, answered by a line of figures."""
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        print(json.dumps(await _carry_out(talk, order["clients"], order["turns"])), flush=True)


def run(main: Callable[[str, str], Any]) -> None:
    """With the URLs of the model and of the tool server."""
    uvloop.run(main(sys.argv[1], sys.argv[2]))
