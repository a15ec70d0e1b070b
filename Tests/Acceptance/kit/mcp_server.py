"""A real tool server: PyPI's `mcp` SDK over streamable HTTP, speaking both eras of the protocol or held to one of them.

    python -m kit.mcp_server PORT [--era both|modern|older] [--json] [--stateless] [--resumable]

Prints its port (0 picks one) once it listens. The endpoint is /mcp; GET /ledger tells how often each tool was carried out, and in
which revision. Ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import socket
import sys
import threading
from collections import Counter
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.types import AudioContent, EmbeddedResource, ImageContent, ResourceLink, TextContent, TextResourceContents, ToolAnnotations
from pydantic import BaseModel

MODERN = "2026-07-28"
PIXEL = base64.b64encode(bytes(range(70))).decode()

executions: Counter[str] = Counter()
revisions: Counter[str] = Counter()
server = MCPServer("parcel-office", version="1", instructions="Tools of a parcel office.")


class Parcel(BaseModel):
    """Where a parcel is."""

    number: str
    city: str
    weight: float


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def find_parcel(number: str) -> Parcel:
    """Says where a parcel is."""
    executions["find_parcel"] += 1
    return Parcel(number=number, city="Zürich", weight=2.5)


@server.tool(annotations=ToolAnnotations(read_only_hint=False, idempotent_hint=False))
def send_parcel(city: str) -> str:
    """Sends a parcel. Each call sends another."""
    executions["send_parcel"] += 1
    return f"parcel {executions['send_parcel']} is on its way to {city}"


@server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
def photograph(number: str) -> list[TextContent | ImageContent | AudioContent | EmbeddedResource | ResourceLink]:
    """Shows a parcel, in every type of content that there is."""
    executions["photograph"] += 1
    return [
        TextContent(type="text", text=f"Parcel {number}:"),
        ImageContent(type="image", data=PIXEL, mime_type="image/png"),
        AudioContent(type="audio", data=PIXEL, mime_type="audio/wav"),
        EmbeddedResource(type="resource", resource=TextResourceContents(uri="parcel://note", mime_type="text/plain", text="Fragile.")),
        ResourceLink(type="resource_link", uri="parcel://label", name="label", mime_type="application/pdf"),
    ]


@server.tool(annotations=ToolAnnotations(idempotent_hint=True))
async def weigh(seconds: float, steps: int, ctx: Context[Any, Any]) -> str:
    """Weighs a parcel slowly, and says how far it is."""
    executions["weigh begun"] += 1
    try:
        for step in range(steps):
            await ctx.report_progress(step, steps, f"step {step} of {steps}")
            await asyncio.sleep(seconds / max(1, steps))
    except asyncio.CancelledError:
        executions["weigh cancelled"] += 1
        raise
    executions["weigh"] += 1
    return "2.5 kg"


@server.tool()
async def weigh_apart(seconds: float, ctx: Context[Any, Any]) -> str:
    """Weighs a parcel and hangs up meanwhile: the answer is to be had by whoever comes back (the older era, --resumable)."""
    executions["weigh_apart"] += 1
    await ctx.close_sse_stream()
    await asyncio.sleep(seconds)
    return "3.5 kg"


@server.tool()
def lose_parcel(number: str) -> str:
    """Always fails."""
    executions["lose_parcel"] += 1
    raise ValueError(f"parcel {number} is lost")


class Events(EventStore):
    """All events, so that a stream can be taken up again after any of them."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self.events.append((stream_id, message))
        return str(len(self.events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        place = int(last_event_id)
        if not 0 < place <= len(self.events):
            return None
        stream = self.events[place - 1][0]
        for number, (stream_id, message) in enumerate(self.events[place:], place + 1):
            if stream_id == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


class Era:
    """Holds the app to an era, counts the revisions, and answers /ledger."""

    def __init__(self, app: Any, era: str) -> None:
        self.app = app
        self.era = era

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == "/ledger":
            await self.answer(send, 200, {"executions": executions, "revisions": revisions})
        else:
            revision = dict(scope["headers"]).get(b"mcp-protocol-version", b"none").decode("latin-1")
            revisions[revision] += 1
            if self.era == "older" and revision == MODERN:
                # In the words of version 1 of the SDK.
                error = {"code": -32600, "message": f"Bad Request: Unsupported protocol version: {revision}"}
                await self.answer(send, 400, {"jsonrpc": "2.0", "id": "server-error", "error": error})
            elif self.era == "modern" and revision != MODERN:
                error = {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": [MODERN], "requested": revision}}
                await self.answer(send, 400, {"jsonrpc": "2.0", "id": None, "error": error})
            else:
                await self.app(scope, receive, send)

    async def answer(self, send: Any, status: int, value: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(value).encode()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--era", choices=["both", "modern", "older"], default="both")
    parser.add_argument("--json", action="store_true", help="answer with JSON in place of event streams")
    parser.add_argument("--stateless", action="store_true", help="keep no sessions for the older era")
    parser.add_argument("--resumable", action="store_true", help="keep the older era's streams for those who come back")
    options = parser.parse_args()
    http = server.streamable_http_app(
        json_response=options.json,
        stateless_http=options.stateless,
        event_store=Events() if options.resumable else None,
        retry_interval=200 if options.resumable else None,
    )
    app = Era(http, options.era)
    listener = socket.create_server(("127.0.0.1", options.port))
    serving = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))

    def end_with_input() -> None:
        sys.stdin.read()
        serving.should_exit = True

    threading.Thread(target=end_with_input, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    serving.run(sockets=[listener])


if __name__ == "__main__":
    main()
