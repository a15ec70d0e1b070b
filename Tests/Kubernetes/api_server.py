#!/usr/bin/env python3
"""Runs a command beside a real Kubernetes control plane on loopback, which ends with it.

    KUBEBUILDER_ASSETS=DIR api_server.py [--audit FILE] [--users N] [--apply FILE]... [--account NAMESPACE/NAME]
                                         [-- COMMAND [ARGUMENT...]]

DIR holds kube-apiserver, and etcd where the path has none; with kube-controller-manager in it, garbage collection and Deployments
work too. The command finds the cluster's administrator by AGENTPOOL_TEST_KUBECONFIG (and KUBECONFIG), further administrators, told
apart in the audit log as user-1 and so on, by the files beside it; without a command the kubeconfig's path is printed, and the
control plane runs until it is told to end. SIGUSR1 restarts the API server. With --account the command also finds a kubeconfig
of that ServiceAccount, which a manifest must have made, by AGENTPOOL_TEST_RBAC. --apply and --account need kubectl, from DIR or the path.
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "Stores"))
from ports import free_port

PR_SET_PDEATHSIG = 1
FRONT_PROXY = "front-proxy"  # as whom the API server asks the servers of further APIs
libc = ctypes.CDLL(None)

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete"]},
        {"level": "None"},
    ],
}


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        # Also where this script is killed: no server outlives it.
        return subprocess.Popen(
            command, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        )


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Certificates:
    """An authority of its own, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=test-authority", "-keyout", "ca.key", "-out", "ca.crt")
        self._openssl("genrsa", "-out", "accounts.key", "2048")
        self._openssl("rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")
        (folder / "names").write_text(
            "subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.0.0.1\n")
        self.sign("server", "/CN=kube-apiserver", "-extfile", "names")
        self.sign(FRONT_PROXY, f"/CN={FRONT_PROXY}")

    def sign(self, name: str, subject: str, *options: str) -> None:
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-out", f"{name}.crt", *options)

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"openssl {arguments[0]} failed: {done.stderr}")


