"""The roles beside the calls that the controller makes: no more, and no less."""

from __future__ import annotations

import re
from typing import Any

from kit.checks import Checks
from release import NAME, NAMESPACE, ROOT, Document, Release

READ = {"get", "list", "watch"}
CHILD = READ | {"create", "patch", "delete"}

# What the controller asks of the API server in a namespace that it watches: (group, resource) and the verbs.
CALLS: dict[tuple[str, str], set[str]] = {
    ("agentpool.dev", "agentpools"): READ | {"patch"},
    ("agentpool.dev", "agentpools/status"): {"patch"},
    # Nothing is sent there: admission asks for it where an owner reference says blockOwnerDeletion.
    ("agentpool.dev", "agentpools/finalizers"): {"update"},
    ("", "serviceaccounts"): CHILD,
    ("", "configmaps"): CHILD,
    ("", "services"): CHILD,
    ("", "persistentvolumeclaims"): CHILD,
    ("apps", "deployments"): CHILD,
    ("batch", "jobs"): CHILD,
    ("autoscaling", "horizontalpodautoscalers"): CHILD,
    ("policy", "poddisruptionbudgets"): CHILD,
    ("networking.k8s.io", "ingresses"): CHILD,
    ("networking.k8s.io", "networkpolicies"): CHILD,
    ("gateway.networking.k8s.io", "httproutes"): CHILD,
    ("keda.sh", "scaledobjects"): CHILD,
    ("apps", "replicasets"): {"list", "watch"},
    ("", "pods"): {"list", "patch"},
    ("events.k8s.io", "events"): {"create", "patch"},
}

# In its own namespace: the lease by its name, and the making of it.
OWN: set[tuple[str, str, str, str]] = {
    ("coordination.k8s.io", "leases", "", "create"),
    ("coordination.k8s.io", "leases", NAME, "get"),
    ("coordination.k8s.io", "leases", NAME, "update"),
}

# Kinds that the sources name and the controller never asks for; what a cluster serves it reads by discovery, which everybody may.
UNASKED = {("apiextensions.k8s.io", "customresourcedefinitions"), ("", "namespaces")}

Right = tuple[str, str, str, str]


