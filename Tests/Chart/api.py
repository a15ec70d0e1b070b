"""A plain client of an API server that a kubeconfig names; every request has an end."""

from __future__ import annotations

import base64
import json
import os
import ssl
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

TIMEOUT = 30
Answer = tuple[int, dict[str, Any]]


class API:
    """Requests to one API server, as its kubeconfig's user or as somebody that this user may stand in for."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        context = named(config["contexts"], config["current-context"], "context")
        self.cluster = named(config["clusters"], context["cluster"], "cluster")
        user = named(config["users"], context["user"], "user")
        self.server: str = self.cluster["server"].rstrip("/")
        self.token: str | None = user.get("token")
        self.authority = material(self.cluster, "certificate-authority", kubeconfig.parent)
        self._context = ssl.create_default_context()
        if self.authority:
            self._context = ssl.create_default_context(cadata=self.authority)
        certificate = material(user, "client-certificate", kubeconfig.parent)
        if certificate:
            key = material(user, "client-key", kubeconfig.parent)
            with tempfile.NamedTemporaryFile("w") as pair:
                pair.write(certificate + "\n" + (key or ""))
                pair.flush()
                self._context.load_cert_chain(pair.name)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        content: str = "application/json",
        user: str | None = None,
    ) -> Answer:
        """The status and the object; whatever the status, but not where there is no answer."""
        request = urllib.request.Request(self.server + path, method=method)
        request.data = None if body is None else json.dumps(body).encode()
        request.add_header("Content-Type", content)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        if user:
            request.add_header("Impersonate-User", user)
            for group in ("system:serviceaccounts", "system:authenticated"):
                if user.startswith("system:serviceaccount:") or group == "system:authenticated":
                    request.add_header("Impersonate-Group", group)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT, context=self._context) as response:
                return response.status, json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, read(error.read())

    def get(self, path: str) -> Answer:
        return self.call("GET", path)

    def create(self, path: str, body: Any, user: str | None = None) -> Answer:
        return self.call("POST", path, body, user=user)

    def merge(self, path: str, body: Any) -> Answer:
        return self.call("PATCH", path, body, "application/merge-patch+json")

    def exists(self, path: str) -> bool:
        return self.get(path)[0] == 200

    def delete(self, path: str) -> Answer:
        return self.call("DELETE", path)

    def may(
        self, user: str, verb: str, group: str, resource: str, namespace: str = "", name: str = ""
    ) -> bool:
        """What `kubectl auth can-i` says of somebody else."""
        resource, _, subresource = resource.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": ["system:authenticated"], "resourceAttributes": attributes},
        }
        status, answer = self.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        if status != 201:
            raise RuntimeError(f"the API server answered {status}: {answer.get('message')}")
        return bool(answer["status"]["allowed"])

    def rules(self, user: str, namespace: str) -> list[dict[str, Any]]:
        """All that somebody may do in a namespace."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        status, answer = self.create(
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review, user=user
        )
        if status != 201:
            raise RuntimeError(f"the API server answered {status}: {answer.get('message')}")
        return answer["status"]["resourceRules"]

    def kubeconfig_of(self, namespace: str, account: str) -> dict[str, Any]:
        """A kubeconfig of a ServiceAccount, with a token for an hour."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        status, answer = self.create(path, request)
        if status != 201:
            raise RuntimeError(f"no token for {account}: {answer.get('message')}")
        cluster = {"server": self.server}
        if self.authority:
            cluster["certificate-authority-data"] = base64.b64encode(self.authority.encode()).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "account",
            "contexts": [{"name": "account", "context": {"cluster": "tested", "user": account}}],
            "clusters": [{"name": "tested", "cluster": cluster}],
            "users": [{"name": account, "user": {"token": answer["status"]["token"]}}],
        }


def named(entries: list[dict[str, Any]], name: str, key: str) -> dict[str, Any]:
    return next(entry[key] for entry in entries if entry["name"] == name)


def material(entry: dict[str, Any], key: str, folder: Path) -> str | None:
    """A certificate or key, written into the kubeconfig or named by it."""
    if data := entry.get(f"{key}-data"):
        return base64.b64decode(data).decode()
    if path := entry.get(key):
        return (folder / path).read_text()
    return None


def read(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body or b"{}")
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"message": body.decode(errors="replace")}


def from_environment() -> API | None:
    """The API server that `AGENTPOOL_TEST_KUBECONFIG` names."""
    path = os.environ.get("AGENTPOOL_TEST_KUBECONFIG")
    return API(Path(path)) if path else None
