"""Workers as a Deployment keeps them behind a proxy that learns of everything late: rolling updates, more and fewer of them, and kills."""

from __future__ import annotations

import http.client
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from kit.checks import eventually
from kit.haproxy import HAProxy
from kit.stores import HOST, KILLED_WITH_US
from kit.worker import binary
from ports import free_port

NOWHERE = "127.0.0.254"  # an address of this machine at which nobody listens
START_LIMIT = 60  # seconds in which a new worker must be ready


@dataclass(frozen=True)
class Rendered:
    """What the controller makes of a pool, as far as it concerns a fleet; times in seconds."""

    config: str
    grace: float
    settle: float  # for which a new pod must have been ready before an old one goes

    @classmethod
    def of(cls, manifest: str, folder: Path) -> Self:
        file = folder / "pool.yaml"
        file.write_text(manifest)
        command = [binary(), "render", "-f", str(file), "-n", "acceptance"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        objects: dict[str, Any] = {o["kind"]: o for o in yaml.safe_load_all(done.stdout)}
        deployment = objects["Deployment"]["spec"]
        return cls(
            objects["ConfigMap"]["data"]["worker.json"],
            deployment["template"]["spec"]["terminationGracePeriodSeconds"],
            deployment.get("minReadySeconds", 0),
        )


class Pod:
    """One worker on ports of its own, with the slot of the proxy that stands for its address."""

    def __init__(self, number: int, folder: Path, config: Path, slot: str, peers: bool) -> None:
        self.name, self.slot = f"pod-{number}", slot
        self.port, self.admin_port = free_port(), free_port()
        self.is_leaving = False  # nobody may send it anything new any more
        self._log = folder / f"{self.name}.log"
        data, secrets = folder / self.name, folder / "secrets"
        command = [*KILLED_WITH_US, binary(), "worker", "--config", str(config)]
        command += ["--host", HOST, "--port", str(self.port), "--admin-host", HOST]
        command += ["--admin-port", str(self.admin_port), "--data", str(data), "--secrets", str(secrets)]
        command += ["--peer-host", HOST, "--peer-port", str(free_port())]
        # What a worker believes to be its address is where the others look for it.
        env = {**os.environ, "POD_NAME": self.name, "POD_IP": HOST if peers else NOWHERE}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=env)

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended at its start:\n{self.log()[-3000:]}")
        connection = http.client.HTTPConnection(HOST, self.admin_port, timeout=3)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def end(self, grace: float) -> str | None:
        """As a kubelet ends a pod: the preStop hook, SIGTERM, and SIGKILL when the grace period is over. Says what was wrong."""
        deadline = time.monotonic() + grace
        command = [binary(), "drain", "--admin-port", str(self.admin_port)]
        try:
            hook = subprocess.run(command, check=False, capture_output=True, text=True, timeout=grace)
            self.process.terminate()
            code = self.process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
            return f"{self.name} did not end in its {grace:.0f} s"
        if hook.returncode or code:
            return f"{self.name}: the hook ended with {hook.returncode} ({hook.stderr}), it with {code}"
        return None

    def kill(self) -> None:
        """SIGKILL: nothing of the process runs afterwards."""
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return self._log.read_text(errors="replace")


@dataclass(frozen=True)
class Weather:
    """What surrounds the workers: how late the proxy learns, and whether pods are drained at all."""

    late: tuple[float, float]  # seconds from an event until the proxy acts on it, at least and at most
    drains: bool = True
    peers: bool = True  # whether workers reach each other


