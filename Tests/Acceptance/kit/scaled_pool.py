"""A pool that a real cluster scales: workers of this test play its pods, and its scaling is watched all the time."""

from __future__ import annotations

import copy
import json
import random
import socket
import subprocess
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import yaml

from kit.checks import eventually
from kit.cluster import KINDS, Cluster, Object, Refused
from kit.crew import Crew
from kit.fleet import Pod
from kit.keda import METRICS
from kit.stores import HOST
from kit.worker import binary

DEPLOYMENTS, AUTOSCALERS = KINDS["Deployment"], KINDS["HorizontalPodAutoscaler"]
SCALED_OBJECTS = ("/apis/keda.sh/v1alpha1", "scaledobjects")
LOOK = 0.5  # seconds between two looks at what KEDA tells
STEP = 0.1  # seconds between two looks of the kubelet
MADE = 60  # seconds in which KEDA must have taken a ScaledObject
ALONE = "alone"  # the name of the control


class AdminService:
    """The Service of the pool's admin port as a node makes it: each connection goes to one of the workers."""

    def __init__(self, crew: Crew) -> None:
        self._crew, self._rng = crew, random.Random(crew.folder.name)
        self.connections: Counter[str] = Counter()  # by pod
        self.last = ""  # the pod of the last one

    def connect(self) -> socket.socket:
        pod = self._rng.choice(list(self._crew.pods))
        connection = socket.create_connection((HOST, pod.admin_port))
        self.connections[pod.name] += 1
        self.last = pod.name
        return connection


@dataclass(frozen=True)
class Look:
    """What KEDA told a client of the API server, if it could tell. Times are `time.monotonic`."""

    asked: float
    answered: float
    value: int | None

    def __str__(self) -> str:
        return "nothing" if self.value is None else str(self.value)


@dataclass
class Scaled:
    """A Deployment with its ScaledObject, from outside."""

    cluster: Cluster
    name: str
    metrics: list[str] = field(
        default_factory=list
    )  # one for each trigger, as the ScaledObject's status names them
    looks: dict[str, list[Look]] = field(default_factory=dict)  # by metric
    sizes: list[tuple[float, int]] = field(default_factory=list)  # when spec.replicas became what

    @property
    def replicas(self) -> int:
        return self.sizes[-1][1]

    def object(self) -> Object:
        return self.cluster.call("GET", self.cluster.path(SCALED_OBJECTS, self.name), missing=True)

    def wait(self) -> None:
        """Until KEDA has taken the ScaledObject and made a HorizontalPodAutoscaler of it."""
        if not eventually(self._is_ready, MADE, step=0.2):
            raise RuntimeError(f"{self.name}: not ready after {MADE} s: {self.object()}")
        self.metrics = self.object()["status"]["externalMetricNames"]
        self.looks = {metric: [] for metric in self.metrics}
        self.look()

    def look(self) -> None:
        deployment = self.cluster.call("GET", self.cluster.path(DEPLOYMENTS, self.name))
        replicas = deployment["spec"]["replicas"]
        if not self.sizes or self.replicas != replicas:
            self.sizes.append((time.monotonic(), replicas))
        for metric in self.metrics:
            self.looks[metric].append(self._ask(metric))

    def read(self, trigger: int) -> int | None:
        """The sum that the HorizontalPodAutoscaler has read when it looked last."""
        path = self.cluster.path(AUTOSCALERS, f"keda-hpa-{self.name}")
        status = self.cluster.call("GET", path, missing=True).get("status", {})
        for metric in status.get("currentMetrics") or []:
            external = metric.get("external", {})
            if external.get("metric", {}).get("name") == self.metrics[trigger]:
                share = external["current"]["averageValue"]
                each = int(share.removesuffix("m")) / 1000 if share.endswith("m") else int(share)
                pods: int = status["currentReplicas"]
                return round(each * pods)
        return None

    def failing(self) -> dict[str, Object]:
        """The metrics that KEDA could not ask for when it tried last, with how often that was so in turn."""
        health: dict[str, Object] = self.object()["status"].get("health", {})
        return {metric: state for metric, state in health.items() if state.get("numberOfFailures")}

    def _is_ready(self) -> bool:
        status = self.object().get("status", {})
        conditions = {one.get("type"): one.get("status") for one in status.get("conditions") or []}
        return conditions.get("Ready") == "True" and bool(status.get("hpaName"))

    def _ask(self, metric: str) -> Look:
        selector = urllib.parse.urlencode({"labelSelector": f"scaledobject.keda.sh/name={self.name}"})
        asked = time.monotonic()
        try:
            told = self.cluster.call(
                "GET", f"{METRICS}/namespaces/{self.cluster.namespace}/{metric}?{selector}"
            )
        except Refused:
            return Look(asked, time.monotonic(), None)
        return Look(asked, time.monotonic(), sum(int(item["value"]) for item in told["items"]))


class Watch:
    """Looks at what is scaled again and again; `before_each` is called ahead of every look."""

    def __init__(self, scaled: list[Scaled], before_each: Callable[[], None]) -> None:
        self._scaled, self._before_each = scaled, before_each
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raises what has ended the looking."""
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._over.wait(LOOK):
                self._before_each()
                for one in self._scaled:
                    one.look()
        except Exception as failure:
            self._failure = failure


@dataclass
class Kubelet:
    """Keeps as many workers as the Deployment says: starts new ones, and drains and ends the youngest."""

    crew: Crew
    pool: Scaled
    watch: Watch
    codes: list[int] = field(default_factory=list)  # with which drained workers ended

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Works until the condition holds; false when the time is over."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(STEP)
            self.watch.check()
            self._follow()
        return True

    def work(self, until: float) -> None:
        self.until(lambda: time.monotonic() >= until, float("inf"))

    def drain(self, leaving: list[Pod]) -> None:
        for pod in leaving:
            self.crew.begin_drain(pod)
        self.codes += [self.crew.end_drain(pod) for pod in leaving]

    def _follow(self) -> None:
        missing = self.pool.replicas - len(self.crew.pods)
        if missing > 0:
            self.crew.add(missing)
        elif missing < 0:
            self.drain(self.crew.pods[missing:])


def rendered(pool: Object, cluster: Cluster) -> Object:
    """The ScaledObject that `agentpool render` makes of the pool."""
    file = cluster.folder / "pool.json"
    file.write_text(json.dumps(pool))
    command = [binary(), "render", "-f", str(file), "--features", "keda"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    found: Object = next(one for one in yaml.safe_load_all(done.stdout) if one["kind"] == "ScaledObject")
    return found


def control(scaled_object: Object, cluster: Cluster) -> Scaled:
    """A Deployment scaled by the sessions of the pool's first worker, whichever worker is asked."""
    labels = {"app": ALONE}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "none", "image": "example.com/none"}]},
    }
    metadata = {"name": ALONE, "namespace": cluster.namespace}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
    cluster.apply(
        DEPLOYMENTS, {**deployment, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    )
    spec = copy.deepcopy(scaled_object["spec"])
    spec["scaleTargetRef"]["name"] = ALONE
    spec["triggers"] = spec["triggers"][:1]
    spec["triggers"][0]["metadata"]["valueLocation"] = "pods.0.activeSessions"
    cluster.apply(SCALED_OBJECTS, {**scaled_object, "metadata": metadata, "spec": spec})
    return Scaled(cluster, ALONE)
