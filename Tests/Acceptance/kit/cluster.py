"""An API server for programs that kill controllers: the stand-in, or the real one that AGENTPOOL_TEST_KUBECONFIG names."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kit.worker import ROOT, binary

Object = dict[str, Any]

# Where the objects of a kind are, after the namespace's path.
KINDS: dict[str, tuple[str, str]] = {
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Service": ("/api/v1", "services"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Job": ("/apis/batch/v1", "jobs"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "Ingress": ("/apis/networking.k8s.io/v1", "ingresses"),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
}
POOLS = ("/apis/agentpool.dev/v1alpha1", "agentpools")
LEASES = ("/apis/coordination.k8s.io/v1", "leases")
MANAGED = "app.kubernetes.io/managed-by=agentpool"


def stand_in() -> str:
    """AGENTPOOL_API_STAND_IN, or beside the program under test."""
    return os.environ.get("AGENTPOOL_API_STAND_IN", str(Path(binary()).parent / "agentpool-api-stand-in"))


@dataclass
class Write:
    """A write that reached the API server, as its audit log has it."""

    time: float
    user: str
    method: str
    path: str
    code: int


class Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:500]}")
        self.status = status


class Cluster:
    """One API server; `close` ends a stand-in, and leaves a real one with an empty namespace."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="agentpool-cluster-"))
        named = os.environ.get("AGENTPOOL_TEST_KUBECONFIG")
        self.process: subprocess.Popen[bytes] | None = None
        self._connections = threading.local()
        self._tls: ssl.SSLContext | None = None
        if named:
            self.kubeconfigs = Path(named).parent
            self._log_in(json.loads(Path(named).read_text()))
        else:
            self.process = subprocess.Popen(
                [stand_in(), "--kubeconfigs", str(self.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.kubeconfigs = self.folder
            line = self.process.stdout.readline() if self.process.stdout else b""
            if not line:
                raise RuntimeError(f"{stand_in()} did not start")
            self.address = urllib.parse.urlparse(line.decode().strip()).netloc
        self.namespace = f"kills-{os.getpid()}-{int(time.time())}"

    def __enter__(self) -> Self:
        definition = ROOT / "crds" / "agentpools.agentpool.dev.yaml"
        self._define(definition.read_text())
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self.call("POST", "/api/v1/namespaces", namespace)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            if self.process.stdin:
                self.process.stdin.close()
            self.process.wait(30)
        else:
            self.call("DELETE", f"/api/v1/namespaces/{self.namespace}", missing=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def is_real(self) -> bool:
        return self.process is None

    def kubeconfig(self, user: str) -> Path:
        return self.kubeconfigs / f"{user}.kubeconfig"

    # What is where.

    def path(self, kind: tuple[str, str], name: str = "", namespace: str | None = None) -> str:
        root, plural = kind
        path = f"{root}/namespaces/{namespace or self.namespace}/{plural}"
        return f"{path}/{name}" if name else path

    def call(
        self, method: str, target: str, body: Any = None, content: str = "application/json", missing: bool = False
    ) -> Object:
        """The object that is answered; empty where it is missing and may be."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content, "Accept": "application/json", "User-Agent": "acceptance"}
        if not self._tls:
            headers["Authorization"] = "Bearer admin"
        for attempt in range(3):
            connection = self._connection()
            try:
                connection.request(method, target, data, headers)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException):
                # A server that restarts, or a kept connection that it has closed.
                self._connections.__dict__.clear()
                if attempt == 2:
                    raise
                time.sleep(attempt)
        if answer.status == 404 and missing:
            return {}
        if answer.status >= 300:
            raise Refused(answer.status, text.decode(errors="replace"))
        result: Object = json.loads(text or b"{}")
        return result

    def list(self, kind: tuple[str, str], labels: str = "") -> list[Object]:
        query = f"?labelSelector={urllib.parse.quote(labels)}" if labels else ""
        items: list[Object] = self.call("GET", self.path(kind) + query).get("items", [])
        return items

    def apply(self, kind: tuple[str, str], body: Object) -> Object:
        target = f"{self.path(kind, body['metadata']['name'])}?fieldManager=acceptance&force=true"
        return self.call("PATCH", target, body, "application/apply-patch+yaml")

    def merge(self, kind: tuple[str, str], name: str, body: Object) -> Object:
        return self.call("PATCH", self.path(kind, name), body, "application/merge-patch+json")

    def delete(self, kind: tuple[str, str], name: str) -> None:
        self.call("DELETE", self.path(kind, name), missing=True)

    def writes(self) -> list[Write]:
        """All writes so far, in the order in which they were carried out."""
        if self.process:
            return [
                Write(w["time"], w["user"], w["method"], w["path"], w["code"])
                for w in self.call("GET", "/stand-in/audit")  # type: ignore[union-attr]
            ]
        log = Path(os.environ["AGENTPOOL_TEST_AUDIT"])
        found = []
        for line in log.read_text().splitlines():
            event = json.loads(line)
            found.append(
                Write(
                    seconds(event["stageTimestamp"]), event["user"]["username"], event["verb"],
                    event["requestURI"].partition("?")[0], event.get("responseStatus", {}).get("code", 0)))
        return found

    # Only on the stand-in.

    def fault(self, **fault: Any) -> None:
        self.call("POST", "/stand-in/faults", fault)

    def control(self, method: str, what: str) -> None:
        self.call(method, f"/stand-in/{what}")

    def _define(self, yaml: str) -> None:
        target = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/agentpools.agentpool.dev"
        self._raw("PATCH", f"{target}?fieldManager=acceptance&force=true", yaml.encode())
        deadline = time.monotonic() + 60
        while not self.call("GET", "/apis/agentpool.dev/v1alpha1", missing=True):
            if time.monotonic() > deadline:
                raise RuntimeError("the definition was taken, and AgentPools are not served")
            time.sleep(0.2)

    def _raw(self, method: str, target: str, body: bytes) -> None:
        headers = {"Content-Type": "application/apply-patch+yaml"}
        if not self._tls:
            headers["Authorization"] = "Bearer admin"
        connection = self._connection()
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise Refused(answer.status, text.decode(errors="replace"))

    def _connection(self) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._connections, "kept", None)
        if kept is None:
            if self._tls:
                kept = http.client.HTTPSConnection(self.address, timeout=60, context=self._tls)
            else:
                kept = http.client.HTTPConnection(self.address, timeout=60)
            self._connections.kept = kept
        return kept

    def _log_in(self, config: Object) -> None:
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.address = urllib.parse.urlparse(cluster["server"]).netloc
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        certificate, key = self.folder / "client.crt", self.folder / "client.key"
        key.touch(mode=0o600)
        certificate.write_bytes(base64.b64decode(user["client-certificate-data"]))
        key.write_bytes(base64.b64decode(user["client-key-data"]))
        self._tls.load_cert_chain(certificate, key)


def seconds(timestamp: str) -> float:
    """Of a timestamp such as 2026-01-02T03:04:05.678901Z."""
    from datetime import datetime

    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()
