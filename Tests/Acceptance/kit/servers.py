"""Real stores on loopback: Redis standalone, with a replica or as a Cluster of six, and milvus-lite; all end with this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import stores  # the Swift suites' servers are the same ones
from kit import standalone_milvus
from kit.checks import eventually
from kit.standalone_milvus import StandaloneMilvus
from kit.worker import ROOT
from ports import free_port



def milvus_lite() -> str:
    """The server's program: MILVUS_LITE, or where the Makefile installs it."""
    return os.environ.get("MILVUS_LITE", str(ROOT / ".build" / "stores" / "lite" / "bin" / "milvus-lite"))


class Servers:
    """Servers in a folder of their own; `close` ends them and removes it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="agentpool-servers-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._genuine: list[StandaloneMilvus] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def redis(self, *options: str) -> int:
        """A standalone Redis with the given options on top of an append-only file; its port."""
        port = free_port()
        folder = self.folder / f"redis-{port}"
        self._processes.append(stores.redis(folder, port, *options))
        stores.wait_for(port, 20, "Redis", folder)
        return port

    def redis_with_tls(self, certificates: Path, *options: str) -> int:
        """A standalone Redis that speaks TLS alone and wants certificates; those of `server` and `ca` are in the folder."""
        port = free_port()
        files = {"cert-file": "server.pem", "key-file": "server.key", "ca-cert-file": "ca.pem"}
        tls = [word for name, file in files.items() for word in (f"--tls-{name}", str(certificates / file))]
        tls += ["--tls-port", str(port), "--tls-auth-clients", "yes"]
        folder = self.folder / f"redis-{port}"
        self._processes.append(stores.redis(folder, 0, *tls, *options))
        stores.wait_for(port, 20, "Redis with TLS", folder)
        return port

    def cluster(self) -> list[int]:
        """Three masters and their replicas; the ports of all six."""
        first = stores.cluster(self.folder / "cluster", self._processes)
        nodes = stores.cli(first, "cluster", "nodes").splitlines()
        return [int(line.split()[1].partition("@")[0].rpartition(":")[2]) for line in nodes]

    def milvus(self) -> int:
        """A milvus-lite, or the genuine server where that is asked for; its port."""
        if standalone_milvus.wanted():
            return self._standalone_milvus()
        port = free_port()
        folder = self.folder / f"milvus-{port}"
        command = [milvus_lite(), "server", "--host", "127.0.0.1", "--port", str(port)]
        self._processes.append(stores.start([*command, "--data-dir", str(folder / "data")], folder))
        stores.wait_for(port, 60, "milvus-lite", folder)
        return port

    def _standalone_milvus(self) -> int:
        server = StandaloneMilvus(self.folder / f"milvus-{len(self._genuine)}")
        self._genuine.append(server)
        server.start()
        if not eventually(server.listens, 120, 0.2):
            raise RuntimeError("Milvus 2.3.5 did not come up")
        return server.port

    def close(self) -> None:
        for server in self._genuine:
            server.close()
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def cli(port: int, *arguments: str) -> str:
    """What `redis-cli` prints."""
    printed: str = stores.cli(port, *arguments)
    return printed.strip()
