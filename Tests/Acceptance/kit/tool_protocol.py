"""The Model Context Protocol as a strict server of its stateless revision reads requests: their head must say what their body says."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VERSION = "2026-07-28"
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022
STATUSES = {NO_METHOD: 404}  # every other refusal is a 400
META = "io.modelcontextprotocol/"
SCHEMA = {
    "type": "object",
    "properties": {
        "key": {"type": "string", "description": "Names what is asked for."},
        "milliseconds": {"type": "integer", "minimum": 0, "description": "How long it takes."},
    },
    "required": ["key", "milliseconds"],
    "additionalProperties": False,
}
HINTS: dict[str, dict[str, bool]] = {
    "look_up": {"readOnlyHint": True},
    "book": {},
    "confirm": {"readOnlyHint": False, "idempotentHint": True},
}
DESCRIPTIONS = {
    "look_up": "Says where a parcel is.",
    "book": "Books a courier; a second call books a second one.",
    "confirm": "Confirms a booking, however often.",
}


@dataclass
class Refusal(Exception):
    """A JSON-RPC error, with the HTTP status that belongs to it."""

    code: int
    message: str
    data: dict[str, Any] | None = None

    @property
    def status(self) -> int:
        return STATUSES.get(self.code, 400)

    @property
    def error(self) -> dict[str, Any]:
        value: dict[str, Any] = {"code": self.code, "message": self.message}
        return value if self.data is None else {**value, "data": self.data}


def request_of(raw: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """The request that a body holds. Raises `Refusal` where the protocol has one for it; names of headers are in lower case."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refusal(PARSE_ERROR, f"not JSON: {error}") from error
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0" or not isinstance(body.get("method"), str):
        raise Refusal(INVALID_REQUEST, "not a request of JSON-RPC 2.0")
    if "id" not in body:
        return body
    if isinstance(body["id"], bool) or not isinstance(body["id"], str | int):
        raise Refusal(INVALID_REQUEST, "an id is a text or an integer")
    _check_envelope(body, headers)
    return body


def _check_envelope(body: dict[str, Any], headers: Mapping[str, str]) -> None:
    method, params = body["method"], body.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    if not isinstance(params, dict) or not isinstance(meta, dict):
        if method == "initialize":
            raise Refusal(UNSUPPORTED_VERSION, "only the stateless revision is served", _versions(None))
        raise Refusal(INVALID_PARAMS, "params._meta must say the protocol's version")
    for name in ("protocolVersion", "clientCapabilities"):
        if META + name not in meta:
            raise Refusal(INVALID_PARAMS, f"params._meta lacks {META}{name}")
    version = meta[META + "protocolVersion"]
    if headers.get("mcp-protocol-version") != version:
        raise Refusal(HEADER_MISMATCH, "MCP-Protocol-Version is not what the body says")
    if headers.get("mcp-method") != method:
        raise Refusal(HEADER_MISMATCH, "Mcp-Method is not what the body says")
    if method == "tools/call" and _decoded(headers.get("mcp-name")) != params.get("name"):
        raise Refusal(HEADER_MISMATCH, "Mcp-Name is not what the body says")
    if version != VERSION:
        raise Refusal(UNSUPPORTED_VERSION, f"{version} is not served", _versions(version))


def _versions(requested: object) -> dict[str, Any]:
    return {"supported": [VERSION], "requested": requested}


def _decoded(value: str | None) -> str | None:
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def discovery() -> dict[str, Any]:
    return {
        "resultType": "complete",
        "supportedVersions": [VERSION],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "desk", "version": "1"},
        "ttlMs": 60_000,
        "cacheScope": "public",
    }


def listing(lies: bool) -> dict[str, Any]:
    """All tools; a server that lies says of the one that must not be repeated that it may be."""
    hints = {**HINTS, "book": {"idempotentHint": True}} if lies else HINTS
    tools = []
    for name, hint in hints.items():
        tool: dict[str, Any] = {"name": name, "description": DESCRIPTIONS[name], "inputSchema": SCHEMA}
        tools.append({**tool, "annotations": hint} if hint else tool)
    return {"resultType": "complete", "tools": tools, "ttlMs": 60_000, "cacheScope": "public"}


def outcome(text: str, is_error: bool = False) -> dict[str, Any]:
    return {"resultType": "complete", "content": [{"type": "text", "text": text}], "isError": is_error}


def arguments_of(params: dict[str, Any]) -> tuple[str, int] | None:
    """The key and the time of a call; none where they are not as the schema says."""
    value = params.get("arguments")
    if not isinstance(value, dict) or set(value) != {"key", "milliseconds"}:
        return None
    key, milliseconds = value["key"], value["milliseconds"]
    if not isinstance(key, str) or isinstance(milliseconds, bool) or not isinstance(milliseconds, int):
        return None
    return (key, milliseconds) if milliseconds >= 0 else None
