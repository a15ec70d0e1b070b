"""Measures the controller beside an operator of equal output on kopf (`peer.py`), in one run on one stand-in for an API server each."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
import report
import yaml
from kit.cluster import POOLS, Cluster
from kit.worker import binary
from ports import free_port

HERE = Path(__file__).resolve().parent
SPEC = {
    "agents": [{"name": "assistant", "instructions": "Help."}],
    "auth": {"mode": "None"},
    "memory": {"redis": {"addresses": ["redis.data:6379"]}, "milvus": {"address": "http://milvus.data:19530"}},
    "autoscaling": {"minReplicas": 2, "maxReplicas": 10, "targetCPU": "700m"},
    "ingress": {"host": "bench.example.com"},
}
LIMIT = 900


@dataclass
class Memory:
    """In MiB."""

    resident: float
    anonymous: float


@dataclass
class Figures:
    seconds: float
    reconciles: float | None
    writes: float
    cpu_ms: float
    edits: float
    memory: Memory
    idle: float | None


class Subject:
    """A running operator and what it has used."""

    def __init__(self, name: str, workers: int, cluster: Cluster, folder: Path) -> None:
        self.name = name
        self.port = free_port()
        config = cluster.kubeconfig("user-1")
        if name == "kopf":
            template = folder / "children.json"
            template.write_text(json.dumps(children(folder)))
            command = [
                str(Path(sys.executable).with_name("kopf")), "run", "--standalone", "--all-namespaces", "--quiet",
                "--liveness", f"http://127.0.0.1:{self.port}/healthz", str(HERE / "peer.py"),
            ]
            more = {"TEMPLATE": str(template)}
        else:
            command = [
                binary(), "controller", "--kubeconfig", str(config), "--workers", str(workers),
                "--leader-election-namespace", cluster.namespace, "--metrics-host", "127.0.0.1",
                "--metrics-port", str(self.port), "--kube-api-qps", "100000", "--kube-api-burst", "100000",
                "--log-level", "error",
            ]
            more = {}
        self.process = subprocess.Popen(
            command, env=os.environ | more | {"KUBECONFIG": str(config)},
            stdout=(folder / "log").open("wb"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{name} does not come up: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def is_ready(self) -> bool:
        try:
            if self.name == "kopf":
                return bool(self.get("/healthz"))
            return 'leader_election_master_status{name="agentpool-controller"} 1' in self.metrics()
        except OSError:
            return False

    def get(self, path: str) -> bytes:
        body: bytes = urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10).read()
        return body

    def metrics(self) -> str:
        return self.get("/metrics").decode()

    def reconciles(self) -> float | None:
        """Looks at a pool so far; the peer counts none."""
        if self.name == "kopf":
            return None
        lines = [line for line in self.metrics().splitlines() if line.startswith("controller_runtime_reconcile_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / processes.TICKS

    def memory(self) -> Memory:
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines())
        return Memory(*(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def pool(name: str) -> dict[str, Any]:
    return {"apiVersion": "agentpool.dev/v1alpha1", "kind": "AgentPool", "metadata": {"name": name}, "spec": SPEC}


def children(folder: Path) -> list[dict[str, Any]]:
    """What the controller applies for a pool called `placeholder`."""
    manifest = folder / "placeholder.yaml"
    manifest.write_text(yaml.safe_dump(pool("placeholder")))
    text = subprocess.check_output([binary(), "render", "-f", str(manifest), "--features", ""], text=True)
    return [document for document in yaml.safe_load_all(text) if document]


def measure(name: str, workers: int, pools: int) -> Figures:
    with tempfile.TemporaryDirectory() as place, Cluster() as cluster:
        subject = Subject(name, workers, cluster, Path(place))
        try:
            names = [f"bench-{number:05}" for number in range(pools)]
            writes = len(cluster.writes())
            cpu, begun = subject.cpu_seconds(), time.monotonic()
            with ThreadPoolExecutor(4) as threads:
                list(threads.map(lambda name: cluster.call("POST", cluster.path(POOLS), pool(name)), names))
            wait(f"{name}: {pools} pools", lambda: are_done(cluster, pools))
            seconds = time.monotonic() - begun
            looks = subject.reconciles()
            time.sleep(5)  # what is written behind
            used = subject.cpu_seconds() - cpu
            written = [w for w in cluster.writes()[writes:] if w.user == "user-1" and "/leases" not in w.path]
            memory = subject.memory()

            begun = time.monotonic()
            edit = {"spec": {"autoscaling": {"scaleDownWindow": "7m"}}}
            with ThreadPoolExecutor(4) as threads:
                list(threads.map(lambda name: cluster.merge(POOLS, name, edit), names))
            wait(f"{name}: an edit of each", lambda: are_done(cluster, pools))
            edits = pools / (time.monotonic() - begun)
            idle = None
            if looks is not None:
                subject.stop()
                subject = Subject(name, workers, cluster, Path(place))
                # Some are over before the new process is seen to lead.
                begun, before = time.monotonic(), subject.reconciles() or 0
                while (subject.reconciles() or 0) < pools:
                    time.sleep(0.02)
                idle = (pools - before) / (time.monotonic() - begun)
            return Figures(seconds, looks and looks / seconds, len(written) / pools, used * 1000 / pools, edits, memory, idle)
        finally:
            subject.stop()


def are_done(cluster: Cluster, pools: int) -> bool:
    found = cluster.list(POOLS)
    return sum(p.get("status", {}).get("observedGeneration") == p["metadata"]["generation"] for p in found) == pools


def wait(what: str, condition: Any) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not done after {LIMIT} s")
        time.sleep(0.5)


def main() -> None:
    options = argparse.ArgumentParser(prog="Benchmarks/run operator", description=__doc__)
    options.add_argument("--quick", action="store_true", help="a smoke run; its figures mean nothing")
    options.add_argument("--pools", type=int, default=1000)
    options.add_argument("--many", type=int, default=5000, help="pools for the second figure of memory; 0: none")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    pools = 20 if chosen.quick else chosen.pools
    for key, value in report.machine().items():
        print(f"- {key}: {value}")
    print(f"- peer: {report.versions('kopf', 'aiohttp')}\n", flush=True)
    rows = {
        "AgentPool, 1 worker": measure("agentpool", 1, pools),
        "AgentPool, 4 workers": measure("agentpool", 4, pools),
        "kopf": measure("kopf", 0, pools),
    }
    print(f"| {pools:,} pools created at once | " + " | ".join(rows) + " |")
    print("| --- |" + " ---: |" * len(rows))
    for label, figure in {
        "until each has its children and status (s)": lambda f: f"{f.seconds:.1f}",
        "looks at a pool a second meanwhile": lambda f: "" if f.reconciles is None else f"{f.reconciles:.0f}",
        "writes to the API server a pool": lambda f: f"{f.writes:.2f}",
        "CPU time a pool (ms)": lambda f: f"{f.cpu_ms:.1f}",
        "edits carried out a second, each of one child": lambda f: f"{f.edits:.0f}",
        "looks a second after a restart, with nothing to do": lambda f: "" if f.idle is None else f"{f.idle:.0f}",
        f"resident memory at {pools:,} pools (MiB)": lambda f: f"{f.memory.resident:.1f}",
        "of it not pages of files, such as the program's own (MiB)": lambda f: f"{f.memory.anonymous:.1f}",
    }.items():
        print(f"| {label} | " + " | ".join(figure(f) for f in rows.values()) + " |", flush=True)
    if chosen.many and not chosen.quick:
        for name in ("agentpool", "kopf"):
            memory = measure(name, 4, chosen.many).memory
            print(
                f"- {name}, {chosen.many:,} pools: {memory.resident:.1f} MiB resident, {memory.anonymous:.1f} of it not pages of files",
                flush=True)


if __name__ == "__main__":
    main()