class Fleet:
    """The pods of one pool; they are started by the main thread alone, for a process ends with the thread that started it."""

    def __init__(self, manifest: str, size: int, proxy: HAProxy, weather: Weather, seed: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="agentpool-fleet-"))
        self.rendered = Rendered.of(manifest, self.folder)
        self.faults: list[str] = []  # ends of pods, and orders to the proxy, that were not as they should be
        self.ended: list[float] = []  # seconds that each drained pod took
        self.pods: list[Pod] = []
        self._proxy, self._weather, self._rng = proxy, weather, random.Random(seed)
        self._config = self.folder / "worker.json"
        self._config.write_text(self.rendered.config)
        (self.folder / "secrets").mkdir()
        self._started: list[Pod] = []
        self._ending: list[threading.Thread] = []
        self._later: list[threading.Timer] = []
        self._lock = threading.Lock()
        try:
            self.pods = [self._start() for _ in range(size)]
            for pod in self.pods:
                self._wait(pod)
                proxy.add(pod.slot, pod.port)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self) -> None:
        """A rolling update with one pod more than usual: an old one goes as soon as a new one is ready."""
        self._wait_for_room()
        for old in list(self.pods):
            self.scale_out()
            self._retire(old)

    def scale_out(self) -> None:
        pod = self._start()
        self._wait(pod)
        time.sleep(self.rendered.settle)
        self.pods.append(pod)
        self._learns(lambda: None if pod.is_leaving else self._proxy.add(pod.slot, pod.port))

    def scale_in(self) -> None:
        self._retire(self._rng.choice(self.pods))

    def kill(self, before: Callable[[Pod], None], victim: Pod | None = None) -> None:
        """SIGKILL of one pod, any if none is named, of which `before` is told; another one takes its place."""
        pod = victim or self._rng.choice(self.pods)
        before(pod)
        self._lose(pod)
        self.scale_out()

    def settle(self) -> None:
        """Until nothing is ending and the proxy knows all."""
        for thread in [*self._ending, *self._later]:
            thread.join()
        dead = [pod for pod in self.pods if pod.process.poll() is not None]
        self.faults += [f"{pod.name} ended by itself: {pod.log()[-1000:]}" for pod in dead]

    def close(self) -> None:
        for timer in self._later:
            timer.cancel()
        for pod in self._started:
            pod.kill()
        for thread in [*self._ending, *self._later]:
            thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> Pod:
        number = len(self._started) + 1
        pod = Pod(number, self.folder, self._config, self._proxy.take_slot(), self._weather.peers)
        self._started.append(pod)
        return pod

    def _wait(self, pod: Pod) -> None:
        if not eventually(pod.is_ready, START_LIMIT, step=0.1):
            raise RuntimeError(f"{pod.name} is not ready after {START_LIMIT} s:\n{pod.log()[-3000:]}")

    def _wait_for_room(self) -> None:
        """An update begins when no more pods of former ones are ending than there are pods."""

        def has_room() -> bool:
            return sum(thread.is_alive() for thread in self._ending) <= len(self.pods)

        eventually(has_room, self.rendered.grace, step=0.2)

    def _retire(self, pod: Pod) -> None:
        if not self._weather.drains:
            self._lose(pod)
            return
        self._leaves(pod)
        thread = threading.Thread(target=self._end, args=(pod,), daemon=True)
        self._ending.append(thread)
        thread.start()

    def _end(self, pod: Pod) -> None:
        begun = time.monotonic()
        fault = pod.end(self.rendered.grace)
        with self._lock:
            self.ended.append(time.monotonic() - begun)
            self.faults += [fault] if fault else []

    def _lose(self, pod: Pod) -> None:
        pod.kill()
        self._leaves(pod)

    def _leaves(self, pod: Pod) -> None:
        self.pods.remove(pod)
        pod.is_leaving = True

        def learned() -> None:
            self._proxy.remove(pod.slot)
            # The slot is another pod's only when this one is gone, so that its name says who answered.
            self._proxy.give_back(pod.slot)

        self._learns(learned)

    def _learns(self, what: Callable[[], None]) -> None:
        def learn() -> None:
            try:
                what()
            except (OSError, RuntimeError) as error:
                self.faults.append(f"the proxy could not be told: {error}")

        timer = threading.Timer(self._rng.uniform(*self._weather.late), learn)
        timer.daemon = True
        self._later.append(timer)
        timer.start()