def rights(rules: list[dict[str, Any]]) -> set[Right]:
    """Rules as (group, resource, name or empty, verb)."""
    return {
        (group, resource, name, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


def called() -> set[Right]:
    """The table of calls, in the form of rights."""
    return {(group, resource, "", verb) for (group, resource), verbs in CALLS.items() for verb in verbs}


def role(release: Release, kind: str, namespace: str, name: str) -> Document:
    return next(
        document
        for document in release.of_kind(kind)
        if (document["metadata"].get("namespace", ""), document["metadata"]["name"]) == (namespace, name)
    )


def program(checks: Checks) -> None:
    """Compares the roles with the table of calls, for all namespaces and for some."""
    release = Release()
    everywhere = rights(role(release, "ClusterRole", "", f"{NAMESPACE}:{NAME}")["rules"])
    compare(checks, "The ClusterRole", everywhere, called())
    election = rights(role(release, "Role", NAMESPACE, f"{NAME}-election")["rules"])
    compare(checks, "The Role of the release's namespace", election, OWN)

    some = Release({"watchNamespaces": ["shop", "support"]})
    for namespace in ("shop", "support"):
        compare(
            checks, f"The Role in {namespace}", rights(role(some, "Role", namespace, NAME)["rules"]), called()
        )
        binding = role(some, "RoleBinding", namespace, NAME)
        checks.equal(
            f"and it is bound there to the account of {NAMESPACE}",
            binding["subjects"][0]["namespace"],
            NAMESPACE,
        )
    bound = [binding["metadata"]["name"] for binding in some.of_kind("ClusterRoleBinding")]
    checks.equal("With namespaces nothing is bound in the whole cluster", bound, [])
    elsewhere = rights(role(some, "Role", "default", f"{NAMESPACE}:{NAME}:events")["rules"])
    compare(checks, "The Role in default", elsewhere, {("events.k8s.io", "events", "", "create")})
    checks.holds("and the controller is told so", "--namespaces=shop,support" in some.arguments)

    for name, each in (("all namespaces", release), ("some", some)):
        rules = [
            rule
            for document in each.of_kind("ClusterRole") + each.of_kind("Role")
            if not document["metadata"]["name"].endswith((":view", ":edit"))
            for rule in document["rules"]
        ]
        written = {right[:2] + (right[3],) for right in rights(rules)}
        checks.holds(f"{name}: no wildcard", not any("*" in part for right in written for part in right))
        secrets = [right for right in written if right[1].startswith("secrets")]
        checks.equal(f"{name}: no Secret can be read or written", secrets, [])
        powers = {
            "roles",
            "rolebindings",
            "clusterroles",
            "clusterrolebindings",
            "pods/exec",
            "serviceaccounts/token",
        }
        checks.equal(f"{name}: no power over other powers", {right[1] for right in written} & powers, set())
        verbs = {right[2] for right in written} & {"escalate", "bind", "impersonate", "deletecollection"}
        checks.equal(f"{name}: no verb that reaches further", verbs, set())
    users(checks, release)
    known(checks)
    compare(checks, "docs/install.md", documented(), called())


def documented() -> set[Right]:
    """The rights that docs/install.md lists, without the election's."""
    text = (ROOT / "docs/install.md").read_text()
    section = text[text.index("\n## Rights\n") : text.index("\n## Some namespaces only\n")]
    found: set[Right] = set()
    verbs: list[str] = []
    for group, resources, listed in re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|", section, re.M):
        if group == "group" or group.startswith("---") or "leases" in resources:
            continue
        verbs = verbs if listed == "the same" else listed.split(", ")
        group = "" if group == "core" else group.strip("`")
        found |= {(group, resource, "", verb) for resource in resources.split(", ") for verb in verbs}
    return found


def compare(checks: Checks, name: str, given: set[Right], asked: set[Right]) -> None:
    checks.equal(f"{name} grants nothing that isn't asked for", sorted(given - asked), [])
    checks.equal(f"{name} grants all that is asked for", sorted(asked - given), [])


def users(checks: Checks, release: Release) -> None:
    """The roles that the cluster's view, edit and admin take up."""
    view = role(release, "ClusterRole", "", f"{NAMESPACE}:{NAME}:view")
    edit = role(release, "ClusterRole", "", f"{NAMESPACE}:{NAME}:edit")
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    for document, expected in ((view, {"view", "edit", "admin"}), (edit, {"edit", "admin"})):
        labels = {
            key.removeprefix(prefix) for key in document["metadata"]["labels"] if key.startswith(prefix)
        }
        checks.equal(f"{document['metadata']['name']} is part of the cluster's roles", labels, expected)
    reading = {right[3] for right in rights(view["rules"])}
    checks.equal("Who may view reads only", reading, READ)
    writing = {right[1] for right in rights(edit["rules"])}
    checks.equal("Who may edit writes no status", writing, {"agentpools", "agentpools/scale"})
    without = Release({"rbac": {"aggregateToUserRoles": False}})
    checks.equal("Without aggregation they are left out", len(without.of_kind("ClusterRole")), 1)


def known(checks: Checks) -> None:
    """Every kind that the sources name is in the table, so that a new child can't be forgotten here."""
    files = sorted((ROOT / "Sources/Kubernetes").rglob("*.swift"))
    texts = [text for text in (file.read_text() for file in files) if "static let" in text]
    pattern = r'group:\s*"([^"]*)",\s*version:\s*"[^"]*",\s*kind:\s*"[^"]*",\s*plural:\s*"([^"]*)"'
    named = {(group, plural) for text in texts for group, plural in re.findall(pattern, text)}
    checks.holds("The sources name the kinds that the controller works with", len(named) > 10, len(named))
    asked = set(CALLS) | {right[:2] for right in OWN} | UNASKED
    checks.equal("and each of them is in the table of calls", sorted(named - asked), [])
