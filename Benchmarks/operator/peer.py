"""The peer: an operator of equal output on kopf, as a careful user of that library would write it.

It applies the same children, made from `agentpool render` of one pool with the names put in, by server-side apply with one
field manager, owner references and the digest in an annotation; it looks before it applies anything for the first time, and
writes the status last. It does not watch the children, correct drift, scale, elect a leader or poll the pools.

    KUBECONFIG=... TEMPLATE=children.json kopf run --standalone --all-namespaces peer.py
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import aiohttp
import kopf
import yaml

MANAGER = "peer"
DIGEST = "agentpool.dev/manifest-digest"
TEMPLATE = json.loads(Path(os.environ["TEMPLATE"]).read_text())
PATHS = {
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Service": ("api/v1", "services"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
    "Ingress": ("apis/networking.k8s.io/v1", "ingresses"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers"),
    "ScaledObject": ("apis/keda.sh/v1alpha1", "scaledobjects"),
}


class Cluster:
    """One session for all calls, its answers read as JSON."""

    session: aiohttp.ClientSession
    server: str
    applied: dict[str, str] = {}


@kopf.on.startup()
async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = False
    settings.persistence.finalizer = "agentpool.dev/peer"
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    Cluster.server = config["clusters"][0]["cluster"]["server"]
    token = config["users"][0]["user"].get("token", "")
    # What bounds how many pools are worked on at one time. A limit of kopf's own workers would hold up each pool for seconds, for a
    # worker waits that long for more events of its object.
    Cluster.session = aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {token}"}, connector=aiohttp.TCPConnector(limit=16)
    )


@kopf.on.cleanup()
async def stop(**_: Any) -> None:
    await Cluster.session.close()


@kopf.on.create("agentpool.dev", "v1alpha1", "agentpools")
@kopf.on.update("agentpool.dev", "v1alpha1", "agentpools")
@kopf.on.resume("agentpool.dev", "v1alpha1", "agentpools")
async def reconcile(body: kopf.Body, name: str, namespace: str, **_: Any) -> None:
    owner = {
        "apiVersion": body["apiVersion"], "kind": body["kind"], "name": name, "uid": body["metadata"]["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }
    for manifest in children(name, namespace, owner, body["spec"]):
        await ensure(manifest, namespace)
    await write_status(body, name, namespace)


def children(name: str, namespace: str, owner: dict[str, Any], spec: Any) -> list[dict[str, Any]]:
    text = re.sub(r"\bplaceholder\b", name, json.dumps(TEMPLATE))
    manifests: list[dict[str, Any]] = json.loads(text)
    for manifest in manifests:
        metadata = manifest["metadata"]
        metadata["namespace"] = namespace
        metadata["ownerReferences"] = [owner]
        if manifest["kind"] == "HorizontalPodAutoscaler":
            minutes = int(spec["autoscaling"].get("scaleDownWindow", "5m").removesuffix("m"))
            manifest["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] = 60 * minutes
        digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
        metadata.setdefault("annotations", {})[DIGEST] = digest
    return manifests


async def ensure(manifest: dict[str, Any], namespace: str) -> None:
    base, plural = PATHS[manifest["kind"]]
    name, digest = manifest["metadata"]["name"], manifest["metadata"]["annotations"][DIGEST]
    path = f"{Cluster.server}/{base}/namespaces/{namespace}/{plural}/{name}"
    if Cluster.applied.get(path) == digest:
        return
    if path not in Cluster.applied:
        async with Cluster.session.get(path) as answer:
            if answer.status == 200:
                there = await answer.json()
                owners = there["metadata"].get("ownerReferences", [])
                if [o["uid"] for o in owners] != [manifest["metadata"]["ownerReferences"][0]["uid"]]:
                    raise kopf.PermanentError(f"{name} belongs to somebody else")
    query = {"fieldManager": MANAGER, "force": "true"}
    headers = {"Content-Type": "application/apply-patch+yaml"}
    async with Cluster.session.patch(path, params=query, headers=headers, data=json.dumps(manifest)) as answer:
        if answer.status >= 300:
            raise kopf.TemporaryError(f"apply of {name}: {answer.status} {await answer.text()}", delay=1)
        await answer.read()
    Cluster.applied[path] = digest


async def write_status(body: kopf.Body, name: str, namespace: str) -> None:
    generation = body["metadata"].get("generation", 1)
    if body.get("status", {}).get("observedGeneration") == generation:
        return
    path = f"{Cluster.server}/apis/agentpool.dev/v1alpha1/namespaces/{namespace}/agentpools/{name}/status"
    headers = {"Content-Type": "application/merge-patch+json"}
    data = json.dumps({"status": {"observedGeneration": generation, "selector": f"agentpool.dev/pool={name}"}})
    async with Cluster.session.patch(path, headers=headers, data=data) as answer:
        await answer.read()
