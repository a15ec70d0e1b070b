"""Starts the stores that a measurement asks for, as the tests start them, and reads Redis's own counters."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stores
from embeddings import DIMENSIONS
from pool import Embeddings
from ports import free_port
from processes import ROOT, running
from redis import Redis

INSTALLED = ROOT / ".build" / "stores"
LITE = INSTALLED / "lite" / "bin" / "milvus-lite"
STANDALONE = INSTALLED / "standalone" / "bin" / "milvus"
SUPERVISOR = ROOT / "Tests" / "MilvusTests" / "Servers" / "supervise.py"


@dataclass(frozen=True)
class MilvusServer:
    name: str
    port: int


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="agentpool-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ended(stack: ExitStack, process: subprocess.Popen[bytes]) -> None:
    def end() -> None:
        process.kill()
        process.wait()

    stack.callback(end)


def standalone_redis(stack: ExitStack) -> int:
    """A Redis of its own, with an append-only file; its port."""
    folder = stack.enter_context(_folder())
    port = free_port()
    _ended(stack, stores.redis(folder, port))
    stores.wait_for(port, 20, "Redis", folder)
    return port


def redis_cluster(stack: ExitStack) -> list[int]:
    """Three masters with a replica each; the ports of all six."""
    folder = stack.enter_context(_folder())
    processes: list[subprocess.Popen[bytes]] = []
    try:
        stores.cluster(folder, processes)
    finally:
        for process in processes:
            _ended(stack, process)
    return sorted(int(child.name) for child in folder.iterdir() if child.name.isdigit())


def milvus_lite(stack: ExitStack, program: Path) -> MilvusServer:
    folder = stack.enter_context(_folder())
    port = free_port()
    command = [str(program), "server", "--host", "127.0.0.1", "--port", str(port)]
    _ended(stack, stores.start([*command, "--data-dir", str(folder / "data")], folder))
    stores.wait_for(port, 60, "milvus-lite", folder)
    return MilvusServer("milvus-lite", port)


def milvus_standalone(stack: ExitStack, program: Path) -> MilvusServer:
    """The genuine server, shut in: it ends when its supervisor's input does."""
    folder = stack.enter_context(_folder())
    port = free_port()
    supervisor = subprocess.Popen(
        [sys.executable, str(SUPERVISOR), "standalone", str(program), str(port), str(folder / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # of connections that its end cuts
    )

    def end() -> None:
        supervisor.communicate(timeout=30)

    stack.callback(end)
    if supervisor.stdin is None or supervisor.stdout is None:
        raise RuntimeError("the supervisor has no pipes")
    supervisor.stdin.write(b"start\n")
    supervisor.stdin.flush()
    supervisor.stdout.readline()
    return MilvusServer("Milvus 2.3.5", port)


def model(stack: ExitStack, gap_microseconds: int = 0) -> str:
    """The stand-in of the other benchmarks; its URL."""
    port = free_port()
    build = ROOT / ".build" / "bench"
    command = [str(build / "standin"), str(port), str(gap_microseconds)]
    stack.enter_context(running("model", command, port, build / "standin.log"))
    return f"http://127.0.0.1:{port}/v1"


@dataclass
class Counters:
    """Sums over nodes, since their start."""

    commands: int = 0  # those inside scripts too
    received: int = 0  # from clients
    sent: int = 0  # to clients
    replicated: int = 0  # between masters and replicas, both ends

    def minus(self, earlier: Counters) -> Counters:
        return Counters(
            self.commands - earlier.commands,
            self.received - earlier.received,
            self.sent - earlier.sent,
            self.replicated - earlier.replicated,
        )


class Nodes:
    """The nodes of a store, by a connection each that stays open."""

    def __init__(self, ports: list[int]) -> None:
        self.connections = [Redis(host="127.0.0.1", port=port) for port in ports]

    def counters(self) -> Counters:
        total = Counters()
        for connection in self.connections:
            info: Any = connection.info("stats")
            inward, outward = info["total_net_repl_input_bytes"], info["total_net_repl_output_bytes"]
            # A replica's own traffic is replication but for what we ask it.
            total.commands += 0 if self._is_replica(connection) else info["total_commands_processed"]
            total.received += info["total_net_input_bytes"] - inward
            total.sent += info["total_net_output_bytes"] - outward
            total.replicated += inward + outward
        return total

    @staticmethod
    def _is_replica(connection: Redis) -> bool:
        role: Any = connection.role()
        return bool(role[0] == b"slave")


def embeddings(stack: ExitStack, kind: str, delay_milliseconds: float = 0) -> Embeddings:
    """An embedding server in a process of its own."""
    port = free_port()
    program = Path(__file__).with_name("embeddings.py")
    command = [sys.executable, str(program), str(port), kind, f"{delay_milliseconds}"]
    log = ROOT / ".build" / "bench" / "embeddings.log"
    # Threads that wait for each other by spinning would take the workers' cores.
    stack.enter_context(running("embeddings", command, port, log, {"OPENBLAS_NUM_THREADS": "1"}))
    return Embeddings(f"http://127.0.0.1:{port}/v1", f"{kind}-stand-in", DIMENSIONS[kind])
