"""The tool server that all ask: the `mcp` SDK over streamable HTTP with one tool, and at `/calls` how often it was called."""

from __future__ import annotations

import logging
import sys

import uvicorn
from mcp.server.fastmcp import FastMCP
from starlette.requests import Request
from starlette.responses import PlainTextResponse

server = FastMCP("parcels")
calls = 0


@server.tool()
def look_up(parcel: str) -> str:
    """Says where a parcel is."""
    global calls
    calls += 1
    return f"Parcel {parcel} left Zurich this morning and arrives tomorrow before noon."


@server.custom_route("/calls", methods=["GET"])
async def count(_: Request) -> PlainTextResponse:
    return PlainTextResponse(str(calls))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    uvicorn.run(
        server.streamable_http_app(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        log_level="error",
        timeout_graceful_shutdown=1,
    )
