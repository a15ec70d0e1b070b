"""`agentpool controller` as a process, the pools that a user changes meanwhile, and what must be there in the end."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml
from kit.cluster import KINDS, LEASES, MANAGED, POOLS, Cluster, Object, Refused
from kit.worker import binary
from ports import free_port

IMAGE = "registry.example/agentpool:1"
LEASE = "agentpool-controller"


class Controller:
    """One process; its log says what it planned and which steps it began."""

    def __init__(self, cluster: Cluster, user: str = "user-1") -> None:
        self.cluster = cluster
        self.user = user
        self.log = cluster.folder / f"controller-{user}.log"
        self.begun = self.log.stat().st_size if self.log.exists() else 0
        command = [
            binary(), "controller", "--kubeconfig", str(cluster.kubeconfig(user)),
            "--namespaces", cluster.namespace, "--leader-election-namespace", cluster.namespace,
            "--lease-name", LEASE, "--image", IMAGE, "--metrics-port", str(free_port()), "--log-level", "debug",
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def terminate(self) -> int:
        """The exit code of a polite end."""
        self.process.terminate()
        return self.process.wait(60)

    def wait_for_plan(self, seconds: float) -> bool:
        """Returns right after the log tells of a new plan of several steps; false when the time is over."""
        deadline = time.monotonic() + seconds
        unread = b""
        with self.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            while time.monotonic() < deadline:
                unread += log.read()
                *lines, unread = unread.split(b"\n")
                for line in lines:
                    if b'"planned"' in line and int(json.loads(line)["steps"]) > 1:
                        return True
                time.sleep(0.0005)
        return False

    def cut_off(self) -> int:
        """Of a process that was killed: the plans that it had begun and had steps left of."""
        planned: dict[str, int] = {}
        with self.log.open("rb") as log:
            log.seek(self.begun)
            for line in log:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                pool = entry.get("pool", "")
                if entry.get("message") == "planned":
                    planned[pool] = int(entry["steps"])
                elif entry.get("message") == "step" and pool in planned:
                    planned[pool] -= 1
        # A step is logged before it is taken; a plan without one more is over, or all but.
        return sum(left > 0 for left in planned.values())

    def memory(self) -> int:
        """Resident bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS in /proc")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def free_lease(cluster: Cluster) -> None:
    """Saves the wait for the lease of a process that is known to be dead."""
    try:
        cluster.merge(LEASES, LEASE, {"spec": {"holderIdentity": ""}})
    except Refused as refused:
        if refused.status != 404:
            raise


def is_led(cluster: Cluster) -> bool:
    lease = cluster.call("GET", cluster.path(LEASES, LEASE), missing=True)
    return bool(lease.get("spec", {}).get("holderIdentity"))


class Churn:
    """A user who creates, changes and deletes pools without a pause, and knows how each should be in the end."""

    def __init__(self, cluster: Cluster, pools: int, seed: int, pause: float = 0.03) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.names = [f"pool-{number:02}" for number in range(pools)]
        self.wanted: dict[str, Object] = {}
        self.pause = pause
        self.writes = 0
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
            except Exception as failure:
                self._failure = failure
                return
            self._stop.wait(self.random.uniform(0, 2 * self.pause))

    def step(self) -> None:
        name = self.random.choice(self.names)
        if name in self.wanted and self.random.random() < 0.2:
            self._insist(lambda: self.cluster.delete(POOLS, name))
            del self.wanted[name]
        else:
            pool = self.pool(name)
            self._insist(lambda: self.cluster.apply(POOLS, pool))
            self.wanted[name] = pool
        self.writes += 1

    def _insist(self, ask: Callable[[], Any]) -> None:
        """As a user would: again, until the server answers."""
        deadline = time.monotonic() + 120
        while True:
            try:
                ask()
                return
            except (OSError, Refused) as failure:
                refused = failure.status if isinstance(failure, Refused) else 503
                # A conflict: the pool of this name is still on its way out.
                if refused not in (409, 429, 500, 502, 503, 504) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def pool(self, name: str) -> Object:
        spec: Object = {
            "agents": [{"name": "assistant", "instructions": f"Number {self.random.randrange(1_000_000)}."}]
        }
        shape = self.random.randrange(4)
        if shape == 1:
            spec["memory"] = {"redis": {"addresses": ["redis.data:6379"]}}
            spec["replicas"] = self.random.randint(1, 3)
        elif shape == 2:
            spec["memory"] = {"redis": {"addresses": ["redis.data:6379"]}}
            spec["autoscaling"] = {"minReplicas": 1, "maxReplicas": 5, "targetCPU": "700m"}
        elif shape == 3:
            spec["ingress"] = {"host": f"{name}.example.com"}
            spec["auth"] = {"mode": "None"}
        return {
            "apiVersion": "agentpool.dev/v1alpha1", "kind": "AgentPool",
            "metadata": {"name": name, "namespace": self.cluster.namespace}, "spec": spec,
        }


