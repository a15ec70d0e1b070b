"""The worker as a process: its manifest, its start, and every way to end it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol, Self

from kit.model import DIMENSIONS, INSTRUCTIONS
from ports import free_port

ROOT = Path(__file__).resolve().parents[3]


def binary() -> str:
    """The program under test: AGENTPOOL, or this checkout's release build."""
    return os.environ.get("AGENTPOOL", str(ROOT / ".build" / "release" / "agentpool"))


class Endpoint(Protocol):
    """Where a model is served, by this process or another one."""

    url: str


def manifest(model: Endpoint, secrets: dict[str, dict[str, str]] | None = None, **spec: Any) -> str:
    """A pool that talks to the stand-in, with the given Secrets beside it. JSON documents, which YAML readers read."""
    pool = {
        "apiVersion": "agentpool.dev/v1alpha1",
        "kind": "AgentPool",
        "metadata": {"name": "acceptance"},
        "spec": {
            "models": [
                {"name": "chat", "provider": "openai", "baseURL": model.url, "model": "stand-in"},
                {
                    "name": "embed",
                    "provider": "openai",
                    "baseURL": model.url,
                    "model": "stand-in",
                    "dimensions": DIMENSIONS,
                },
            ],
            "agents": [{"name": "assistant", "instructions": INSTRUCTIONS, "model": "chat"}],
            "auth": {"mode": "None"},
            **spec,
            "memory": {"embeddingModel": "embed", **spec.get("memory", {})},
        },
    }
    documents: list[dict[str, Any]] = [pool]
    for name, values in (secrets or {}).items():
        documents.append(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
        )
    return "\n---\n".join(json.dumps(d, indent=1) for d in documents) + "\n"


class Worker:
    """One `agentpool run` on ports of its own; its data outlives its processes until `close`."""

    def __init__(self, manifest: str, program: str | None = None, *options: str) -> None:
        self.program = program or binary()
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="agentpool-acceptance-"))
        self.data = self.folder / "data"
        self.log = self.folder / "worker.log"
        self.file = self.folder / "pool.yaml"
        self.file.write_text(manifest)
        self.port = free_port()
        self.admin_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self.process is None:
            raise RuntimeError("the worker is not running")
        return self.process.pid

    def start(self) -> None:
        """Returns when the worker answers."""
        command = [self.program, "run", "-f", str(self.file), "--port", str(self.port)]
        command += ["--admin-port", str(self.admin_port), "--data", str(self.data), *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self._answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"the worker ended at its start:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the worker answered nothing in 20 s:\n{self.tail()}")
            time.sleep(0.005)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/v1/models")
            connection.getresponse().read()
            return True
        except OSError:
            return False
        finally:
            connection.close()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        """SIGKILL: nothing of the process runs afterwards."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None if it has not ended in time."""
        if self.process is None:
            return None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def anonymous_bytes(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no RssAnon in /proc")

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
