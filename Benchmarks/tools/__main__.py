"""Measures turns that call a tool: the worker beside loops on the OpenAI Agents SDK and on LangGraph, with the same model and tool server, in one run."""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import measures
import processes
import report
import stores
from measures import Load, Sample
from ports import free_port
from processes import BUILD, Server

HERE = Path(__file__).resolve().parent
PEERS = {"openai-agents": "agents_peer.py", "langgraph": "langgraph_peer.py"}
PACKAGES = (
    "openai-agents",
    "langgraph",
    "langchain",
    "langchain-mcp-adapters",
    "langchain-openai",
    "openai",
    "mcp",
)
TURNS = 10  # of a session; the worker archives it and asks for its summary once
REVISION = "2025-06-18"
ACCEPT = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"


def manifest(model: Server, tools: Server, redis: int | None) -> str:
    """JSON, which YAML readers read."""
    url = f"http://127.0.0.1:{model.port}/v1"
    memory: dict[str, Any] = {"buffer": {"rounds": 10}}
    if redis:
        memory["redis"] = {"addresses": [f"127.0.0.1:{redis}"]}
    spec = {
        "models": [{"name": "chat", "provider": "openai", "baseURL": url, "model": "stand-in"}],
        "mcpServers": [{"name": "parcels", "url": f"http://127.0.0.1:{tools.port}/mcp"}],
        "agents": [{"name": "assistant", "instructions": "Be brief.", "model": "chat", "tools": ["parcels"]}],
        "memory": memory,
        "auth": {"mode": "None"},
    }
    return json.dumps(
        {
            "apiVersion": "agentpool.dev/v1alpha1",
            "kind": "AgentPool",
            "metadata": {"name": "bench"},
            "spec": spec,
        }
    )


