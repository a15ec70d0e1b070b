"""The peer: what a competent user of FastAPI, uvicorn and httpx writes for the same chat surface with session memory in SQLite."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiosqlite
import httpx
from fastapi import FastAPI, Header, HTTPException, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

MODEL_URL = os.environ["PEER_MODEL_URL"]
DATABASE = os.environ["PEER_DATABASE"]
RECENT_TURNS = 15  # the mean of what a prompt of AgentPool carries at ten rounds (ten to twenty)
WARM_SESSIONS = 4096
SSE_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class ChatMessage(BaseModel):
    role: str
    content: str


class ChatRequest(BaseModel):
    model: str
    messages: list[ChatMessage]
    stream: bool = False


@dataclass
class Session:
    """A warm session: the turns that go into the prompt, and the lock that keeps its turns in order."""

    turns: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=RECENT_TURNS))
    count: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Turn:
    id: str
    session_id: str
    user: str
    reply: str = ""
    ending: str = "complete"


class Memory:
    """Sessions on one SQLite file in WAL mode, with the recently used ones kept in the process."""

    def __init__(self, database: aiosqlite.Connection) -> None:
        self.database = database
        self.warm: OrderedDict[str, Session] = OrderedDict()

    @classmethod
    async def open(cls, path: str) -> Memory:
        database = await aiosqlite.connect(path, isolation_level=None)
        await database.execute("PRAGMA journal_mode=WAL")
        await database.execute("PRAGMA synchronous=FULL")
        await database.execute(
            "CREATE TABLE IF NOT EXISTS turns (session TEXT, seq INTEGER, id TEXT, user TEXT, reply TEXT,"
            " ending TEXT, created REAL, PRIMARY KEY (session, seq), UNIQUE (session, id)) WITHOUT ROWID"
        )
        return cls(database)

    async def session(self, session_id: str) -> tuple[Session, str]:
        known = self.warm.get(session_id)
        if known:
            self.warm.move_to_end(session_id)
            return known, "l1"
        session = self.warm[session_id] = Session()
        if len(self.warm) > WARM_SESSIONS:
            self.warm.popitem(last=False)
        async with session.lock:
            rows = await self.database.execute_fetchall(
                "SELECT user, reply, seq FROM turns WHERE session = ? ORDER BY seq DESC LIMIT ?",
                (session_id, RECENT_TURNS),
            )
            for user, reply, seq in reversed(list(rows)):
                session.turns.append((user, reply))
                session.count = seq
        return session, "l2" if session.count else "new"

    async def known_reply(self, turn: Turn) -> str | None:
        cursor = await self.database.execute(
            "SELECT reply FROM turns WHERE session = ? AND id = ?", (turn.session_id, turn.id)
        )
        row = await cursor.fetchone()
        return row[0] if row else None

    async def commit(self, session: Session, turn: Turn) -> None:
        await self.database.execute(
            "INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?)",
            (turn.session_id, session.count + 1, turn.id, turn.user, turn.reply, turn.ending, time.time()),
        )
        session.count += 1
        session.turns.append((turn.user, turn.reply))


class State:
    memory: Memory
    client: httpx.AsyncClient


state = State()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    state.memory = await Memory.open(DATABASE)
    limits = httpx.Limits(max_connections=1024, max_keepalive_connections=256)
    async with httpx.AsyncClient(base_url=MODEL_URL, limits=limits, timeout=60) as client:
        state.client = client
        yield
    await state.memory.database.close()


app = FastAPI(lifespan=lifespan)


def prompt(session: Session, request: ChatRequest) -> dict[str, object]:
    messages = [{"role": "system", "content": "Be brief."}]
    for user, reply in session.turns:
        messages.append({"role": "user", "content": user})
        messages.append({"role": "assistant", "content": reply})
    messages.extend(m.model_dump() for m in request.messages)
    body: dict[str, object] = {"model": "stand-in", "messages": messages, "stream": request.stream}
    if request.stream:
        body["stream_options"] = {"include_usage": True}
    return body


async def stream(request: ChatRequest, session: Session, turn: Turn) -> AsyncIterator[str]:
    """Passes the model's chunks on as they come; the turn is committed before `[DONE]`."""
    parts: list[str] = []
    async with session.lock:
        body = prompt(session, request)
        async with state.client.stream("POST", "/chat/completions", json=body) as upstream:
            async for line in upstream.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                chunk = json.loads(line[6:])
                if chunk["choices"]:
                    parts.append(chunk["choices"][0]["delta"].get("content") or "")
                yield line + "\n\n"
        turn.reply = "".join(parts)
        await state.memory.commit(session, turn)
    yield "data: [DONE]\n\n"


async def whole(request: ChatRequest, session: Session, turn: Turn) -> dict[str, object]:
    async with session.lock:
        answer = await state.client.post("/chat/completions", json=prompt(session, request))
        answer.raise_for_status()
        completion: dict[str, Any] = answer.json()
        turn.reply = completion["choices"][0]["message"]["content"]
        await state.memory.commit(session, turn)
    return completion


@app.post("/v1/chat/completions")
async def chat(
    request: ChatRequest,
    x_session_id: str | None = Header(None),
    x_agentpool_user: str = Header("anonymous"),
    idempotency_key: str | None = Header(None),
) -> Response:
    if request.model != "assistant":
        raise HTTPException(404, f"no model {request.model}")
    session_id = f"{x_agentpool_user}/{x_session_id or uuid.uuid4().hex}"
    session, tier = await state.memory.session(session_id)
    turn = Turn(idempotency_key or f"turn-{uuid.uuid4().hex}", session_id, request.messages[-1].content)
    headers = {"X-Session-Id": x_session_id or session_id, "X-Memory-Tier": tier, "X-Turn-Id": turn.id}
    if idempotency_key and (reply := await state.memory.known_reply(turn)) is not None:
        return JSONResponse({"choices": [{"index": 0, "message": {"role": "assistant", "content": reply}}]})
    if request.stream:
        return StreamingResponse(
            stream(request, session, turn), media_type="text/event-stream", headers=headers | SSE_HEADERS
        )
    return JSONResponse(await whole(request, session, turn), headers=headers)


@app.get("/v1/models")
async def models() -> dict[str, object]:
    return {"object": "list", "data": [{"id": "assistant", "object": "model"}]}


@app.get("/v1/sessions/{session_id}/events")
async def events(session_id: str) -> StreamingResponse:
    async def wait() -> AsyncIterator[str]:
        yield "retry: 3000\n\n"
        while True:
            await asyncio.sleep(15)
            yield ":\n\n"

    return StreamingResponse(wait(), media_type="text/event-stream", headers=SSE_HEADERS)
