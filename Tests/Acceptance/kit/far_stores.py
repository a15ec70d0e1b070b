"""A Redis Cluster of six and a milvus-lite on addresses of a network namespace, whose processes are in it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from kit.checks import eventually
from kit.partition import ADDRESSES, Network
from kit.servers import milvus_lite
from kit.stores import NODE_TIMEOUT, Server

PORTS = range(7001, 7007)  # nobody else is in the namespace
MILVUS = 19530


class FarStores:
    """Reached from the workers' namespace over its cables."""

    def __init__(self, network: Network) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="agentpool-far-"))
        self.redis, self.milvus = ADDRESSES["redis"], ADDRESSES["milvus"]
        self.addresses = [f"{self.redis}:{port}" for port in PORTS]
        self._servers = [Server(f"redis {p}", self.folder / f"redis-{p}", p, self._node(p)) for p in PORTS]
        command = [milvus_lite(), "server", "--host", self.milvus, "--port", str(MILVUS)]
        command += ["--data-dir", "data", "--max-workers", "1"]
        self._servers.append(Server("milvus", self.folder / "milvus", MILVUS, command))
        try:
            with network.inside(network.stores):
                for server in self._servers:
                    server.start()
            self._form()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for server in self._servers:
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def is_reached(self) -> bool:
        """A connection to Redis comes about."""
        return _accepts(self.redis, PORTS[0])

    def _node(self, port: int) -> list[str]:
        command = ["redis-server", "--port", str(port), "--bind", self.redis, "--protected-mode", "no"]
        command += ["--save", "", "--dir", ".", "--appendonly", "yes", "--appendfsync", "everysec"]
        return [*command, "--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT)]

    def _form(self) -> None:
        if not eventually(lambda: all(_accepts(self.redis, port) for port in PORTS), 20):
            raise RuntimeError("the nodes of the Redis Cluster did not come up")
        command = ["redis-cli", "--cluster", "create", *self.addresses]
        subprocess.run([*command, "--cluster-replicas", "1", "--cluster-yes"], check=True, capture_output=True)
        if not eventually(self._is_whole, 30, step=0.1):
            raise RuntimeError("the Redis Cluster did not form")
        if not eventually(lambda: _accepts(self.milvus, MILVUS), 60, step=0.1):
            raise RuntimeError("milvus-lite did not come up")

    def _is_whole(self) -> bool:
        """Every node knows all slots to be served, and three masters have their replica."""
        try:
            nodes = [Redis(self.redis, port, decode_responses=True) for port in PORTS]
            states = [node.execute_command("CLUSTER INFO") for node in nodes]  # type: ignore[no-untyped-call]
            roles = [node.execute_command("ROLE") for node in nodes]  # type: ignore[no-untyped-call]
        except RedisError:
            return False
        followed = sum(role[0] == "master" and len(role[2]) == 1 for role in roles)
        return followed == 3 and all(state["cluster_state"] == "ok" for state in states)


def _accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False
