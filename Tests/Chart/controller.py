"""The binary under the chart: its flags are there, and on a real API server its account's rights suffice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import helm_python as helm
import yaml
from api import API, from_environment
from cluster import PATIENCE, WATCHED, admin, laid_out, pool_path
from kit.checks import Checks, eventually
from ports import free_port
from release import CHART, NAME, NAMESPACE, ROOT, Release

BINARY = Path(os.environ.get("AGENTPOOL", ROOT / ".build/release/agentpool"))
POOLS = ("examples/minimal.yaml", "examples/support.yaml")


def program(checks: Checks) -> None:
    """Flags always; the rights where there is an API server."""
    if not BINARY.exists():
        checks.note(f"skipped: the controller's flags (there is no {BINARY})")
        return
    asked = [BINARY, "controller", "--help"]
    help_text = subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout
    known = set(re.findall(r"--[a-z-]+", help_text))
    for values in ({}, {"watchNamespaces": ["shop"]}):
        flags = {argument.split("=")[0] for argument in Release(values).arguments[1:]}
        checks.equal("The binary knows every flag that the chart sets", sorted(flags - known), [])
    for values in ({}, {"watchNamespaces": ["shop", "support"]}, {"monitoringNamespaces": []}):
        command = [BINARY, *Release(values).arguments, "--kubeconfig=/nowhere"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        # 64 would be wrong usage.
        checks.equal(f"and takes their values, with {values or 'the defaults'}", ended.returncode, 2)
        checks.holds(
            "as far as the missing kubeconfig", "/nowhere" in ended.stderr, ended.stderr.strip()[:200]
        )
    api = from_environment()
    if api is None:
        checks.note(
            "skipped: the controller under its account (AGENTPOOL_TEST_KUBECONFIG names no API server)"
        )
        return
    for name, watched in (("all namespaces", []), ("one namespace", [WATCHED[0]])):
        with laid_out(api), helm.Config(kubeconfig_content=admin(api), namespace=NAMESPACE) as config:
            values = {"watchNamespaces": watched, "logLevel": "debug"}
            config.install(CHART, NAME, values, namespace=NAMESPACE, timeout=PATIENCE)
            under_its_account(checks, api, name, Release(values).arguments)


def under_its_account(checks: Checks, api: API, name: str, arguments: list[str]) -> None:
    """Runs the chart's own command with a token of its account until pools have come and gone."""
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(yaml.safe_dump(api.kubeconfig_of(NAMESPACE, NAME)))
        port = free_port()
        command = [str(BINARY)] + [
            f"--metrics-port={port}" if argument.startswith("--metrics-port") else argument
            for argument in arguments
        ]
        log = Path(folder) / "log"
        with log.open("w") as output:
            process = subprocess.Popen([*command, f"--kubeconfig={kubeconfig}"], stdout=output, stderr=output)
            try:
                pools(checks, api, name, port)
                told = forbidden(port)
                checks.equal(f"{name}: the API server refused no call of its account", told, 0)
                said = [line for line in log.read_text().splitlines() if "forbidden" in line.lower()]
                checks.equal(f"{name}: and the log speaks of none", said[:3], [])
                process.send_signal(signal.SIGTERM)
                checks.equal(f"{name}: it ends in good order", process.wait(timeout=60), 0)
            except Exception:
                print(log.read_text()[-4000:], flush=True)
                raise
            finally:
                process.kill()
                process.wait()
    lease = api.get(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{NAME}")[1]
    checks.holds(f"{name}: and gave the lease back", not lease.get("spec", {}).get("holderIdentity"))
    api.delete(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{NAME}")


def pools(checks: Checks, api: API, name: str, port: int) -> None:
    """The examples, and a pool whose deletion purges its memory, from creation to the end."""
    namespace = WATCHED[0]
    manifests = [next(yaml.safe_load_all((ROOT / path).read_text())) for path in POOLS]
    purged = {
        "apiVersion": "agentpool.dev/v1alpha1",
        "kind": "AgentPool",
        "metadata": {"name": "purged"},
        "spec": {
            "agents": [{"name": "assistant", "instructions": "Answer."}],
            "memory": {"reclaimPolicy": "Delete", "redis": {"addresses": ["redis.data:6379"]}},
        },
    }
    manifests.append(purged)
    for manifest in manifests:
        manifest["spec"] = {key: value for key, value in manifest["spec"].items() if value is not None}
        status, answer = api.create(pool_path(namespace), manifest)
        checks.equal(
            f"{name}: {manifest['metadata']['name']} is created", (status, answer.get("message")), (201, None)
        )
    for manifest in manifests:
        pool = manifest["metadata"]["name"]
        deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/{pool}"
        checks.holds(
            f"{name}: {pool} has its Deployment",
            eventually(lambda path=deployment: api.exists(path), PATIENCE, 0.2),
        )
        path = pool_path(namespace, pool)
        told = eventually(
            lambda path=path: bool(api.get(path)[1].get("status", {}).get("conditions")), PATIENCE, 0.2
        )
        checks.holds(f"{name}: and its status", told)
    for manifest in manifests[:2]:
        api.delete(pool_path(namespace, manifest["metadata"]["name"]))
    api.delete(pool_path(namespace, "purged"))
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    checks.holds(
        f"{name}: the deleted pool's memory is purged by a Job",
        eventually(lambda: bool(api.get(jobs)[1].get("items")), PATIENCE, 0.2),
    )
    job = api.get(jobs)[1]["items"][0]["metadata"]["name"]
    checks.equal(f"{name}: the Job is played to its end", end_of_job(api, namespace, job), (200, None))
    gone = eventually(lambda: not api.exists(pool_path(namespace, "purged")), PATIENCE, 0.2)
    checks.holds(f"{name}: and the pool goes", gone)


def end_of_job(api: API, namespace: str, job: str) -> tuple[int, str | None]:
    """Plays the node that runs the Job's pod, or, where no controller manager makes one, that manager."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    of_job = pods + f"?labelSelector=batch.kubernetes.io%2Fjob-name%3D{job}"
    if eventually(lambda: bool(api.get(of_job)[1].get("items")), 10, 0.2):
        pod = api.get(of_job)[1]["items"][0]["metadata"]["name"]
        status, answer = api.merge(f"{pods}/{pod}/status", {"status": {"phase": "Succeeded"}})
        return status, answer.get("message")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": now, "lastProbeTime": now, "reason": "Played", "message": ""}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    done = {"status": {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}}
    status, answer = api.merge(f"/apis/batch/v1/namespaces/{namespace}/jobs/{job}/status", done)
    return status, answer.get("message")


def forbidden(port: int) -> int:
    """How many answers 403 its client has counted."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        text = response.read().decode()
    counted = re.findall(r'^rest_client_requests_total\{[^}]*code="403"[^}]*\} (\d+)', text, re.M)
    return sum(int(count) for count in counted)
