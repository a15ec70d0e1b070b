"""Network namespaces without a way out for stores and for workers, and cables between them that can be cut; needs root."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

Store = Literal["redis", "milvus"]
ADDRESSES: dict[Store, str] = {"redis": "10.213.1.1", "milvus": "10.213.2.1"}  # of the stores' ends
NOBODY = "02:00:00:00:00:99"  # no card has it
CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Network:
    """The names carry this process's id: runs side by side have namespaces of their own."""

    stores: str = f"agentpool-{os.getpid()}-stores"
    workers: str = f"agentpool-{os.getpid()}-workers"

    def __enter__(self) -> Self:
        try:
            for namespace in (self.stores, self.workers):
                _ip("netns", "add", namespace)
                _ip("-n", namespace, "link", "set", "lo", "up")
            for store, address in ADDRESSES.items():
                # The cable has the store's name at both ends.
                _ip("link", "add", store, "netns", self.stores, "type", "veth", "peer", store, "netns", self.workers)
                for namespace, own in ((self.stores, address), (self.workers, _opposite(store))):
                    _ip("-n", namespace, "address", "add", f"{own}/30", "dev", store)
                    _ip("-n", namespace, "link", "set", store, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in (self.stores, self.workers):
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)

    @contextmanager
    def inside(self, namespace: str) -> Iterator[None]:
        """This thread is in the namespace meanwhile, with the threads and processes that it starts."""
        with Path("/proc/thread-self/ns/net").open() as before:
            with Path("/run/netns", namespace).open() as there:
                _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    @contextmanager
    def cut(self, store: Store) -> Iterator[None]:
        """Nothing gets from the workers to the store, or back, and nobody is told: every frame is addressed to no one."""
        for namespace, other in self._ends(store):
            _ip("-n", namespace, "neighbour", "replace", other, "lladdr", NOBODY, "dev", store, "nud", "permanent")
        try:
            yield
        finally:
            for namespace, other in self._ends(store):
                _ip("-n", namespace, "neighbour", "delete", other, "dev", store)

    def _ends(self, store: Store) -> list[tuple[str, str]]:
        """Both namespaces, each with the address at the other end of the store's cable."""
        return [(self.stores, _opposite(store)), (self.workers, ADDRESSES[store])]


def _opposite(store: Store) -> str:
    """The address of the workers' end."""
    return ADDRESSES[store].removesuffix("1") + "2"


def is_possible() -> bool:
    """Whether this process may make namespaces."""
    name = f"agentpool-{os.getpid()}-probe"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
