"""The chart on a real API server: installed under the restricted standard, upgraded, uninstalled, installed anew; nobody runs its pods."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml
from api import API, from_environment
from kit.checks import Checks, eventually
from release import CHART, DEFINITION, NAME, NAMESPACE, Document, Release, refusal
from rights import CALLS, OWN, Right, called, rights

PATIENCE = 90
DEFINITIONS = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{DEFINITION}"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{NAME}"
WATCHED = ("chart-shop", "chart-support")
POOL = {
    "apiVersion": "agentpool.dev/v1alpha1",
    "kind": "AgentPool",
    "metadata": {"name": "kept"},
    "spec": {"agents": [{"name": "assistant", "instructions": "Answer."}]},
}

# What nobody should be able to do with the controller's account: (namespace, verb, group, resource, name).
BEYOND: list[tuple[str, str, str, str, str]] = [
    (NAMESPACE, "get", "", "secrets", ""),
    (NAMESPACE, "list", "", "secrets", ""),
    (WATCHED[0], "get", "", "secrets", "llm"),
    (WATCHED[0], "create", "", "secrets", ""),
    ("", "list", "", "secrets", ""),
    ("", "watch", "", "secrets", ""),
    (WATCHED[0], "create", "", "pods", ""),
    (WATCHED[0], "delete", "", "pods", ""),
    (WATCHED[0], "create", "", "pods/exec", ""),
    (WATCHED[0], "get", "", "pods/log", ""),
    (WATCHED[0], "watch", "", "pods", ""),
    (WATCHED[0], "create", "", "serviceaccounts/token", ""),
    (WATCHED[0], "create", "rbac.authorization.k8s.io", "roles", ""),
    (WATCHED[0], "create", "rbac.authorization.k8s.io", "rolebindings", ""),
    ("", "create", "rbac.authorization.k8s.io", "clusterrolebindings", ""),
    ("", "escalate", "rbac.authorization.k8s.io", "clusterroles", ""),
    ("", "impersonate", "", "users", ""),
    ("", "list", "", "nodes", ""),
    ("", "list", "", "namespaces", ""),
    ("", "patch", "apiextensions.k8s.io", "customresourcedefinitions", DEFINITION),
    (WATCHED[0], "create", "agentpool.dev", "agentpools", ""),
    (WATCHED[0], "delete", "agentpool.dev", "agentpools", ""),
    (NAMESPACE, "update", "coordination.k8s.io", "leases", "somebody-elses"),
    ("kube-system", "get", "coordination.k8s.io", "leases", NAME),
    (WATCHED[0], "deletecollection", "", "configmaps", ""),
]


def program(checks: Checks) -> None:
    """All of it on the server that `AGENTPOOL_TEST_KUBECONFIG` names; without one each part is skipped by its name."""
    api = from_environment()
    parts = {
        "an upgrade from an older definition": older_definition,
        "install under the restricted standard": install,
        "the account's rights": account,
        "helm test": hooks,
        "some namespaces": namespaces,
        "uninstall keeps, reinstall takes up": uninstall,
    }
    if api is None:
        for name in parts:
            checks.note(f"skipped: {name} (AGENTPOOL_TEST_KUBECONFIG names no API server)")
        return
    with laid_out(api), helm.Config(kubeconfig_content=admin(api), namespace=NAMESPACE) as config:
        for name, part in parts.items():
            checks.note(f"{name}:")
            part(checks, api, config)


def admin(api: API) -> str:
    """The kubeconfig as it is, with paths that hold from anywhere."""
    path = Path(os.environ["AGENTPOOL_TEST_KUBECONFIG"]).resolve()
    config = yaml.safe_load(path.read_text())
    for entry in config["clusters"] + config["users"]:
        for key in ("certificate-authority", "client-certificate", "client-key"):
            inner = entry.get("cluster") or entry.get("user") or {}
            if inner.get(key):
                inner[key] = str((path.parent / inner[key]).resolve())
    return yaml.safe_dump(config)


@contextmanager
def laid_out(api: API) -> Iterator[None]:
    """Namespaces under the restricted standard, and no AgentPool or definition before or after."""
    clear(api)
    for namespace in (NAMESPACE, *WATCHED):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        api.create("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
        api.merge(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})
    try:
        yield
    finally:
        clear(api)


def clear(api: API) -> None:
    """Takes away the release, the pools of the tested namespaces and, with them, the definition."""
    with helm.Config(kubeconfig_content=admin(api), namespace=NAMESPACE) as config:
        config.uninstall(NAME, ignore_not_found=True)
    for namespace in (NAMESPACE, *WATCHED):
        path = f"/apis/agentpool.dev/v1alpha1/namespaces/{namespace}/agentpools"
        for pool in api.get(path)[1].get("items", []):
            api.merge(f"{path}/{pool['metadata']['name']}", {"metadata": {"finalizers": None}})
            api.delete(f"{path}/{pool['metadata']['name']}")
    api.delete(DEFINITIONS)
    if not eventually(lambda: not api.exists(DEFINITIONS), PATIENCE, 0.2):
        raise RuntimeError("the definition does not go: are there AgentPools with finalizers?")


def established(api: API) -> bool:
    conditions = api.get(DEFINITIONS)[1].get("status", {}).get("conditions", [])
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def pool_path(namespace: str, name: str = "") -> str:
    return f"/apis/agentpool.dev/v1alpha1/namespaces/{namespace}/agentpools" + (f"/{name}" if name else "")


def older_definition(checks: Checks, api: API, config: helm.Config) -> None:
    """A release whose definition knows no status conditions, and what an upgrade makes of it and of a pool under it."""
    with tempfile.TemporaryDirectory() as folder:
        old = Path(shutil.copytree(CHART, Path(folder) / "agentpool"))
        file = old / "files" / f"{DEFINITION}.yaml"
        definition = yaml.safe_load(file.read_text())
        version = definition["spec"]["versions"][0]
        status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
        del status["conditions"]
        version["additionalPrinterColumns"] = []
        file.write_text(yaml.safe_dump(definition))
        metadata = (old / "Chart.yaml").read_text().replace("\nversion: 0.1.0", "\nversion: 0.0.9")
        (old / "Chart.yaml").write_text(metadata)
        config.install(old, NAME, {}, namespace=NAMESPACE, timeout=PATIENCE)
    checks.holds("An older release is there", eventually(lambda: established(api), PATIENCE, 0.2))
    made = eventually(lambda: api.create(pool_path(WATCHED[0]), POOL)[0] in (201, 409), PATIENCE, 0.5)
    checks.holds("and a pool under its definition", made)
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "AllReady",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    write = {"status": {"conditions": [condition]}}
    path = pool_path(WATCHED[0], "kept") + "/status"

    def conditions() -> list[Any]:
        return api.merge(path, write)[1].get("status", {}).get("conditions", [])

    checks.equal("It drops conditions that are written", conditions(), [])
    uid = api.get(pool_path(WATCHED[0], "kept"))[1]["metadata"]["uid"]
    before = api.get(DEFINITIONS)[1]["metadata"]["uid"]
    config.upgrade(CHART, NAME, {}, namespace=NAMESPACE, timeout=PATIENCE)
    checks.holds("After the upgrade they stay", eventually(lambda: len(conditions()) == 1, PATIENCE, 0.5))
    after = api.get(DEFINITIONS)[1]
    checks.equal("The definition is the same object", after["metadata"]["uid"], before)
    columns = [column["name"] for column in after["spec"]["versions"][0]["additionalPrinterColumns"]]
    expected = Release().one("CustomResourceDefinition")["spec"]["versions"][0]["additionalPrinterColumns"]
    checks.equal("with the new one's columns", columns, [column["name"] for column in expected])
    kept = api.get(pool_path(WATCHED[0], "kept"))[1]["metadata"]["uid"]
    checks.equal("and the pool is the same object", kept, uid)


def install(checks: Checks, api: API, config: helm.Config) -> None:
    """What was sent is there, and its pods are admitted under the restricted standard."""
    for kind, namespace, name in Release().identities:
        if kind in PATHS and not name.endswith("-test"):
            checks.holds(
                f"{kind} {name} is there", api.exists(PATHS[kind].format(namespace=namespace, name=name))
            )
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All"
    template = Release().one("Deployment")["spec"]["template"]
    pod = {
        "metadata": {"name": "restricted", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }
    status, answer = api.create(pods, pod)
    checks.equal("The controller's pod is admitted", (status, answer.get("message")), (201, None))
    test = Release().one("Pod")
    status, answer = api.create(pods, {"metadata": {"name": "restricted"}, "spec": test["spec"]})
    checks.equal("and the test's pod", (status, answer.get("message")), (201, None))
    loose = copy.deepcopy(pod)
    del loose["spec"]["containers"][0]["securityContext"]["capabilities"]
    status, answer = api.create(pods, loose)
    checks.equal("A looser one is not: the standard is in force", status, 403)


PATHS = {
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/{name}",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/{name}",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts/{name}",
    "Service": "/api/v1/namespaces/{namespace}/services/{name}",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments/{name}",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/{name}",
}


def account(checks: Checks, api: API, config: helm.Config) -> None:
    """What the API server lets the account do, beside the chart's rules."""
    everybody = rights(api.rules("somebody", WATCHED[0]))

    def given(namespace: str) -> set[Right]:
        return rights(api.rules(ACCOUNT, namespace)) - everybody

    settled = eventually(lambda: given(WATCHED[0]) == called(), PATIENCE, 0.5)
    checks.holds("In any namespace: the chart's rules and nothing else", settled, len(called()))
    checks.equal("In its own: the lease besides", given(NAMESPACE) - called(), OWN)
    for namespace, verb, group, resource, name in BEYOND:
        allowed = api.may(ACCOUNT, verb, group, resource, namespace, name)
        where = f"in {namespace}" if namespace else "in the cluster"
        checks.holds(f"can't {verb} {resource} {name + ' ' if name else ''}{where}", not allowed)


