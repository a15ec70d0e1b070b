"""Runs a command beside real stores on loopback: a standalone Redis, a Redis Cluster of six, milvus-lite; all end with it.

    python3 stores.py [--milvus-lite PROGRAM] -- COMMAND [ARGUMENT...]

The command finds them by AGENTPOOL_STORE_REDIS and AGENTPOOL_STORE_CLUSTER (host:port) and AGENTPOOL_STORE_MILVUS (host:port, absent
without the program).
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ports import cluster_port, free_port

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("wb") as log:
        # Also where this script is killed: no server outlives it.
        return subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        )


def wait_for(port: int, seconds: float, what: str, folder: Path) -> None:
    """Until it listens; `folder` is where it was started, whose log tells why it does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    log = (folder / "log").read_text(errors="replace").splitlines()
    raise RuntimeError(f"{what} did not come up on port {port} in {seconds} s:\n" + "\n".join(log[-15:]))


def redis(folder: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    return start(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
         "--appendfsync", "everysec", "--dir", ".", *options], folder)


def cli(port: int, *arguments: str) -> str:
    return subprocess.run(
        ["redis-cli", "-h", "127.0.0.1", "-p", str(port), *arguments], capture_output=True, text=True, check=True
    ).stdout


def cluster(folder: Path, processes: list[subprocess.Popen[bytes]]) -> int:
    ports = [cluster_port() for _ in range(6)]
    for port in ports:
        processes.append(
            redis(folder / str(port), port, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000"))
    for port in ports:
        wait_for(port, 20, "a node of the Redis Cluster", folder / str(port))
    nodes = [f"127.0.0.1:{port}" for port in ports]
    cli(ports[0], "--cluster", "create", *nodes, "--cluster-replicas", "1", "--cluster-yes")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        online = all("cluster_state:ok" in cli(port, "cluster", "info") for port in ports)
        if online and cli(ports[0], "cluster", "nodes").count("slave") == 3:
            linked = [cli(port, "info", "replication") for port in ports]
            if sum("state=online" in text for text in linked) == 3:
                return ports[0]
        time.sleep(0.2)
    raise RuntimeError("the Redis Cluster did not form")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--milvus-lite")
    options.add_argument("command", nargs=argparse.REMAINDER)
    chosen = options.parse_args()
    # The servers run in folders of their own.
    milvus_lite = chosen.milvus_lite and str(Path(chosen.milvus_lite).resolve())
    command = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    folder = Path(tempfile.mkdtemp(prefix="agentpool-stores-"))
    processes: list[subprocess.Popen[bytes]] = []
    environment = dict(os.environ)
    try:
        port = free_port()
        processes.append(redis(folder / "standalone", port))
        environment["AGENTPOOL_STORE_REDIS"] = f"127.0.0.1:{port}"
        if milvus_lite:
            milvus = free_port()
            processes.append(
                start([milvus_lite, "server", "--host", "127.0.0.1", "--port", str(milvus),
                       "--data-dir", str(folder / "milvus" / "data"), "--max-workers", "1"], folder / "milvus"))
            environment["AGENTPOOL_STORE_MILVUS"] = f"127.0.0.1:{milvus}"
        environment["AGENTPOOL_STORE_CLUSTER"] = f"127.0.0.1:{cluster(folder / 'cluster', processes)}"
        wait_for(port, 20, "Redis", folder / "standalone")
        if milvus_lite:
            wait_for(milvus, 60, "milvus-lite", folder / "milvus")
        return subprocess.run(command, env=environment).returncode
    finally:
        for process in processes:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
