"""Builds and starts what is measured (AgentPool, the peer, the stand-in model) and reads what the kernel knows of it."""

from __future__ import annotations

import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ports import free_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / ".build" / "bench"
TICKS = os.sysconf("SC_CLK_TCK")

MANIFEST = """\
apiVersion: agentpool.dev/v1alpha1
kind: AgentPool
metadata: {{name: bench}}
spec:
  models:
    - {{name: chat, provider: openai, baseURL: {url}, model: stand-in}}
  agents:
    - {{name: assistant, instructions: Be brief., model: chat}}
  memory: {{buffer: {{rounds: 10}}}}
  auth: {{mode: None}}
"""


def compile_tools() -> None:
    """Compiles the C programs that are older than their source."""
    BUILD.mkdir(parents=True, exist_ok=True)
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        sys.exit("Benchmarks need a C compiler: install gcc or clang")
    for name, flags in {
        "standin": ["-lm"],
        "loadgen": [],
        "malloc_count.so": ["-shared", "-fPIC"],
    }.items():
        source, target = HERE / (name.removesuffix(".so") + ".c"), BUILD / name
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            subprocess.check_call([compiler, "-O2", "-Wall", "-o", target, source, *flags])


@dataclass
class Server:
    """A running process under measurement."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    counts: Path | None = None

    def cpu_seconds(self) -> float:
        """User and system time of all threads, in steps of a clock tick (10 ms)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def anonymous_bytes(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no RssAnon in /proc")

    def allocated(self) -> tuple[int, int]:
        """Bytes and calls that the process has asked its allocator for so far."""
        if self.counts is None:
            raise RuntimeError(f"{self.name} runs without the counting allocator")
        bytes_, calls = struct.unpack("<QQ", self.counts.read_bytes())
        return bytes_, calls


def _raise_file_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def running(
    name: str, command: list[str], port: int, log: Path, environment: dict[str, str] | None = None
) -> Iterator[Server]:
    """Starts a server, waits until it accepts connections, and ends it afterwards."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            env=os.environ | (environment or {}),
            preexec_fn=_raise_file_limit,
        )
    try:
        _wait_until_it_answers(name, process, port, log)
        yield Server(name, process, port)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{name} ended at its start:\n{log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=1).read()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{name} answered nothing in 20 s:\n{log.read_text()[-2000:]}")


def standin(stack: ExitStack, gap_microseconds: int) -> Server:
    port = free_port()
    command = [str(BUILD / "standin"), str(port), str(gap_microseconds)]
    return stack.enter_context(running("model", command, port, BUILD / "standin.log"))


def agentpool(
    stack: ExitStack, model: Server, count_allocations: bool = False, pool: str | None = None
) -> Server:
    """The worker, with its memory on and its stores in a new folder, or as the manifest of another pool says."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-agentpool-")))
    manifest = folder / "pool.yaml"
    manifest.write_text(pool or MANIFEST.format(url=f"http://127.0.0.1:{model.port}/v1"))
    binary = os.environ.get("AGENTPOOL", str(ROOT / ".build" / "release" / "agentpool"))
    port = free_port()
    command = [binary, "run", "-f", str(manifest), "--port", str(port)]
    command += ["--admin-port", str(free_port()), "--data", str(folder / "data")]
    return _start(stack, "agentpool", command, port, folder, {}, count_allocations)


def peer(stack: ExitStack, model: Server, count_allocations: bool = False) -> Server:
    """One uvicorn process with uvloop and httptools, as a container of one process runs it."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-peer-")))
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "peer:app", "--app-dir", str(HERE), "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    environment = {
        "PEER_MODEL_URL": f"http://127.0.0.1:{model.port}/v1",
        "PEER_DATABASE": str(folder / "peer.sqlite"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return _start(stack, "fastapi", command, port, folder, environment, count_allocations)


def _start(
    stack: ExitStack,
    name: str,
    command: list[str],
    port: int,
    folder: Path,
    environment: dict[str, str],
    count_allocations: bool,
) -> Server:
    counts = folder / "malloc-counts"
    if count_allocations:
        environment |= {
            "LD_PRELOAD": str(BUILD / "malloc_count.so"),
            "MALLOC_COUNT_FILE": str(counts),
            "PYTHONMALLOC": "malloc",
        }
    server = stack.enter_context(running(name, command, port, BUILD / f"{name}.log", environment))
    server.counts = counts if count_allocations else None
    return server