def hooks(checks: Checks, api: API, config: helm.Config) -> None:
    """`helm test` with somebody who plays the node: the pool is made, the pod's end decides, both go."""
    pod = f"/api/v1/namespaces/{NAMESPACE}/pods/{NAME}-test"
    pool = pool_path(NAMESPACE, "agentpool-helm-test")
    seen: list[bool] = []

    def play(phase: str) -> threading.Thread:
        def end() -> None:
            if eventually(lambda: api.exists(pod), PATIENCE, 0.2):
                seen.append(api.exists(pool))
                api.merge(pod + "/status", {"status": {"phase": phase}})

        thread = threading.Thread(target=end)
        thread.start()
        return thread

    node = play("Succeeded")
    said = refusal(lambda: config.test(NAME, timeout=PATIENCE))
    node.join()
    checks.equal("A test whose pod succeeds passes", said, "")
    checks.equal("It made a pool first", seen, [True])
    gone = eventually(lambda: not api.exists(pod) and not api.exists(pool), PATIENCE, 0.2)
    checks.holds("and leaves neither pod nor pool behind", gone)
    node = play("Failed")
    said = refusal(lambda: config.test(NAME, timeout=PATIENCE))
    node.join()
    checks.holds("A test whose pod fails fails", f"{NAME}-test" in said, said)
    checks.holds("and leaves the pod to look at", api.exists(pod))
    api.delete(pod)