class Loop:
    """A peer: a process that talks in a loop of its own, so that no server's cost is in its figures."""

    def __init__(self, name: str, model: Server, tools: Server) -> None:
        url = f"http://127.0.0.1:{model.port}/v1", f"http://127.0.0.1:{tools.port}/mcp"
        with (BUILD / f"{name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / PEERS[name]), *url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.name = name
        self._read()

    def run(self, load: Load) -> Sample:
        assert self.process.stdin
        order = {"clients": load.connections, "turns": load.turns_each}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        sample: Sample = json.loads(self._read())
        return sample

    def _read(self) -> str:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            log = (BUILD / f"{self.name}.log").read_text()[-2000:]
            sys.exit(f"{self.name} ended:\n{log}")
        return line


@dataclass
class Subject:
    """Who is measured: its process, and how it is told to take turns in new sessions."""

    name: str
    server: Server
    talk: Callable[[Load, str], Sample]


@contextmanager
def loop(name: str, model: Server, tools: Server) -> Iterator[Subject]:
    peer = Loop(name, model, tools)
    try:
        yield Subject(name, Server(name, peer.process, 0), lambda load, _: peer.run(load))
    finally:
        peer.process.kill()
        peer.process.wait()


def worker(stack: ExitStack, name: str, model: Server, tools: Server, redis: int | None) -> Subject:
    server = processes.agentpool(stack, model, pool=manifest(model, tools, redis))
    return Subject(name, server, lambda load, prefix: measures.generate(server, load, prefix))


def redis_server(stack: ExitStack) -> int:
    """A Redis with an append-only file; its port."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-redis-")))
    port = free_port()
    process = stores.redis(folder / "redis", port)
    stack.callback(process.wait)
    stack.callback(process.kill)
    stores.wait_for(port, 20, "Redis", folder / "redis")
    return port


def start_all(stack: ExitStack, gap_microseconds: int) -> tuple[Server, Server, list[Subject]]:
    """The model, the tool server and, warm, all who talk to them."""
    model = processes.standin(stack, gap_microseconds)
    port = free_port()
    command = [sys.executable, str(HERE / "mcp_server.py"), str(port)]
    tools = stack.enter_context(processes.running("tools", command, port, BUILD / "tools.log"))
    subjects = [worker(stack, "AgentPool", model, tools, None)]
    if shutil.which("redis-server"):
        subjects.append(worker(stack, "AgentPool on Redis", model, tools, redis_server(stack)))
    subjects += [stack.enter_context(loop(name, model, tools)) for name in PEERS]
    for subject in subjects:
        subject.talk(Load(8, 5), "warm")
    return model, tools, subjects


def calls(tools: Server) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{tools.port}/calls", timeout=10) as answer:
        return int(answer.read())


def measure(subject: Subject, tools: Server, load: Load, sessions: int, prefix: str) -> Sample:
    """One round: `sessions` times the load, each turn with one call, and what the process took of the cores meanwhile."""
    called, cpu = calls(tools), subject.server.cpu_seconds()
    samples = [subject.talk(load, f"{prefix}-{number}") for number in range(sessions)]
    time.sleep(0.5)  # work that follows the last reply belongs to the turns too
    turns = sum(sample["turns"] for sample in samples)
    used = subject.server.cpu_seconds() - cpu
    if calls(tools) - called != turns:
        sys.exit(f"{subject.name}: {turns} turns made {calls(tools) - called} calls of the tool")
    figures: Sample = {"turns": turns, "cpu_ms": used * 1e3 / turns}
    for quantile in ("p50", "p99"):
        figures[quantile] = median(sample["turn_us"][quantile] for sample in samples) / 1e3
    return figures


def rounds(
    count: int, gap: int, loads: list[tuple[Load, int]]
) -> tuple[dict[str, list[Sample]], list[float]]:
    """Every load for each subject in each round, first forwards, then backwards; and what model and tools take by themselves."""
    found: dict[str, list[Sample]] = {}
    direct: list[float] = []
    with ExitStack() as stack:
        model, tools, subjects = start_all(stack, gap)
        for turn in range(count):
            direct.append(direct_turn(model, tools))
            for load, sessions in loads:
                for subject in subjects if turn % 2 == 0 else reversed(subjects):
                    prefix = f"gap-{gap}-at-once-{load.connections}-round-{turn}"
                    sample = measure(subject, tools, load, sessions, prefix)
                    found.setdefault(f"{subject.name}, {load.connections}", []).append(sample)
                    print(f"  round {turn + 1}: {subject.name}, {prefix}: {sample}", file=sys.stderr)
        for subject in subjects:
            sample = {"mib": subject.server.anonymous_bytes() / (1 << 20)}
            found.setdefault(f"{subject.name}, memory", []).append(sample)
    return found, direct


class Wire:
    """A keep-alive connection on which requests are sent as they stand."""

    def __init__(self, server: Server) -> None:
        self._host = f"127.0.0.1:{server.port}"
        self._socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, fields: str, body: dict[str, Any]) -> bytes:
        raw = json.dumps(body, separators=(",", ":"))
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\n{fields}Content-Length: {len(raw)}\r\n\r\n"
        self._socket.sendall((head + raw).encode())
        answer = b""
        while not (answer.endswith(b"\r\n0\r\n\r\n") or b"content-length: 0" in answer.lower()):
            received = self._socket.recv(1 << 16)
            if not received:
                sys.exit(f"the connection was closed after {answer!r}")
            answer += received
        return answer

    def close(self) -> None:
        self._socket.close()


def direct_turn(model: Server, tools: Server, times: int = 100) -> float:
    """Milliseconds that a turn's two requests to the model and its call of the tool take with nothing around them (median)."""
    chat, desk = Wire(model), Wire(tools)

    def rpc(method: str, params: dict[str, Any], fields: str, number: int | None = 1) -> bytes:
        body = {"jsonrpc": "2.0", "method": method, "params": params}
        return desk.post("/mcp", ACCEPT + fields, body if number is None else {**body, "id": number})

    client = {
        "protocolVersion": REVISION,
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    }
    head = rpc("initialize", client, "").lower()
    session = head.partition(b"mcp-session-id: ")[2].partition(b"\r\n")[0].decode()
    fields = f"Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: {REVISION}\r\n"
    rpc("notifications/initialized", {}, fields, None)
    user = {"role": "user", "content": "Which of the parcels is still on its way?"}
    ask = {
        "stream": True,
        "messages": [user],
        "tools": [{"type": "function", "function": {"name": "look_up"}}],
    }
    told = {**ask, "messages": [user, {"role": "tool", "tool_call_id": "call_1", "content": "It left."}]}
    took = []
    for number in range(times):
        begun = time.perf_counter()
        asked = chat.post("/v1/chat/completions", "", ask)
        called = rpc("tools/call", {"name": "look_up", "arguments": {"parcel": "4711"}}, fields, number + 2)
        answered = chat.post("/v1/chat/completions", "", told)
        took.append((time.perf_counter() - begun) * 1e3)
        if b"look_up" not in asked or b"left Zurich" not in called or b"word19" not in answered:
            sys.exit("model or tool server do not answer as they should")
    chat.close()
    desk.close()
    return median(took)


def spread(values: list[float], form: str) -> str:
    """The median, and the least and the most."""
    return f"{form} ({form} to {form})".format(median(values), min(values), max(values))


def row(
    label: str, found: dict[str, list[Sample]], names: list[str], load: str, read: Callable[[Sample], float]
) -> str:
    values = {name: [read(sample) for sample in found[f"{name}, {load}"]] for name in names}
    peers = [median(values[name]) for name in PEERS]
    cells = []
    for name in names:
        cell = spread(values[name], "{:.2f}") if len(values[name]) > 1 else f"{values[name][0]:.1f}"
        cells.append(cell)
    ratios = " / ".join(f"{median(values['AgentPool']) / peer:.3f}" for peer in peers)
    return f"| {label} | " + " | ".join(cells) + f" | {ratios} |"


def table(paced: dict[str, list[Sample]], swift: dict[str, list[Sample]], direct: list[float]) -> str:
    names = list(dict.fromkeys(key.rpartition(", ")[0] for key in paced))
    ones = sum(sample["turns"] for sample in paced["AgentPool, 1"])
    many = sum(sample["turns"] for sample in paced["AgentPool, 32"])
    own = median(direct)
    rows = [
        row(f"CPU time of a turn, one at a time (ms; {ones:,} turns)", paced, names, "1", lambda s: s["cpu_ms"]),
        row(f"CPU time of a turn, 32 at once (ms; {many:,} turns)", paced, names, "32", lambda s: s["cpu_ms"]),
        row(
            f"added to a turn, one at a time, words at once, p50 (ms; model and tool server by themselves {own:.2f})",
            swift, names, "1", lambda s: s["p50"] - own,
        ),
        row("the same, p99", swift, names, "1", lambda s: s["p99"] - own),
        row("a turn, 32 at once, p50 (ms)", paced, names, "32", lambda s: s["p50"]),
        row("memory afterwards (`RssAnon`, MiB)", paced, names, "memory", lambda s: s["mib"]),
    ]  # fmt: skip
    head = "| | " + " | ".join(names) + " | AgentPool : " + " / ".join(PEERS) + " |"
    return "\n".join([head, "| --- |" + " ---: |" * (len(names) + 1), *rows])


def main() -> None:
    options = argparse.ArgumentParser(prog="Benchmarks/run tools", description=__doc__)
    options.add_argument("--quick", action="store_true", help="a smoke run; its figures mean nothing")
    chosen = options.parse_args()
    processes.compile_tools()
    count = 1 if chosen.quick else 5
    sessions = 1 if chosen.quick else 4
    # Words 5 ms apart, as a model sends them; then at once, for what is added to a turn.
    loads = [(Load(1, TURNS), sessions), (Load(32, 2 if chosen.quick else TURNS), 1)]
    paced, _ = rounds(count, 5_000, loads)
    swift, direct = rounds(count, 0, [(Load(1, TURNS), sessions)])
    for key, value in report.machine().items():
        if key != "swift":
            print(f"- {key}: {value}")
    print(f"- peers: {report.versions(*PACKAGES)}\n")
    print(table(paced, swift, direct))


if __name__ == "__main__":
    main()
