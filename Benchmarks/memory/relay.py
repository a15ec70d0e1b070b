"""A relay in front of every Redis node that counts what clients send and get, by command or script, bytes of both ways."""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import re
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from processes import ROOT

SOURCES = ROOT / "Sources" / "Memory"
SCRIPT = re.compile(
    r'RedisScript\(\s*name:\s*"([^"]+)",\s*source:(.*?)\)\n(?=\n|\s*///|\s*static|\s*private|\})', re.S
)
# What links say to each other, which is no client's.
REPLICATION = {"REPLCONF", "PSYNC", "SYNC"}
# What a node sends without being asked: messages to those who have subscribed.
PUSHED = "messages, unasked"

Count = Callable[[bytearray], bool]


@dataclass
class Tally:
    calls: int = 0
    sent: int = 0
    answered: int = 0

    @property
    def bytes(self) -> int:
        return self.sent + self.answered

    def minus(self, earlier: Tally) -> Tally:
        return Tally(self.calls - earlier.calls, self.sent - earlier.sent, self.answered - earlier.answered)


def _plain(text: str) -> str:
    return " ".join(text.replace("\\\\", "\\").split())


def script_names() -> dict[str, str]:
    """What each of the product's scripts ends with, as plain text, and its name."""
    found: dict[str, str] = {}
    for file in sorted(SOURCES.glob("Redis*.swift")):
        for name, source in SCRIPT.findall(file.read_text()):
            literals = re.findall(r'"""(.*?)"""|"([^"\n]+)"', source, re.S)
            if literals:
                found[_plain(literals[-1][0] or literals[-1][1])] = name
    return found


def frame_end(data: bytearray, at: int) -> int | None:
    """Where the RESP value that begins at `at` ends; nil while it is not whole."""
    left = 1
    while left:
        line = data.find(b"\r\n", at)
        if line < 0:
            return None
        kind, left = data[at], left - 1
        if kind in b"$*":
            count = int(data[at + 1 : line])
            left += max(count, 0) if kind == ord("*") else 0
            line += count + 2 if kind == ord("$") and count >= 0 else 0
        at = line + 2
        if at > len(data):
            return None
    return at


def first_words(frame: bytearray) -> tuple[str, str]:
    """The command's name and its first argument."""
    parts = frame.split(b"\r\n", 3)
    name = parts[2].decode().upper()
    if not parts[3].startswith(b"$"):
        return name, ""
    length, _, rest = parts[3].partition(b"\r\n")
    return name, rest[: int(length[1:])].decode(errors="replace")


class Relays:
    """One listener a node, in a thread of its own. Counts are read while nothing is under way."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self._names: dict[str, str] = {}
        self._endings = list(script_names().items())
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def before(self, node: int) -> int:
        """Begins to relay to a node of this machine; the port to talk to."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)

        async def serve() -> None:
            await asyncio.start_server(lambda r, w: self._serve(r, w, node), sock=listener)

        asyncio.run_coroutine_threadsafe(serve(), self._loop).result(10)
        return int(listener.getsockname()[1])

    def reading(self) -> dict[str, Tally]:
        return {name: Tally(t.calls, t.sent, t.answered) for name, t in self.tallies.items()}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, node: int) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", node)
        asked: deque[str] = deque()
        is_link = False

        def request(frame: bytearray) -> bool:
            nonlocal is_link
            name = self._name(*first_words(frame))
            is_link = name in REPLICATION
            if is_link:
                return False
            self.tallies[name].calls += 1
            self.tallies[name].sent += len(frame)
            asked.append(name)
            return True

        def answer(frame: bytearray) -> bool:
            if is_link:
                return False
            tally = self.tallies[asked.popleft() if asked else PUSHED]
            tally.answered += len(frame)
            return True

        await asyncio.gather(
            self._copy(reader, inner_writer, request), self._copy(inner_reader, writer, answer)
        )

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Count) -> None:
        """Passes bytes on, and whole values to `count`, until that answers false."""
        pending = bytearray()
        counts = True
        try:
            while data := await reader.read(1 << 16):
                if counts:
                    pending += data
                    while counts and pending and (end := frame_end(pending, 0)) is not None:
                        counts = count(pending[:end])
                        del pending[:end]
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # Either side may be ended by the one who started it.
        finally:
            writer.close()

    def _name(self, command: str, argument: str) -> str:
        """A script by its name in the sources, which its text gives away when it is sent whole."""
        if command == "EVAL":
            digest = hashlib.sha1(argument.encode()).hexdigest()
            self._names[digest] = f"script {self._likest(_plain(argument)) or digest[:8]}"
            return self._names[digest]
        if command == "EVALSHA":
            return self._names.get(argument, "scripts not yet known to the node")
        return command

    def _likest(self, text: str) -> str | None:
        """The binary's script may be of another day than the sources: a few words make no other script of it."""

        def likeness(ending: str) -> float:
            mine = text[-len(ending) :].split()
            return difflib.SequenceMatcher(None, mine, ending.split(), autojunk=False).ratio()

        rated = [(likeness(ending), len(ending), name) for ending, name in self._endings]
        best = max(rated)
        return best[2] if best[0] > 0.7 else None