def namespaces(checks: Checks, api: API, config: helm.Config) -> None:
    """An upgrade to some namespaces takes the right to the others away."""
    watched = WATCHED[0]
    config.upgrade(CHART, NAME, {"watchNamespaces": [watched]}, namespace=NAMESPACE, timeout=PATIENCE)
    everybody = rights(api.rules("somebody", WATCHED[1]))
    settled = eventually(
        lambda: (
            rights(api.rules(ACCOUNT, WATCHED[1])) == everybody
            and rights(api.rules(ACCOUNT, watched)) - everybody == called()
        ),
        PATIENCE,
        0.5,
    )
    checks.holds("Watching one namespace, there is everything there and nothing elsewhere", settled)
    for group, resource in CALLS:
        if api.may(ACCOUNT, "list", group, resource):
            checks.holds(f"{resource} of all namespaces can't be listed", False)
    config.upgrade(CHART, NAME, {}, namespace=NAMESPACE, timeout=PATIENCE)


def uninstall(checks: Checks, api: API, config: helm.Config) -> None:
    """Uninstalling takes the controller and leaves the pools; the same release takes the definition up again."""
    released = Release()
    uid = api.get(pool_path(WATCHED[0], "kept"))[1]["metadata"]["uid"]
    information = config.uninstall(NAME, timeout=PATIENCE)["info"]
    checks.holds("Uninstalling says what it keeps", DEFINITION in information, information.strip() or None)
    left = [
        (kind, name)
        for kind, namespace, name in released.identities
        if kind in PATHS
        and kind != "CustomResourceDefinition"
        and not eventually(
            lambda path=PATHS[kind].format(namespace=namespace, name=name): not api.exists(path),
            PATIENCE,
            0.2,
        )
    ]
    checks.equal("Nothing of the controller is left", left, [])
    kept = api.get(pool_path(WATCHED[0], "kept"))[1].get("metadata", {}).get("uid")
    checks.equal("The pool is still there", kept, uid)

    with helm.Config(kubeconfig_content=admin(api), namespace=WATCHED[1]) as elsewhere:
        said = refusal(lambda: elsewhere.install(CHART, "other", {}, namespace=WATCHED[1], timeout=PATIENCE))
        checks.holds(
            "A release of another name does not take the definition", "cannot be imported" in said, said
        )
        elsewhere.uninstall("other", ignore_not_found=True)
        without: Document = {"crds": {"install": False}}
        elsewhere.install(CHART, "other", without, namespace=WATCHED[1], timeout=PATIENCE)
        checks.holds(
            "but may do without",
            api.exists(PATHS["Deployment"].format(namespace=WATCHED[1], name="other-agentpool")),
        )
        elsewhere.uninstall("other", timeout=PATIENCE)

    config.install(CHART, NAME, {}, namespace=NAMESPACE, timeout=PATIENCE)
    checks.holds(
        "The same release is installed anew",
        api.exists(PATHS["Deployment"].format(namespace=NAMESPACE, name=NAME)),
    )
    kept = api.get(pool_path(WATCHED[0], "kept"))[1]["metadata"]["uid"]
    checks.equal("and the pool is the same object as before", kept, uid)