class ControlPlane:
    def __init__(self, assets: Path, folder: Path, audit: Path | None, users: int) -> None:
        self.assets = assets
        self.folder = folder
        self.port = free_port()
        self.server: subprocess.Popen[bytes] | None = None
        self.others: list[subprocess.Popen[bytes]] = []
        self.certificates = Certificates(folder)
        self.kubeconfig = self._kubeconfig("admin", "/O=system:masters/CN=admin")
        for number in range(1, users + 1):
            self._kubeconfig(f"user-{number}", f"/O=system:masters/CN=user-{number}")
        self.audit = audit

    def start(self) -> None:
        etcd = self.assets / "etcd"
        program = str(etcd) if etcd.exists() else shutil.which("etcd")
        if not program:
            sys.exit("no etcd: neither in KUBEBUILDER_ASSETS nor on the path (apt-get install etcd-server)")
        self.etcd_port = free_port()
        url = f"http://127.0.0.1:{self.etcd_port}"
        peer = f"http://127.0.0.1:{free_port()}"
        self.others.append(start(
            [program, "--data-dir", "etcd", "--listen-client-urls", url, "--advertise-client-urls", url,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
             "--initial-cluster", f"default={peer}", "--unsafe-no-fsync"], self.folder / "etcd.log"))
        self.start_server()
        manager = self.assets / "kube-controller-manager"
        if manager.exists():
            self.others.append(start(
                [str(manager), "--kubeconfig", str(self.kubeconfig), "--leader-elect=false",
                 "--bind-address", "127.0.0.1", "--secure-port", str(free_port()),
                 "--service-account-private-key-file", "accounts.key", "--root-ca-file", "ca.crt",
                 "--controllers", "*,-nodeipam,-cloud-node-lifecycle"], self.folder / "manager.log"))

    def start_server(self) -> None:
        command = [
            str(self.assets / "kube-apiserver"), "--etcd-servers", f"http://127.0.0.1:{self.etcd_port}",
            "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", str(self.port),
            "--service-cluster-ip-range", "10.0.0.0/16", "--endpoint-reconciler-type", "none",
            "--tls-cert-file", "server.crt", "--tls-private-key-file", "server.key", "--client-ca-file", "ca.crt",
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", "accounts.pub", "--service-account-signing-key-file", "accounts.key",
            "--authorization-mode", "RBAC", "--allow-privileged",
            # So that servers of further APIs, such as metrics, may be registered, and believe it who asks.
            "--proxy-client-cert-file", f"{FRONT_PROXY}.crt", "--proxy-client-key-file", f"{FRONT_PROXY}.key",
            "--requestheader-client-ca-file", "ca.crt", "--requestheader-allowed-names", FRONT_PROXY,
            "--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group",
            "--requestheader-extra-headers-prefix", "X-Remote-Extra-",
        ]
        if not (self.assets / "kube-controller-manager").exists():
            # Nobody makes the account that every pod would have.
            command += ["--disable-admission-plugins", "ServiceAccount"]
        if self.audit:
            (self.folder / "audit.json").write_text(json.dumps(AUDIT_POLICY))
            command += ["--audit-policy-file", "audit.json", "--audit-log-path", str(self.audit),
                        "--audit-log-mode", "blocking"]
        self.server = start(command, self.folder / "server.log")
        self._wait()

    def restart_server(self) -> None:
        if self.server:
            end(self.server)
        self.start_server()

    def stop(self) -> None:
        for process in [*self.others[1:], *([self.server] if self.server else []), *self.others[:1]]:
            end(process)

    def apply(self, files: list[str]) -> None:
        for file in files:
            self._kubectl("apply", "--server-side", "--force-conflicts", "-f", file)

    def account(self, name: str) -> Path:
        """A kubeconfig with a token of a ServiceAccount."""
        namespace, _, account = name.partition("/")
        token = self._kubectl("create", "token", account, "--namespace", namespace, "--duration", "10h").strip()
        config = json.loads(self.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        path = self.folder / "account.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def _kubectl(self, *arguments: str) -> str:
        kubectl = self.assets / "kubectl"
        program = str(kubectl) if kubectl.exists() else shutil.which("kubectl")
        if not program:
            sys.exit("--apply and --account need kubectl, in KUBEBUILDER_ASSETS or on the path")
        done = subprocess.run(
            [program, "--kubeconfig", str(self.kubeconfig), *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"kubectl {' '.join(arguments)} failed: {done.stderr}")
        return done.stdout

    def _wait(self) -> None:
        trust = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        trust.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.server and self.server.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"https://127.0.0.1:{self.port}/readyz", context=trust, timeout=5):
                    return
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)
        log = (self.folder / "server.log").read_text(errors="replace")
        sys.exit("kube-apiserver did not become ready; the end of its log:\n" + "\n".join(log.splitlines()[-15:]))

    def _kubeconfig(self, name: str, subject: str) -> Path:
        self.certificates.sign(name, subject)

        def data(file: str) -> str:
            return base64.b64encode((self.folder / file).read_bytes()).decode()

        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": f"https://127.0.0.1:{self.port}", "certificate-authority-data": data("ca.crt")}}],
            "users": [{"name": name, "user": {
                "client-certificate-data": data(f"{name}.crt"), "client-key-data": data(f"{name}.key")}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(config, indent=1))
        path.chmod(0o600)
        return path


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--audit", type=Path, help="a file for all writes, a JSON object a line")
    options.add_argument("--users", type=int, default=2, help="further administrators")
    options.add_argument("--apply", action="append", default=[], help="a manifest to apply once the server is up")
    options.add_argument("--account", help="a ServiceAccount to make a kubeconfig for")
    options.add_argument("command", nargs=argparse.REMAINDER)
    chosen = options.parse_args()
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    if not (Path(assets) / "kube-apiserver").exists():
        sys.exit("KUBEBUILDER_ASSETS names no folder with kube-apiserver")
    command = [part for index, part in enumerate(chosen.command) if index or part != "--"]
    folder = Path(tempfile.mkdtemp(prefix="agentpool-cluster-"))
    audit = chosen.audit.absolute() if chosen.audit else None
    plane = ControlPlane(Path(assets).absolute(), folder, audit, chosen.users)
    done = {signal.SIGTERM, signal.SIGINT}
    try:
        plane.start()
        plane.apply(chosen.apply)
        signal.signal(signal.SIGUSR1, lambda *_: plane.restart_server())
        if not command:
            print(plane.kubeconfig, flush=True)
            signal.pthread_sigmask(signal.SIG_BLOCK, done | {signal.SIGUSR1})
            while signal.sigwait(done | {signal.SIGUSR1}) == signal.SIGUSR1:
                plane.restart_server()
            return 0
        environment = {
            **os.environ, "AGENTPOOL_TEST_KUBECONFIG": str(plane.kubeconfig), "KUBECONFIG": str(plane.kubeconfig),
            "AGENTPOOL_TEST_CONTROL_PLANE": str(os.getpid()),
        }
        if audit:
            environment["AGENTPOOL_TEST_AUDIT"] = str(audit)
        if chosen.account:
            environment["AGENTPOOL_TEST_RBAC"] = str(plane.account(chosen.account))
        child = subprocess.Popen(command, env=environment)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        signal.signal(signal.SIGINT, lambda *_: child.terminate())
        return child.wait()
    finally:
        plane.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
