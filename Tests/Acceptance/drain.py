"""A planned end: running turns finish, new ones are refused with the time to come back, and the exit code is 0."""

from __future__ import annotations

import http.client
import subprocess
import threading
import time

from kit.checks import Checks, alone, eventually
from kit.client import Client, Turn
from kit.model import Ask, ModelServer, Reply, echo
from kit.store import read_remains
from kit.worker import Worker, manifest

TURNS = 4
DRAIN = {"delay": "0s", "timeout": "30s"}
CONCURRENCY = {"turnTimeout": "20s"}


class Running:
    """Turns that stream for some three seconds, each with a client in a thread of its own."""

    def __init__(self, worker: Worker) -> None:
        self.turns: list[Turn | str] = ["not ended"] * TURNS
        self.streaming = 0
        self.threads = [threading.Thread(target=self._talk, args=(worker, i)) for i in range(TURNS)]
        for thread in self.threads:
            thread.start()
        if not eventually(lambda: self.streaming == TURNS, 10):
            raise RuntimeError("the turns do not stream")

    def _talk(self, worker: Worker, number: int) -> None:
        client, seen = Client(worker.port, f"user-{number}"), threading.Event()

        def on_text(_: str) -> None:
            if not seen.is_set():
                seen.set()
                self.streaming += 1

        text = "slowly " + "word " * 40 + f"end {number}"
        try:
            if number % 2:
                self.turns[number] = client.native(text, f"drain-{number}", on_text=on_text)
            else:
                self.turns[number] = client.chat(text, f"drain-{number}", on_text=on_text)
        except (OSError, http.client.HTTPException) as error:
            self.turns[number] = f"{type(error).__name__}: {error}"

    def any_left(self) -> bool:
        return any(thread.is_alive() for thread in self.threads)

    def whole(self) -> list[bool]:
        for thread in self.threads:
            thread.join(30)
        return [
            isinstance(t, Turn) and t.acknowledged and t.text.endswith(f"end {i}")
            for i, t in enumerate(self.turns)
        ]


def refusal(worker: Worker, running: Running) -> tuple[int, str | None, str | None]:
    """How a new turn is refused while others still run."""
    while running.any_left():
        body = {"model": "assistant", "messages": [{"role": "user", "content": "one more"}]}
        try:
            answer = Client(worker.port, "late").ask("POST", "/v1/chat/completions", body)
        except (OSError, http.client.HTTPException) as error:
            return 0, None, f"{type(error).__name__}: {error}"
        if answer.status != 200:
            return answer.status, answer.headers.get("retry-after"), answer.error.get("message")
        time.sleep(0.02)
    return 200, None, "served until the end"


def drained(checks: Checks, how: str, worker: Worker, running: Running) -> None:
    status, wait, message = refusal(worker, running)
    checks.equal(f"{how}: a new turn is refused", status, 503)
    checks.holds(f"{how}: with Retry-After", wait is not None and int(wait) >= 1, f"{wait}: {message}")
    checks.equal(f"{how}: all running turns end whole", running.whole(), [True] * TURNS)


def by_signal(checks: Checks, model: ModelServer) -> None:
    with Worker(manifest(model, drain=DRAIN, concurrency=CONCURRENCY)) as worker:
        running = Running(worker)
        worker.terminate()
        drained(checks, "SIGTERM", worker, running)
        checks.equal("SIGTERM: the exit code is 0", worker.wait(20), 0)
        stored = sum(len(turns) for turns in read_remains(worker.data).turns.values())
        checks.equal("SIGTERM: the turns are in the store", stored, TURNS)


def by_command(checks: Checks, model: ModelServer) -> None:
    with Worker(manifest(model, drain=DRAIN, concurrency=CONCURRENCY)) as worker:
        running = Running(worker)
        command = [worker.program, "drain", "--admin-port", str(worker.admin_port)]
        drain = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        drained(checks, "drain", worker, running)
        code = drain.wait(20)
        said = drain.stdout.read().strip() if drain.stdout else ""
        checks.equal(f"drain: the command ends with 0 ({said})", code, 0)
        checks.holds("drain: the worker waits for its signal", worker.wait(0.2) is None)
        worker.terminate()
        checks.equal("drain: then ends with 0", worker.wait(20), 0)


def drain_waits(checks: Checks, model: ModelServer) -> None:
    """The command comes back when the last turn has ended, not before."""
    with Worker(manifest(model, drain=DRAIN, concurrency=CONCURRENCY)) as worker:
        running = Running(worker)
        command = [worker.program, "drain", "--admin-port", str(worker.admin_port)]
        subprocess.run(command, check=True, capture_output=True, timeout=40)
        time.sleep(0.2)  # the clients' threads read what has arrived
        checks.holds("drain: returns when no turn runs any more", not running.any_left())
        checks.equal("drain: and all were whole", running.whole(), [True] * TURNS)


def hurried(checks: Checks, model: ModelServer) -> None:
    """Who can't wait says so by a second signal: every open stream is told, and the exit code says that replies were cut."""
    with Worker(manifest(model, drain=DRAIN, concurrency=CONCURRENCY)) as worker:
        running = Running(worker)
        worker.terminate()
        time.sleep(0.5)
        checks.holds("two signals: the first waits for the turns", running.any_left())
        worker.terminate()
        checks.equal("two signals: no reply looks whole", running.whole(), [False] * TURNS)
        told = [t.error.get("code") if isinstance(t, Turn) else t for t in running.turns]
        checks.equal("two signals: every client is told", told, ["worker_ended"] * TURNS)
        checks.equal("two signals: the exit code is 1", worker.wait(20), 1)
        stored = [turn for turns in read_remains(worker.data).turns.values() for turn in turns]
        checks.equal("two signals: what there was is kept", len(stored), TURNS)


def program(checks: Checks) -> None:
    def reply(ask: Ask) -> Reply:
        answer = echo(ask)
        answer.gap = 0.06 if ask.said.startswith("slowly") else 0
        return answer

    model = ModelServer(reply)
    by_signal(checks, model)
    by_command(checks, model)
    drain_waits(checks, model)
    hurried(checks, model)
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
