"""A streaming HTTP client for many streams in one event loop: tells a stream's proper end from a cut one, and reads its events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

from kit.stores import HOST

LIMIT = 1 << 20  # bytes of a line


class Cut(Exception):
    """The connection ended before the answer did."""


@dataclass
class Event:
    """One server-sent event."""

    name: str = ""
    id: str = ""
    data: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.data)


@dataclass
class Jar:
    """One client's cookies."""

    values: dict[str, str] = field(default_factory=dict)

    def take(self, cookie: str) -> None:
        name, _, value = cookie.partition(";")[0].partition("=")
        self.values[name.strip()] = value.strip()

    def header(self) -> dict[str, str]:
        pairs = "; ".join(f"{name}={value}" for name, value in self.values.items())
        return {"Cookie": pairs} if pairs else {}


class Exchange:
    """One request on a connection of its own, and its answer as it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.status = 0
        self.headers: dict[str, str] = {}

    @classmethod
    async def begin(
        cls, port: int, method: str, path: str, headers: dict[str, str], jar: Jar, body: object = None
    ) -> Self:
        """Returns when the answer's head is there. Raises OSError or Cut where none comes."""
        reader, writer = await asyncio.open_connection(HOST, port, limit=LIMIT)
        self = cls(reader, writer)
        try:
            raw = b"" if body is None else json.dumps(body).encode()
            fields = {"Host": "acceptance", **headers, **jar.header()}
            if body is not None:
                fields |= {"Content-Type": "application/json", "Content-Length": str(len(raw))}
            lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
            writer.write("\r\n".join([*lines, "", ""]).encode() + raw)
            await writer.drain()
            await self._read_head(jar)
        except BaseException:
            self.close()
            raise
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._writer.close()

    async def body(self) -> bytes:
        return b"".join([line async for line in self.lines()])

    async def events(self) -> AsyncIterator[Event]:
        """Until the proper end of the stream; comments are passed over."""
        event = Event()
        async for raw in self.lines():
            line = raw.decode().rstrip("\r\n")
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if line == "":
                if event.data:
                    yield event
                event = Event()
            elif name == "event":
                event.name = value
            elif name == "id":
                event.id = value
            elif name == "data":
                event.data += value

    async def lines(self) -> AsyncIterator[bytes]:
        rest = b""
        async for piece in self._pieces():
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line + b"\n"
        if rest:
            yield rest

    async def _pieces(self) -> AsyncIterator[bytes]:
        if "content-length" in self.headers:
            yield await self._exactly(int(self.headers["content-length"]))
            return
        if self.headers.get("transfer-encoding") != "chunked":
            # The connection's end is the answer's: only a last event could say that it is a proper one.
            while piece := await self._reader.read(65536):
                yield piece
            return
        while size := int(await self._line(), 16):
            yield (await self._exactly(size + 2))[:-2]
        await self._line()

    async def _read_head(self, jar: Jar) -> None:
        self.status = int((await self._line()).split()[1])
        while line := (await self._line()).strip().decode():
            name, _, value = line.partition(":")
            if name.lower() == "set-cookie":
                jar.take(value)
            self.headers[name.lower()] = value.strip()

    async def _line(self) -> bytes:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise Cut("the connection ended")
        return line

    async def _exactly(self, count: int) -> bytes:
        try:
            return await self._reader.readexactly(count)
        except asyncio.IncompleteReadError as error:
            raise Cut("the connection ended") from error
