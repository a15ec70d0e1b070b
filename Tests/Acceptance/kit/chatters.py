"""Clients of the chat API that don't know of turns: the openai SDK and curl, each streaming."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import openai

from kit.spoken import Spoken
from kit.stores import HOST


class Answer(Protocol):
    """What the SDK's transport shows of an answer."""

    status_code: int
    headers: Mapping[str, str]


class SDK:
    """The openai SDK with its own retries; every answer that it gets is noted, also those that it tries again after."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port, self._headers = port, headers
        self._spoken: Spoken | None = None
        self._client: openai.AsyncOpenAI | None = None

    def _opened(self) -> openai.AsyncOpenAI:
        async def answered(answer: Answer) -> None:
            if self._spoken is not None:
                self._spoken.answered(answer.status_code, dict(answer.headers))
                self._spoken.turn_id = answer.headers.get("x-turn-id", "")

        return openai.AsyncOpenAI(
            base_url=f"http://{HOST}:{self._port}/v1",
            api_key="none",
            timeout=600,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [answered]}),
        )

    async def say(self, spoken: Spoken) -> None:
        self._spoken = spoken
        self._client = self._client or self._opened()
        try:
            stream = await self._client.chat.completions.create(
                model="assistant",
                messages=[{"role": "user", "content": spoken.recital.prompt}],
                stream=True,
                extra_headers=self._headers,
            )
            async for chunk in stream:
                for choice in chunk.choices:
                    if choice.delta.content:
                        spoken.add(choice.delta.content)
                    spoken.whole |= choice.finish_reason == "stop"
            spoken.cuts += not spoken.whole
        except openai.APIStatusError as error:
            spoken.errors.append(f"{type(error).__name__}: {error}")
        except Exception as error:  # the SDK lets some of its transport's own exceptions through
            spoken.cuts += 1
            spoken.errors.append(f"{type(error).__name__}: {error}")
            spoken.whole = False


class Curl:
    """curl, a process for each turn; its cookies stay."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port, self._headers = port, headers
        self._cookies: dict[str, str] = {}

    async def say(self, spoken: Spoken) -> None:
        body = {
            "model": "assistant",
            "stream": True,
            "messages": [{"role": "user", "content": spoken.recital.prompt}],
        }
        with tempfile.NamedTemporaryFile("w+", prefix="agentpool-jar-") as jar:
            # curl reads and writes the cookies of its session in a file.
            for name, value in self._cookies.items():
                jar.write(f"{HOST}\tFALSE\t/\tFALSE\t0\t{name}\t{value}\n")
            jar.flush()
            command = ["curl", "-sS", "-N", "-i", "-b", jar.name, "-c", jar.name]
            for header, value in {**self._headers, "Content-Type": "application/json"}.items():
                command += ["-H", f"{header}: {value}"]
            command += ["-d", json.dumps(body), f"http://{HOST}:{self._port}/v1/chat/completions"]
            await _read_curl(spoken, command)
            for line in Path(jar.name).read_text().splitlines():
                if len(parts := line.split("\t")) == 7:
                    self._cookies[parts[5]] = parts[6]


async def _read_curl(spoken: Spoken, command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 20
    )
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("curl without its pipes")
    try:
        status, headers = 0, dict[str, str]()
        async for raw in process.stdout:
            line = raw.decode().strip()
            if line.startswith("HTTP/1.1 "):
                status = int(line.split()[1])
            elif line == "" and status and not spoken.statuses:
                spoken.answered(status, headers)
                spoken.turn_id = headers.get("x-turn-id", "")
            elif not spoken.statuses:
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            elif line == "data: [DONE]":
                spoken.whole = True
            elif line.startswith("data: "):
                _take_chunk(spoken, json.loads(line[6:]))
        code = await process.wait()
        if code != 0 or spoken.errors or not spoken.whole:
            # A whole refusal is no cut reply: it says so with its status.
            spoken.cuts += status in (0, 200) and (bool(spoken.text) or code != 0)
            said = (await process.stderr.read()).decode().strip()
            spoken.errors.append(f"curl: {status}, exit code {code} {said}")
            spoken.whole = False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _take_chunk(spoken: Spoken, chunk: dict[str, object]) -> None:
    if "error" in chunk:
        spoken.errors.append(str(chunk["error"]))
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if text := choice["delta"].get("content"):
            spoken.add(text)
