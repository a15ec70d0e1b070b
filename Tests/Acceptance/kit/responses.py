"""How programs ask for responses with the openai SDK, and the pool whose keys they use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
from openai.types.responses import Response

from kit.checks import Checks
from kit.model import INSTRUCTIONS, Ask, ModelServer, Reply
from kit.tool_server import ToolServer
from kit.worker import Worker, manifest

KEYS = {"backend": "sk-test-backend", "alice": "sk-test-alice", "bob": "sk-test-bob"}
AUTH = {"apiKeysSecretRef": {"name": "keys"}, "trustedKeys": ["backend"]}


@contextmanager
def booking_office(reply: Callable[[Ask], Reply]) -> Iterator[tuple[Worker, ModelServer]]:
    """A pool whose one agent has a desk of tools, and the model that answers for it."""
    model, tools = ModelServer(reply), ToolServer()
    agent = {"name": "assistant", "instructions": INSTRUCTIONS, "model": "chat", "tools": ["desk"]}
    servers = [{"name": "desk", "url": tools.url}]
    with Worker(manifest(model, {"keys": KEYS}, auth=AUTH, agents=[agent], mcpServers=servers)) as worker:
        yield worker, model
    tools.close()
    model.close()


def client_of(base_url: str, key: str = KEYS["alice"], retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=key, max_retries=retries, timeout=20)


def ask(sdk: openai.OpenAI, text: str, **more: Any) -> Response:
    response: Response = sdk.responses.create(model="assistant", input=text, **more)
    return response


def refused(
    checks: Checks, kind: type[openai.APIStatusError], what: str, request: Callable[..., object]
) -> openai.APIStatusError:
    try:
        request()
    except openai.APIStatusError as error:
        checks.holds(f"{what}: {kind.__name__}", type(error) is kind, f"{error.status_code}: {error.message}")
        return error
    checks.holds(f"{what}: {kind.__name__}", False, "no error")
    raise AssertionError
