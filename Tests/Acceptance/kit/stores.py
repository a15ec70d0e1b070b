"""The stores as processes that a test may kill one by one: a Redis Cluster of three masters with a replica each, and milvus-lite."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ports import cluster_port, free_port
from redis import Redis
from redis.exceptions import RedisError

from kit import standalone_milvus
from kit.checks import eventually
from kit.standalone_milvus import StandaloneMilvus
from kit.worker import ROOT

HOST = "127.0.0.1"
NODE_TIMEOUT = 2000  # milliseconds after which the Cluster takes a silent node for failed
KILLED_WITH_US = ("setpriv", "--pdeathsig", "KILL")  # no server outlives the test, however that ends


class Server:
    """One process with a folder of its own, which outlives it: it may be killed and started again."""

    def __init__(self, name: str, folder: Path, port: int, command: list[str]) -> None:
        self.name, self.port = name, port
        self._folder, self._command = folder, command
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*KILLED_WITH_US, *self._command],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def listens(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
            return True
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL: nothing of the process runs afterwards, but what it has handed to the kernel stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")


class RedisNode(Server):
    """One node of the Cluster, with an append-only file as the documents advise."""

    def __init__(self, folder: Path, port: int) -> None:
        command = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--dir", "."]
        command += ["--appendonly", "yes", "--appendfsync", "everysec"]
        command += ["--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT)]
        super().__init__(f"redis {port}", folder, port, command)
        self._client = Redis(HOST, port, decode_responses=True, socket_timeout=2, socket_connect_timeout=2)

    def ask(self, *words: object) -> Any:
        return self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    def keys(self, pattern: str) -> list[str]:
        return [str(key) for key in self._client.scan_iter(match=pattern, count=1000)]

    def hash(self, key: str) -> dict[str, str]:
        return {str(field): str(value) for field, value in self.ask("HGETALL", key).items()}

    def members(self, key: str) -> list[str]:
        """Of a sorted set."""
        return [str(member) for member in self.ask("ZRANGE", key, 0, -1)]

    def role(self) -> list[Any]:
        """ROLE as the node sees it: master, its offset, its replicas; or slave, its master, the link's state, its offset."""
        found: list[Any] = self.ask("ROLE")
        return found

    def is_master(self) -> bool:
        try:
            return self.runs and bool(self.role()[0] == "master")
        except RedisError:
            return False


@dataclass(frozen=True)
class Shard:
    """A master with the replica that would follow it, and what it serves."""

    master: RedisNode
    replica: RedisNode
    slots: frozenset[int]


class Cluster:
    """Three masters with a replica each, formed by redis-cli."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [RedisNode(folder / f"node-{index}", cluster_port()) for index in range(6)]

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        _wait("the nodes of the Redis Cluster", lambda: all(node.listens() for node in self.nodes), 20)
        command = ["redis-cli", "--cluster", "create", *self.addresses]
        command += ["--cluster-replicas", "1", "--cluster-yes"]
        subprocess.run(command, check=True, capture_output=True)
        _wait("the Redis Cluster", self.is_whole, 30)

    @property
    def addresses(self) -> list[str]:
        return [f"{HOST}:{node.port}" for node in self.nodes]

    def shards(self) -> list[Shard]:
        """Who follows whom now, asked of each node that runs; a master without a replica is left out."""
        replicas = {node.role()[2]: node for node in self.nodes if node.runs and not node.is_master()}
        return [
            Shard(node, replicas[node.port], _own_slots(node))
            for node in self.nodes
            if node.port in replicas and node.is_master()
        ]

    def is_whole(self) -> bool:
        """Three shards serve all slots, each replica has all that its master had a moment ago, and all nodes agree on it."""
        try:
            shards = self.shards()
            if sum(len(shard.slots) for shard in shards) != 16384:
                return False
            return all(_in_sync(shard) for shard in shards) and all(_agrees(node) for node in self.nodes)
        except RedisError:
            return False

    def wait_until_whole(self) -> None:
        _wait("the Redis Cluster", self.is_whole, 60)

    def delayed_flushes(self) -> int:
        """How often a node could not write its append-only file because the disk still worked on the last second's."""
        return sum(int(node.ask("INFO", "persistence")["aof_delayed_fsync"]) for node in self.nodes)


class Milvus(Server):
    """milvus-lite behind Milvus's API; MILVUS_LITE names its program."""

    def __init__(self, folder: Path) -> None:
        default = ROOT / ".build" / "stores" / "lite" / "bin" / "milvus-lite"
        self.program = Path(os.environ.get("MILVUS_LITE", str(default))).absolute()
        if not self.program.exists():
            raise RuntimeError(f"no {self.program}: run Tests/Stores/install, or name it by MILVUS_LITE")
        port = free_port()
        command = [str(self.program), "server", "--host", HOST, "--port", str(port), "--data-dir", "data"]
        # Several of its threads spoil its write-ahead log, which they write without a lock: a restart would lose rows.
        command += ["--max-workers", "1"]
        super().__init__("milvus", folder, port, command)

    @property
    def python(self) -> Path:
        """The interpreter that has Milvus's own client."""
        return self.program.parent / "python"

    def wait(self) -> None:
        _wait("milvus-lite", self.listens, 60)

    def close(self) -> None:
        self.kill()


class GenuineMilvus(StandaloneMilvus):
    """Milvus 2.3.5, with what the tests of outages ask of a store beside."""

    @property
    def python(self) -> Path:
        """The interpreter that has Milvus's own client."""
        return ROOT / ".build" / "stores" / "lite" / "bin" / "python"

    def wait(self) -> None:
        _wait("Milvus 2.3.5", self.listens, 120)


class Stores:
    """Both, in one folder that goes with them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="agentpool-outages-"))
        genuine = standalone_milvus.wanted()
        self.milvus = (GenuineMilvus if genuine else Milvus)(self.folder / "milvus")
        self.cluster = Cluster(self.folder / "cluster")
        try:
            self.milvus.start()
            self.cluster.start()
            self.milvus.wait()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.milvus.close()
        for server in self.cluster.nodes:
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _wait(what: str, condition: Any, seconds: float) -> None:
    if not eventually(condition, seconds, step=0.05):
        raise RuntimeError(f"{what} did not come up in {seconds} s")


def _own_slots(node: RedisNode) -> frozenset[int]:
    mine = next(entry for entry in node.ask("CLUSTER NODES").values() if "myself" in entry["flags"])
    ranges = [(int(bounds[0]), int(bounds[-1])) for bounds in mine["slots"]]
    return frozenset(slot for first, last in ranges for slot in range(first, last + 1))


def _in_sync(shard: Shard) -> bool:
    offset = int(shard.master.role()[1])
    state = shard.replica.role()
    return bool(state[3] == "connected") and int(state[4]) >= offset and len(shard.master.role()[2]) == 1


def _agrees(node: RedisNode) -> bool:
    flags = [entry["flags"] for entry in node.ask("CLUSTER NODES").values()]
    is_ok = node.ask("CLUSTER INFO")["cluster_state"] == "ok"
    return is_ok and not any("fail" in f or "handshake" in f for f in flags)
