"""Redis over TLS with client certificates and a user of its ACL: through a manifest's Secrets, and through mounted ones."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

from kit.checks import Checks, alone, eventually
from kit.client import Answer, Client
from kit.model import ModelServer
from kit.servers import Servers
from kit.worker import Worker, binary, manifest

NAME = "redis.test"  # what the server's certificate is for
USER, PASSWORD = "agent", "only-for-this-test"
RIGHTS = "~agentpool:* &agentpool:* +@all -@dangerous +info"
CLIENT = {"caSecretRef": {"name": "redis-ca", "key": "ca.crt"}, "certificateSecretRef": {"name": "redis-client"}}


def certificates(folder: Path) -> None:
    """Two authorities; of the first a server's and a client's certificate, of the second a stranger's."""
    folder.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    for authority in ("ca", "other-ca"):
        files = ["-keyout", f"{authority}.key", "-out", f"{authority}.pem"]
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, "-days", "2", "-subj", f"/CN={authority}")
    for name, authority in (("server", "ca"), ("client", "ca"), ("stranger", "other-ca")):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.csr"]
        openssl("req", "-newkey", "rsa:2048", "-nodes", *files, "-subj", f"/CN={name}")
        (folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{NAME}\n")
        signer = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial"]
        openssl(
            "x509", "-req", "-in", f"{name}.csr", *signer, "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem"
        )


class Secured:
    """The server, and manifests of a pool on it."""

    def __init__(self, servers: Servers, model: ModelServer) -> None:
        self.home = servers.folder / "certificates"
        certificates(self.home)
        users = servers.folder / "users.acl"
        users.write_text(f"user default off\nuser {USER} on >{PASSWORD} {RIGHTS}\n")
        self.port = servers.redis_with_tls(self.home, "--aclfile", str(users))
        self.model = model

    def read(self, name: str) -> str:
        return (self.home / name).read_text()

    def certificate(self, name: str) -> dict[str, str]:
        return {"tls.crt": self.read(f"{name}.pem"), "tls.key": self.read(f"{name}.key")}

    def pool(
        self,
        authority: str = "ca.pem",
        certificate: dict[str, str] | None = None,
        server: str = NAME,
        tls: dict[str, Any] = CLIENT,
    ) -> str:
        secrets = {
            "redis": {"username": USER, "password": PASSWORD},
            "redis-ca": {"ca.crt": self.read(authority)},
            "redis-client": certificate or self.certificate("client"),
        }
        redis: dict[str, Any] = {"addresses": [f"127.0.0.1:{self.port}"], "secretRef": {"name": "redis"}}
        redis |= {"tls": {**tls, "serverName": server}, "waitReplicas": 0}
        return manifest(self.model, secrets, memory={"redis": redis})


def readiness(worker: Worker) -> Answer:
    return Client(worker.admin_port).ask("GET", "/readyz")


def gets_along(checks: Checks, secured: Secured) -> None:
    with Worker(secured.pool()) as worker:
        ready = eventually(lambda: readiness(worker).status == 200, 60, 0.2)
        checks.holds("with authority, certificate, name and user the pool is ready", ready, readiness(worker).body)
        client = Client(worker.port, "ria")
        checks.holds("a turn is acknowledged", client.chat("remember the tulips", "talk").acknowledged)
        copies = [path for path in (worker.data / "tls").rglob("*") if path.is_file()]
        modes = {oct(stat.S_IMODE(path.stat().st_mode)) for path in copies}
        checks.equal("copies of the Secrets are its user's alone", (len(copies), modes), (3, {"0o600"}))
        log = worker.log.read_text()
        secret = secured.read("client.key").splitlines()[1]
        checks.holds("neither key nor password is in its log", secret not in log and PASSWORD not in log)
        worker.kill()
        worker.start()
        eventually(lambda: readiness(worker).status == 200, 60, 0.2)
        tier = client.chat("and now?", "talk").headers.get("x-memory-tier")
        checks.equal("after SIGKILL the session comes from Redis", tier, "l2")


def is_refused(checks: Checks, what: str, text: str) -> None:
    with Worker(text) as worker:
        told = eventually(lambda: b"session store fails" in readiness(worker).body, 60, 0.2)
        answer = readiness(worker)
        checks.holds(f"{what}: not ready", told and answer.status == 503, answer.body)
        turn = Client(worker.port, "ria", timeout=60).chat("hello", "talk")
        checks.holds(f"{what}: a turn gets an error", not turn.acknowledged and turn.status >= 500, turn.status)


def says_what_is_missing(checks: Checks, text: str) -> None:
    try:
        with Worker(text):
            said = "it started"
    except RuntimeError as error:
        said = str(error).splitlines()[-1]
    named = "spec.memory.redis.tls.certificateSecretRef" in said and "tls.key" in said
    checks.holds("a Secret without its key: the worker says so and ends", named, said)


def mounted(checks: Checks, secured: Secured) -> None:
    """As in a pod: Secrets as files, which are used where they are. A purge needs no more than that."""
    documents = [json.loads(part) for part in secured.pool().split("\n---\n")]
    folder = secured.home.parent / "pod"
    for secret in documents[1:]:
        place = folder / "secrets" / secret["metadata"]["name"]
        place.mkdir(parents=True)
        for key, value in secret["stringData"].items():
            (place / key).write_text(value)
    config = folder / "worker.json"
    reference = {"namespace": "default", "name": "acceptance"}
    config.write_text(json.dumps({"version": 1, "pool": reference, "spec": documents[0]["spec"]}))
    data = folder / "data"

    def purge() -> tuple[int, str]:
        command = [binary(), "purge", "--config", str(config), "--secrets", str(folder / "secrets")]
        done = subprocess.run([*command, "--data", str(data)], capture_output=True, text=True, timeout=120)
        return done.returncode, (done.stdout + done.stderr).strip()

    code, said = purge()
    checks.holds("with mounted Secrets the pool's keys are forgotten", code == 0 and "keys in Redis" in said, said)
    checks.holds("and no copy of them was made", not data.exists())
    for key, file in (("tls.crt", "stranger.pem"), ("tls.key", "stranger.key")):
        shutil.copy(secured.home / file, folder / "secrets" / "redis-client" / key)
    code, said = purge()
    checks.holds("with a stranger's certificate in its place nothing is", code == 1 and "Redis at" in said, said)


def program(checks: Checks) -> None:
    model = ModelServer()
    with Servers() as servers:
        secured = Secured(servers, model)
        gets_along(checks, secured)
        is_refused(checks, "without a certificate", secured.pool(tls={"caSecretRef": CLIENT["caSecretRef"]}))
        is_refused(checks, "with a stranger's", secured.pool(certificate=secured.certificate("stranger")))
        is_refused(checks, "another authority is trusted", secured.pool(authority="other-ca.pem"))
        is_refused(checks, "another server is meant", secured.pool(server="other.test"))
        says_what_is_missing(checks, secured.pool(certificate={"tls.crt": secured.read("client.pem")}))
        mounted(checks, secured)
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
