"""The chart as Helm renders it: documents, found by kind and name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml
from kit.checks import Checks

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "agentpool"
GOLDEN = Path(__file__).resolve().parent / "golden"
NAME = "agentpool"
NAMESPACE = "agentpool-system"
DEFINITION = "agentpools.agentpool.dev"

Document = dict[str, Any]


class Release:
    """What one install would send to the API server."""

    def __init__(self, values: Document | None = None, name: str = NAME, namespace: str = NAMESPACE) -> None:
        with helm.Chart.load(CHART) as chart:
            rendered = chart.render(values or {}, name=name, namespace=namespace)
        self.notes = rendered.pop("agentpool/templates/NOTES.txt")
        self.by_template: dict[str, list[Document]] = {
            template.removeprefix("agentpool/templates/"): [
                document for document in yaml.safe_load_all(text) if document
            ]
            for template, text in sorted(rendered.items())
        }

    @property
    def documents(self) -> list[Document]:
        return [document for documents in self.by_template.values() for document in documents]

    def of_kind(self, kind: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Document:
        """The only document of a kind, or of a kind and a name; a `LookupError` where it isn't so."""
        found = [document for document in self.of_kind(kind) if name in (None, document["metadata"]["name"])]
        if len(found) != 1:
            raise LookupError(f"{len(found)} documents of kind {kind}, name {name}")
        return found[0]

    @property
    def pod(self) -> Document:
        """The spec of the controller's pods."""
        return self.one("Deployment")["spec"]["template"]["spec"]

    @property
    def arguments(self) -> list[str]:
        return self.pod["containers"][0]["args"]

    @property
    def identities(self) -> list[tuple[str, str, str]]:
        """(kind, namespace, name) of every document."""
        return [
            (document["kind"], document["metadata"].get("namespace", ""), document["metadata"]["name"])
            for document in self.documents
        ]


def refusal(action: Callable[[], object]) -> str:
    """What Helm says against it; empty where it says nothing."""
    try:
        action()
    except helm.HelmError as error:
        return str(error)
    return ""


def golden(checks: Checks, name: str, documents: list[Document]) -> None:
    """Compares with a file; `AGENTPOOL_UPDATE_GOLDEN=1` writes it."""
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("AGENTPOOL_UPDATE_GOLDEN") == "1":
        path.write_text(yaml.safe_dump_all(documents, sort_keys=True, width=110))
    expected = list(yaml.safe_load_all(path.read_text())) if path.exists() else []
    seen = {str(document["kind"]) + "/" + document["metadata"]["name"]: document for document in documents}
    wanted = {str(document["kind"]) + "/" + document["metadata"]["name"]: document for document in expected}
    differing = sorted(key for key in seen.keys() | wanted.keys() if seen.get(key) != wanted.get(key))
    checks.holds(f"what is rendered equals golden/{name}.yaml", documents == expected, differing or None)
