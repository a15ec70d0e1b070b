"""What Helm makes of the chart for a table of values: golden files, and what must hold for every one of them."""

from __future__ import annotations

import re
from typing import Any

from kit.checks import Checks
from release import NAME, NAMESPACE, Document, Release, golden

EVERYTHING: dict[str, Any] = {
    "image": {
        "repository": "registry.example/agentpool",
        "digest": "sha256:" + "0a" * 32,
        "pullPolicy": "Always",
    },
    "imagePullSecrets": [{"name": "registry"}],
    "fullnameOverride": "operator",
    "replicas": 3,
    "workers": 8,
    "kubeAPI": {"qps": 20, "burst": 40},
    "logLevel": "debug",
    "keda": {"namespace": "scaling"},
    "monitoringNamespaces": ["prometheus", "grafana"],
    "metrics": {"serviceMonitor": {"enabled": True, "interval": "15s", "labels": {"release": "prometheus"}}},
    "serviceAccount": {"annotations": {"example.com/role": "agents"}},
    "podLabels": {"team": "agents"},
    "podAnnotations": {"example.com/note": "true"},
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "control-plane", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"team": "agents"}},
                }
            ]
        }
    },
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "test": {"image": "registry.example/busybox:1", "timeoutSeconds": 60},
}

BARE: dict[str, Any] = {
    "replicas": 1,
    "crds": {"install": False},
    "monitoringNamespaces": [],
    "networkPolicy": {"enabled": False},
    "podDisruptionBudget": {"enabled": False},
    "rbac": {"create": False},
    "serviceAccount": {"create": False, "name": "operators"},
}

TABLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "default": ({}, NAME, NAMESPACE),
    "namespaces": ({"watchNamespaces": ["shop", "support"]}, NAME, NAMESPACE),
    "everything": (EVERYTHING, "prod", "agents"),
    "bare": (BARE, "small", "agents"),
}


def program(checks: Checks) -> None:
    """Renders each row of the table, and names that are hard."""
    for name, (values, release_name, namespace) in TABLE.items():
        release = Release(values, release_name, namespace)
        documents = [
            document for document in release.documents if document["kind"] != "CustomResourceDefinition"
        ]
        golden(checks, name, documents)
        restricted(checks, name, release.pod)
        restricted(checks, f"{name}, the test's pod", release.one("Pod")["spec"])
        coherent(checks, name, release, namespace)
    names(checks)


def restricted(checks: Checks, name: str, pod: Document) -> None:
    """Pod Security Standards, restricted, and more: a read-only root, and a token only where it is asked for."""
    context = pod["securityContext"]
    checks.equal(
        f"{name}: runs as nobody's user", (context["runAsNonRoot"], context["runAsUser"]), (True, 65532)
    )
    checks.equal(
        f"{name}: has the runtime's seccomp profile", context["seccompProfile"], {"type": "RuntimeDefault"}
    )
    for container in pod["containers"]:
        checks.equal(
            f"{name}: {container['name']} has no capability, can't gain one, and writes nowhere",
            container["securityContext"],
            {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        )
        checks.holds(
            f"{name}: {container['name']} has a limit of memory", "memory" in container["resources"]["limits"]
        )
    checks.holds(
        f"{name}: no host's namespaces or paths",
        not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "volumes"},
    )


def coherent(checks: Checks, name: str, release: Release, namespace: str) -> None:
    """What the documents of one release say of each other."""
    checks.equal(f"{name}: nothing twice", len(set(release.identities)), len(release.identities))
    checks.holds(f"{name}: no Secret is made", not release.of_kind("Secret"))
    pod = release.one("Deployment")["spec"]["template"]
    tokens = [
        document for document in release.documents if find(document, "automountServiceAccountToken") == [True]
    ]
    checks.equal(
        f"{name}: only the controller's pods get a token",
        [document["kind"] for document in tokens],
        ["Deployment"],
    )
    selectors = [
        release.one("Deployment")["spec"]["selector"]["matchLabels"],
        release.one("Service")["spec"]["selector"],
    ]
    selectors += [
        budget["spec"]["selector"]["matchLabels"] for budget in release.of_kind("PodDisruptionBudget")
    ]
    selectors += [policy["spec"]["podSelector"]["matchLabels"] for policy in release.of_kind("NetworkPolicy")]
    labels = pod["metadata"]["labels"]
    checks.holds(
        f"{name}: every selector finds the controller's pods",
        all(selector.items() <= labels.items() for selector in selectors),
    )
    test = release.one("Pod")["metadata"]["labels"]
    checks.holds(
        f"{name}: and none finds the test's pod",
        not any(selector.items() <= test.items() for selector in selectors),
    )
    ours = [
        document["metadata"]["name"]
        for document in release.documents
        if document["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "agentpool"
    ]
    checks.equal(f"{name}: nothing looks like a child of a pool", ours, [])
    account = release.pod["serviceAccountName"]
    subjects = [
        (subject["name"], subject["namespace"])
        for document in release.documents
        for subject in document.get("subjects", [])
    ]
    checks.equal(
        f"{name}: roles are bound to the pods' account alone", set(subjects) - {(account, namespace)}, set()
    )
    image = release.pod["containers"][0]["image"]
    checks.holds(
        f"{name}: workers get the controller's image", f"--image={image}" in release.arguments, image
    )


def names(checks: Checks) -> None:
    """Names of releases that don't fit as they are, and two releases in one cluster."""
    for release_name in (
        "a" * 53,
        "blue.green",
        "1st",
        "1-agentpool",
        "my-agentpool",
        "agentpool." + "b" * 43,
    ):
        release = Release({}, release_name, NAMESPACE)
        service = release.one("Service")["metadata"]["name"]
        fits = len(service) <= 63 and service[0].isalpha() or release_name[0].isdigit()
        checks.holds(
            f"A release named {release_name} has names that fit", fits and "." not in service, service
        )
    one = Release({"watchNamespaces": ["shop"]}, NAME, "first")
    other = Release({"watchNamespaces": ["support"], "crds": {"install": False}}, NAME, "second")
    common = set(one.identities) & set(other.identities)
    checks.equal("Two releases that watch different namespaces share no object", common, set())
    leases = [next(a for a in release.arguments if "election-namespace" in a) for release in (one, other)]
    checks.holds("and elect their leaders apart", leases[0] != leases[1], leases)
    budget = Release({"replicas": 1}).one("PodDisruptionBudget")["spec"]
    checks.equal(
        "One replica can be drained", (budget["maxUnavailable"], "minAvailable" in budget), (1, False)
    )
    probes = Release().pod["containers"][0]
    paths = [probes[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")]
    checks.equal("Health is asked for where the controller answers", paths, ["/livez", "/livez", "/readyz"])


def find(value: Any, key: str) -> list[Any]:
    """All values of a key, however deep."""
    if isinstance(value, list):
        return [found for element in value for found in find(element, key)]
    if not isinstance(value, dict):
        return []
    here = [value[key]] if key in value else []
    return here + [found for element in value.values() for found in find(element, key)]
