"""KEDA's operator and metrics adapter beside a real API server, in a network namespace that is nothing but loopback."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from kit.checks import eventually
from kit.cluster import Cluster
from kit.partition import Network, is_possible
from kit.relay import Connect, Relay
from kit.stores import HOST, Server

OPERATOR, ADAPTER = "keda-operator", "keda-adapter"
NAMESPACE, SERVICE = "keda", "keda-metrics-apiserver"  # as KEDA's own manifests name them
GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
METRICS = f"/apis/{GROUP}/{VERSION}"
API_SERVICE = f"/apis/apiregistration.k8s.io/v1/apiservices/{VERSION}.{GROUP}"
OPERATOR_PORTS = {"metrics": 8080, "health-probe": 8081, "metrics-service": 9666}
ADAPTER_PORT, ADAPTER_METRICS = 6443, 8082
START_LIMIT = 90  # seconds in which both must be up


def lacks() -> str | None:
    """What KEDA can't run without and is not here."""
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS", ""))
    absent = [program for program in (OPERATOR, ADAPTER) if not (assets / program).is_file()]
    if not os.environ.get("AGENTPOOL_TEST_KUBECONFIG"):
        return "there is no real API server: Tests/Kubernetes/api_server.py runs this beside one"
    if not os.environ.get("KUBEBUILDER_ASSETS") or absent:
        return f"KUBEBUILDER_ASSETS names no folder with {' and '.join(absent or [OPERATOR])}"
    return None if is_possible() else "network namespaces need root"


class Keda:
    """Serves external metrics through the API server until it is closed; `admin` connects to whom `host` stands for."""

    def __init__(self, cluster: Cluster, host: str, port: int, admin: Connect) -> None:
        self._cluster, self._host = cluster, host
        self._folder = Path(tempfile.mkdtemp(prefix="agentpool-keda-"))
        self._namespace = f"agentpool-{os.getpid()}-keda"
        self._config = str(cluster.kubeconfig("admin"))
        self._undo = ExitStack()
        self._servers: list[Server] = []
        try:
            self._isolate()
            self.admin = self._relay_out(port, admin)
            self._start()
            self._register()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for server in self._servers:
            server.kill()
        # With an API that nobody serves, no namespace could be deleted.
        self._cluster.call("DELETE", API_SERVICE, missing=True)
        self._undo.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def logs(self) -> str:
        return "\n".join(f"{server.name}:\n{server.log()[-3000:]}" for server in self._servers)

    def _isolate(self) -> None:
        """The adapter serves its own figures on every address that it has; here it has none but loopback's."""
        subprocess.run(["ip", "netns", "add", self._namespace], check=True)
        self._undo.callback(subprocess.run, ["ip", "netns", "delete", self._namespace], check=False)
        subprocess.run(["ip", "-n", self._namespace, "link", "set", "lo", "up"], check=True)
        address, _, port = self._cluster.address.partition(":")
        self._relay_out(int(port), lambda: socket.create_connection((address, int(port))))

    def _relay_out(self, port: int, connect: Connect) -> Relay:
        """Of connections to a port of the namespace's loopback."""
        with Network().inside(self._namespace):
            listener = socket.create_server((HOST, port))
        return self._relay(listener, connect)

    def _relay(self, listener: socket.socket, connect: Connect) -> Relay:
        relay = Relay(listener, connect)
        self._undo.callback(relay.close)
        return relay

    def _to_adapter(self) -> socket.socket:
        with Network().inside(self._namespace):
            return socket.create_connection((HOST, ADAPTER_PORT))

    def _start(self) -> None:
        if not self._cluster.call("GET", "/apis/keda.sh/v1alpha1", missing=True):
            raise RuntimeError("KEDA's definitions are not there: api_server.py takes them by --apply")
        certificates = self._certificates()
        # Programs in Go that are linked statically look into this file before they ask a name server.
        hosts = self._folder / "hosts"
        hosts.write_text(f"{HOST} localhost {self._host}\n")
        options = [f"--{name}-bind-address={HOST}:{port}" for name, port in OPERATOR_PORTS.items()]
        self._run(hosts, OPERATOR, [f"--kubeconfig={self._config}", f"--cert-dir={certificates}", *options])
        config = [
            f"--{what}kubeconfig={self._config}"
            for what in ("", "lister-", "authentication-", "authorization-")
        ]
        serving = [f"--bind-address={HOST}", f"--secure-port={ADAPTER_PORT}", f"--port={ADAPTER_METRICS}"]
        serving += [
            f"--tls-cert-file={certificates}/tls.crt",
            f"--tls-private-key-file={certificates}/tls.key",
        ]
        asking = f"--metrics-service-address={HOST}:{OPERATOR_PORTS['metrics-service']}"
        self._run(hosts, ADAPTER, [*config, *serving, f"--cert-dir={certificates}", asking])

    def _run(self, hosts: Path, program: str, options: list[str]) -> None:
        environment = ["NO_PROXY=*", "WATCH_NAMESPACE=", f"POD_NAMESPACE={NAMESPACE}"]
        environment += [f"KEDA_CLUSTER_OBJECT_NAMESPACE={NAMESPACE}"]
        path = str(Path(os.environ["KUBEBUILDER_ASSETS"], program).absolute())
        # `ip` gives the program its own view of all mounts, too.
        command = [
            "ip",
            "netns",
            "exec",
            self._namespace,
            "sh",
            "-c",
            'mount --bind "$0" /etc/hosts && exec "$@"',
        ]
        command += [str(hosts), "env", *environment, path, *options]
        server = Server(program, self._folder / program, 0, command)
        server.start()
        self._servers.append(server)

    def _certificates(self) -> Path:
        """One that signs itself: by it operator and adapter know each other, and the API server knows the adapter."""
        folder = self._folder / "certificates"
        folder.mkdir()
        names = f"subjectAltName=DNS:localhost,DNS:{SERVICE}.{NAMESPACE}.svc,IP:{HOST}"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command = [
            "openssl",
            "req",
            "-x509",
            *curve,
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=KEDA",
            "-addext",
            names,
        ]
        command += ["-keyout", "tls.key", "-out", "tls.crt"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        shutil.copy(folder / "tls.crt", folder / "ca.crt")
        return folder

    def _register(self) -> None:
        """The API server finds the adapter by a Service that is another name for this machine's loopback."""
        port = self._relay(socket.create_server((HOST, 0)), self._to_adapter).port
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self._apply(f"/api/v1/namespaces/{NAMESPACE}", namespace)
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        self._apply(f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}", service)
        authority = (self._folder / "certificates" / "ca.crt").read_bytes()
        registered = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{VERSION}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"namespace": NAMESPACE, "name": SERVICE, "port": port},
                "caBundle": base64.b64encode(authority).decode(),
            },
        }
        self._apply(API_SERVICE, registered)
        if not eventually(self._serves, START_LIMIT, step=0.5):
            status = self._cluster.call("GET", API_SERVICE).get("status")
            raise RuntimeError(
                f"KEDA's metrics are not served after {START_LIMIT} s: {status}\n{self.logs()}"
            )

    def _apply(self, path: str, body: dict[str, Any]) -> None:
        self._cluster.call(
            "PATCH", f"{path}?fieldManager=acceptance&force=true", body, "application/apply-patch+yaml"
        )

    def _serves(self) -> bool:
        ended = [server.name for server in self._servers if not server.runs]
        if ended:
            raise RuntimeError(f"{' and '.join(ended)} ended at the start:\n{self.logs()}")
        conditions = self._cluster.call("GET", API_SERVICE).get("status", {}).get("conditions", [])
        return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)