class Nodes:
    """Plays a real cluster's nodes: makes pods ready as they come. The stand-in needs none."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        if self.cluster.is_real:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self.cluster.is_real:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.3):
            try:
                self._look()
            except (OSError, Refused):
                continue  # the server restarts, or the pod went meanwhile

    def _look(self) -> None:
        for pod in self.cluster.list(("/api/v1", "pods")):
            if pod["status"].get("phase") != "Pending":
                continue
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            status = {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
            }
            path = self.cluster.path(("/api/v1", "pods"), pod["metadata"]["name"]) + "/status"
            self.cluster.call("PATCH", path, {"status": status}, "application/merge-patch+json", missing=True)


_rendered: dict[str, list[Object]] = {}


def rendered(pool: Object, folder: Path) -> list[Object]:
    """What `agentpool render` says that the pool's objects are, on a cluster with nothing but Kubernetes; asked once a pool."""
    key = json.dumps(pool, sort_keys=True)
    if key not in _rendered:
        _rendered[key] = _render(pool, folder)
    return _rendered[key]


def _render(pool: Object, folder: Path) -> list[Object]:
    file = folder / "render.yaml"
    file.write_text(json.dumps(pool))
    done = subprocess.run(
        [binary(), "render", "-f", str(file), "--image", IMAGE, "--features", "none",
         "--operator-namespace", pool["metadata"]["namespace"]],
        capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"render failed: {done.stderr}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def differences(cluster: Cluster, wanted: dict[str, Object]) -> list[str]:
    """What is not as `render` says: missing, other than it should be, or left over."""
    pools = {pool["metadata"]["name"]: pool for pool in cluster.list(POOLS)}
    found = [f"AgentPool {name} is not as it was left" for name in set(pools) ^ set(wanted)]
    there = {
        (kind, item["metadata"]["name"]): item for kind, path in KINDS.items() for item in cluster.list(path, MANAGED)
    }
    for name, pool in wanted.items():
        for document in rendered(pool, cluster.folder):
            key = (document["kind"], document["metadata"]["name"])
            live = there.pop(key, None)
            if live is None:
                found.append(f"{' '.join(key)} is missing")
                continue
            where = lacking(document, live)
            if where:
                found.append(f"{' '.join(key)} differs in {where}")
            owner = live["metadata"].get("ownerReferences", [{}])[0].get("uid")
            if name in pools and owner != pools[name]["metadata"]["uid"]:
                found.append(f"{' '.join(key)} belongs to another pool")
    return found + [f"{' '.join(key)} is left over" for key in there]


def lacking(wanted: Any, live: Any, path: str = "") -> str:
    """The first place where what is wanted is not there; empty where all is."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key, value in wanted.items():
            if key in ("apiVersion", "kind") and not path:
                continue
            if key not in live and value in ({}, [], None):
                continue  # what is empty may be left out
            where = lacking(value, live.get(key), f"{path}.{key}")
            if where:
                return where
        return ""
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        for index, (one, other) in enumerate(zip(wanted, live, strict=True)):
            where = lacking(one, other, f"{path}[{index}]")
            if where:
                return where
        return ""
    return "" if wanted == live else path
