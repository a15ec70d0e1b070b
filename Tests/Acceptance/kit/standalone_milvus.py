"""The genuine Milvus 2.3.5 as a process that a test may kill and start again; shut in by its supervisor, and gone with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from kit.worker import ROOT
from ports import free_port

HOST = "127.0.0.1"
SUPERVISOR = ROOT / "Tests" / "MilvusTests" / "Servers" / "supervise.py"


def wanted() -> bool:
    """AGENTPOOL_MILVUS=standalone asks for it in place of milvus-lite."""
    return os.environ.get("AGENTPOOL_MILVUS") == "standalone"


class StandaloneMilvus:
    """MILVUS_STANDALONE names its program."""

    def __init__(self, folder: Path) -> None:
        default = ROOT / ".build" / "stores" / "standalone" / "bin" / "milvus"
        program = Path(os.environ.get("MILVUS_STANDALONE", str(default))).absolute()
        if not program.exists():
            raise RuntimeError(f"no {program}: run Tests/Stores/install, or name it by MILVUS_STANDALONE")
        self.name = "milvus 2.3.5"
        self.port = free_port()
        command = [sys.executable, str(SUPERVISOR), "standalone", str(program), str(self.port), str(folder)]
        self._supervisor = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # of connections that its end cuts
        )

    def start(self) -> None:
        self._order("start")

    def kill(self) -> None:
        self._order("kill")

    def listens(self) -> bool:
        """The supervisor accepts for it, and breaks off at once where nobody is behind."""
        try:
            with socket.create_connection((HOST, self.port), 1) as connection:
                connection.settimeout(1)
                return connection.recv(1) != b""
        except TimeoutError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        self._supervisor.communicate(timeout=60)

    def _order(self, order: str) -> None:
        pipe, answers = self._supervisor.stdin, self._supervisor.stdout
        if pipe is None or answers is None:
            raise RuntimeError("the supervisor has no pipes")
        pipe.write(f"{order}\n".encode())
        pipe.flush()
        if answers.readline().strip() != b"ok":
            raise RuntimeError(f"the supervisor of Milvus did not carry out `{order}`")
