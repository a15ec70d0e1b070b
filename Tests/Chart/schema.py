"""Values that the chart takes, and values that it refuses, each with words that name the place and the mend."""

from __future__ import annotations

import json
import re
from typing import Any

import helm_python as helm
import yaml
from kit.checks import Checks
from release import CHART, Release, refusal

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"replicaCount": 3}, "additional properties 'replicaCount' not allowed", "an unknown key"),
    (
        {"image": {"name": "agentpool"}},
        "at '/image': additional properties 'name' not allowed",
        "an unknown key further down",
    ),
    ({"replicas": "2"}, "at '/replicas': got string, want integer", "a number in quotes"),
    (
        {"replicas": 100},
        "at '/replicas': maximum: got 100, want 9",
        "more replicas than stand-bys make sense",
    ),
    ({"replicas": None}, "missing property 'replicas'", "a value taken away"),
    (
        {"image": {"tag": 1.5}},
        "at '/image/tag': got number, want string",
        "a tag that YAML reads as a number",
    ),
    ({"image": {"tag": "a/b"}}, "at '/image/tag': 'a/b' does not match", "a tag that is a path"),
    (
        {"image": {"repository": "agentpool:1"}},
        "at '/image/repository': 'agentpool:1' does not match",
        "a tag in the repository",
    ),
    (
        {"image": {"digest": "abc"}},
        "at '/image/digest': 'abc' does not match pattern '^(sha256:",
        "a digest without its kind",
    ),
    (
        {"image": {"pullPolicy": "always"}},
        "one of 'Always', 'IfNotPresent', 'Never'",
        "an unknown pull policy",
    ),
    (
        {"watchNamespaces": "shop,support"},
        "at '/watchNamespaces': got string, want array",
        "namespaces as one string",
    ),
    (
        {"watchNamespaces": ["Shop"]},
        "at '/watchNamespaces/0': 'Shop' does not match",
        "a namespace that can't be one",
    ),
    (
        {"watchNamespaces": ["a", "a"]},
        "at '/watchNamespaces': items at 0 and 1 are equal",
        "a namespace twice",
    ),
    ({"logLevel": "verbose"}, "one of 'trace', 'debug', 'info'", "an unknown level"),
    ({"workers": 0}, "at '/workers': minimum: got 0, want 1", "no worker"),
    ({"kubeAPI": {"qps": 0.5}}, "at '/kubeAPI/qps': got number, want integer", "half a request a second"),
    ({"keda": {"namespace": ""}}, "at '/keda/namespace': '' does not match", "a namespace without a name"),
    (
        {"resources": {"limits": {"memory": "lots"}}},
        "at '/resources/limits/memory': 'lots' does not match",
        "an amount that is none",
    ),
    (
        {"resources": {"request": {"cpu": 1}}},
        "at '/resources': additional properties 'request'",
        "a misspelt key of Kubernetes",
    ),
    ({"tolerations": [{"key": "a", "operator": "Is"}]}, "one of 'Exists', 'Equal'", "an unknown operator"),
    (
        {"affinity": {"nodeAfinity": {}}},
        "at '/affinity': additional properties 'nodeAfinity'",
        "a misspelt affinity",
    ),
    (
        {"imagePullSecrets": ["registry"]},
        "at '/imagePullSecrets/0': got string, want object",
        "a pull secret by its name alone",
    ),
    (
        {"podAnnotations": {"scrape": True}},
        "at '/podAnnotations/scrape': got boolean, want string",
        "an annotation without quotes",
    ),
    (
        {"nodeSelector": {"gpu": 1}},
        "at '/nodeSelector/gpu': got number, want string",
        "a node label without quotes",
    ),
    (
        {"metrics": {"serviceMonitor": {"interval": "30"}}},
        "at '/metrics/serviceMonitor/interval'",
        "a duration without a unit",
    ),
    (
        {"serviceAccount": {"create": False}},
        "at '/serviceAccount/name': minLength: got 0, want 1",
        "nobody's account",
    ),
    (
        {"test": {"timeoutSeconds": 1}},
        "at '/test/timeoutSeconds': minimum: got 1, want 10",
        "a test without time",
    ),
    (
        {"podLabels": {"app.kubernetes.io/name": "x"}},
        "podLabels sets app.kubernetes.io/name, by which the chart finds its pods: choose another label",
        "a label of the chart's own",
    ),
    (
        {"metrics": {"serviceMonitor": {"enabled": True}}, "monitoringNamespaces": []},
        "name Prometheus's namespace in monitoringNamespaces",
        "a monitor that nobody lets in",
    ),
]

TAKEN: list[tuple[dict[str, Any], str]] = [
    ({}, "nothing at all"),
    ({"global": {"region": "x"}, "enabled": True}, "what a parent chart passes"),
    (
        {"image": {"repository": "registry.example:5000/ai/agentpool", "tag": "0.1.0-rc.1"}},
        "a registry with a port",
    ),
    ({"image": {"digest": "sha256:" + "0" * 64}}, "a digest"),
    ({"resources": {}}, "no amounts"),
    ({"resources": {"requests": {"cpu": 1, "memory": "1.5Gi"}}}, "whole CPUs"),
    ({"serviceAccount": {"create": False, "name": "operators"}}, "an account that is there"),
    ({"replicas": 0}, "no replicas, to hold the controller still"),
    ({"watchNamespaces": ["shop", "support-2"]}, "some namespaces"),
    (
        {"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]},
        "a toleration",
    ),
]


def program(checks: Checks) -> None:
    """Tries every value of the tables, and holds the schema against values.yaml."""
    for values, words, name in REFUSED:
        said = refusal(lambda values=values: Release(values))
        checks.holds(f"Refused: {name}", words in said, said.strip().splitlines()[-1] if said else "taken")
    for values, name in TAKEN:
        checks.equal(f"Taken: {name}", refusal(lambda values=values: Release(values)), "")

    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    unset = {"global", "enabled"}
    checks.equal(
        "Each value has a default in values.yaml", (set(schema["properties"]) - unset) ^ set(defaults), set()
    )
    table = (CHART / "README.md").read_text()
    unlisted = [name for name in defaults if not re.search(rf"`{name}[`.]", table)]
    checks.equal("and a line in the chart's README", unlisted, [])
    checks.equal("Each object of the schema is closed, and each value described", unsaid(schema, ""), [])
    with helm.Chart.load(CHART) as chart:
        checks.holds("The schema is the one that Helm reads", chart.schema == schema)


def unsaid(schema: dict[str, Any], path: str) -> list[str]:
    """Where the schema leaves an object open that Kubernetes doesn't check, or a value without a word."""
    found = []
    for name, value in schema.get("properties", {}).items():
        here = f"{path}/{name}"
        opaque = path == "/affinity" or here.startswith(("/topologySpreadConstraints", "/global"))
        if "description" not in value and path in ("", "/image", "/serviceAccount", "/rbac"):
            found.append(f"{here} has no description")
        if value.get("type") == "object" and "additionalProperties" not in value and not opaque:
            found.append(f"{here} is open")
        found += unsaid(value, here)
    return found
