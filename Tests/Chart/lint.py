"""Helm's own linter, the versions of Kubernetes that the chart admits, and what the chart has in common with the repository."""

from __future__ import annotations

import re

import helm_python as helm
import yaml
from kit.checks import Checks
from release import CHART, DEFINITION, ROOT, Release


def program(checks: Checks) -> None:
    """Lints, and compares the chart with what else the repository says."""
    report = helm.lint(CHART, strict=True)
    checks.equal("Helm lints the chart without an error", report["errors"], [])
    worse_than_information = [message for message in report["messages"] if message["severity"] > 1]
    checks.equal("and without a warning", worse_than_information, [])

    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text())
    admits = metadata["kubeVersion"]
    checks.equal(
        "The chart admits Kubernetes 1.28 and newer, also the versions that clouds name", admits, ">=1.28.0-0"
    )
    command = (ROOT / "Sources/agentpool/AgentPoolCommand.swift").read_text()
    version = re.search(r'version: "([^"]+)"', command)
    checks.equal("appVersion is the binary's", metadata["appVersion"], version and version.group(1))

    original = (ROOT / "crds" / f"{DEFINITION}.yaml").read_bytes()
    copy = (CHART / "files" / f"{DEFINITION}.yaml").read_bytes()
    checks.holds("The chart's definition is the one in crds/, byte for byte", original == copy)
    rendered = Release().one("CustomResourceDefinition")
    checks.holds("and it is what a release sends", rendered == yaml.safe_load(original))
    keep = rendered["metadata"]["annotations"].get("helm.sh/resource-policy")
    checks.equal("Helm keeps it when the release goes", keep, "keep")
    with helm.Chart.load(CHART) as chart:
        checks.equal("It is a template, so an upgrade upgrades it", chart.crds, [])
    without = Release({"crds": {"install": False}})
    checks.equal("crds.install: false leaves it out", without.of_kind("CustomResourceDefinition"), [])
    checks.holds("and the notes say what that asks for", "as new as this version" in without.notes)

    image(checks)


def image(checks: Checks) -> None:
    """What the chart takes for granted of the image, and the image of the sources."""
    lines = (ROOT / "Dockerfile").read_text()
    final = lines[lines.rindex("\nFROM ") :]
    pod = Release().pod
    user = pod["securityContext"]["runAsUser"]
    checks.holds(
        "The image's user is the pod's",
        f"USER {user}:{pod['securityContext']['runAsGroup']}\n" in final,
        user,
    )
    names = (ROOT / "Sources/PoolAPI/PoolNames.swift").read_text()
    binary = re.search(r'static let binary = "([^"]+)"', names)
    entry = re.search(r'^ENTRYPOINT \["([^"]+)"\]$', final, re.M)
    checks.holds("The image's entry point is the binary where hooks look for it", bool(binary and entry))
    checks.equal("and the same path", entry and entry.group(1), binary and binary.group(1))
    data = re.search(r'static let data = "([^"]+)"', names)
    checks.holds("The image's home is where workers keep data", f"HOME={data and data.group(1)} " in final)
    port = pod["containers"][0]["ports"][0]["containerPort"]
    checks.holds(
        "The image exposes the pod's port", bool(re.search(rf"^EXPOSE .*\b{port}\b", final, re.M)), port
    )
    checks.holds("The last stage begins with nothing", final.startswith("\nFROM scratch"))
    copied = re.findall(r"^COPY ((?:[\w./*-]+ )+)", lines, re.M)
    sources = [source for group in copied for source in group.split()]
    manifest = (ROOT / "Package.swift").read_text()
    paths = re.findall(r'path: "([^"]+)"', manifest)
    missing = [path for path in paths if not any((path + "/").startswith(source + "/") for source in sources)]
    checks.equal("Every folder that Package.swift names is copied into the build", missing, [])
    admitted = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.M)
    kept_out = [
        source
        for source in sources
        if not any((source.replace("*", "swift") + "/").startswith(path + "/") for path in admitted)
    ]
    checks.equal("and .dockerignore lets all in that is copied", kept_out, [])
