"""The tools of a pool under test: their server, what the manifest says of it, and which workers are amid one of its executions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from kit.fleet import Pod
from kit.model import INSTRUCTIONS
from kit.sockets import ports_of
from kit.tool_ledger import Execution
from kit.tool_server import ToolServerProcess
from kit.tool_verdict import ONCE

NAME = "desk"


class Desk(ToolServerProcess):
    """One pool's; workers hold connections to it by which they are told apart."""

    @property
    def spec(self) -> dict[str, Any]:
        """For `manifest`: the server, and the agent that may use it."""
        agent = {"name": "assistant", "instructions": INSTRUCTIONS, "model": "chat", "tools": [NAME]}
        return {"mcpServers": [{"name": NAME, "url": self.url}], "agents": [agent]}

    def running(self, pod: Pod) -> list[Execution]:
        """What is being executed for this worker."""
        return self.ledger().running(ports_of(pod.process.pid))

    def busy(self, pods: Sequence[Pod], margin: float = 0.5) -> Pod | None:
        """A worker that waits, for some time yet, for a call that must not be repeated."""
        ledger, now = self.ledger(), time.monotonic()
        for pod in pods:
            running = ledger.running(ports_of(pod.process.pid))
            if any(one.tool in ONCE and one.left(now) > margin for one in running):
                return pod
        return None
