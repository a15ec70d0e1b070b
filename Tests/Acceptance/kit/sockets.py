"""Which of this machine's TCP ports a process holds, as the kernel tells it."""

from __future__ import annotations

import os
from pathlib import Path


def ports_of(pid: int) -> set[int]:
    """The local ports of a process's connections; empty once it is gone."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        names = list(folder.iterdir())
        # All processes of a network namespace see the same table: what is this one's is told by its descriptors.
        rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    except OSError:
        return set()
    links = {_link(name) for name in names}
    return {int(row[1].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in links}


def _link(name: Path) -> str:
    try:
        return os.readlink(name)
    except OSError:
        return ""  # it was closed meanwhile
