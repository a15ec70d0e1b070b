"""`agentpool purge` forgets a whole pool: nothing of it is left in any store, all of its neighbour's is, and no running pool goes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from kit.checks import Checks, alone, eventually
from kit.client import Client
from kit.model import ModelServer
from kit.server_rows import read_servers
from kit.servers import Servers
from kit.worker import Worker, manifest

COLLECTION = "purged"
TURNS = 5  # two memories of two turns, and a turn that is in none
FACT = "my locker code is 4711 zebra"


def purge(worker: Worker, *options: str) -> tuple[int, str]:
    """The exit code and all that it says."""
    command = [worker.program, "purge", *options]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    return done.returncode, done.stdout.strip()


def tell(worker: Worker, user: str) -> Client:
    client = Client(worker.port, user)
    for number in range(TURNS):
        turn = client.chat(f"{FACT} {number}", "talk")
        if not turn.acknowledged:
            raise RuntimeError(f"a turn was not acknowledged: {turn.status} {turn.error}")
    return client


def knows(client: Client) -> tuple[int, int]:
    """Messages of the session, and memories found."""
    exists = client.ask("GET", "/v1/sessions/talk").status == 200
    return len(client.history("talk")) if exists else 0, len(client.search("what is the locker code?"))


def ended(checks: Checks, what: str, worker: Worker) -> None:
    worker.terminate()
    checks.equal(f"{what}: the worker ends", worker.wait(30), 0)


def on_files(checks: Checks, model: ModelServer) -> None:
    with Worker(manifest(model, memory={"buffer": {"rounds": 2}})) as worker:
        here = ["-f", str(worker.file), "--data", str(worker.data)]
        client = tell(worker, "ria")
        code, said = purge(worker, *here, "--yes")
        checks.holds("files: not while a worker has them", code == 1 and "another process has it open" in said, said)
        checks.equal("files: and nothing went", knows(client)[0], 2 * TURNS)
        ended(checks, "files", worker)
        code, said = purge(worker, *here)
        checks.holds("files: not where nobody can be asked", code == 2 and "--yes" in said, said)
        checks.equal("files: it says what went", purge(worker, *here, "--yes"), (0, "forgotten: the embedded file"))
        checks.equal("files: a second time is well", purge(worker, *here, "--yes")[0], 0)
        left = sorted(path.name for path in worker.data.iterdir())
        checks.equal("files: only the lock is left", left, ["memory.sqlite.lock"])
        worker.start()
        checks.equal("files: the pool begins anew", knows(client), (0, 0))


def on_servers(checks: Checks, model: ModelServer, cluster: bool) -> None:
    name = "Cluster and Milvus" if cluster else "Redis and Milvus"
    with Servers() as servers:
        redis = servers.cluster() if cluster else [servers.redis()]
        milvus = servers.milvus()

        def pool(scope: str) -> str:
            memory: dict[str, Any] = {
                "scope": scope,
                "redis": {
                    "mode": "Cluster" if cluster else "Standalone",
                    "addresses": [f"127.0.0.1:{redis[0]}"],
                    "waitReplicas": int(cluster),
                },
                "milvus": {"address": f"http://127.0.0.1:{milvus}", "collection": COLLECTION},
                "buffer": {"rounds": 2},
            }
            return manifest(model, memory=memory)

        with Worker(pool("shop/doomed")) as doomed, Worker(pool("shop/neighbour")) as neighbour:
            users = [f"user-{number}" for number in range(8)]
            clients = [tell(doomed, user) for user in users]
            other = tell(neighbour, users[0])

            def memories() -> int:
                return sum(len(ranges) for ranges in read_servers(redis, milvus, COLLECTION).memories.values())

            # All sessions have one name, so their memories stand under it together.
            archived = eventually(lambda: memories() == 2 * len(users) + 2, 60, 0.5)
            checks.holds(f"{name}: both pools have memories", archived, memories())
            config = worker_config(doomed)
            job = ["--config", str(config), "--secrets", str(doomed.folder), "--data", str(doomed.data)]
            code, said = purge(doomed, *job)
            checks.holds(f"{name}: not while a worker runs", code == 1 and "workers of shop/doomed run" in said, said)
            checks.equal(f"{name}: and nothing went", [knows(c)[0] for c in clients], [2 * TURNS] * len(users))
            ended(checks, name, doomed)
            code, said = purge(doomed, *job)
            wanted = f"{2 * len(users)} memories in Milvus"
            checks.holds(f"{name}: it says what went", code == 0 and wanted in said, said)
            again = "forgotten: 0 keys in Redis, 0 memories in Milvus"
            checks.equal(f"{name}: a second time finds nothing", purge(doomed, *job), (0, again))
            rows = read_servers(redis, milvus, COLLECTION)
            checks.equal(f"{name}: the neighbour's memories are there", rows.memories, {"talk": [(1, 2), (3, 4)]})
            checks.equal(f"{name}: and its turns", {n: len(t) for n, t in rows.turns.items()}, {"talk": TURNS})
            checks.equal(f"{name}: it recalls them", (knows(other)[0], knows(other)[1] > 0), (2 * TURNS, True))
            doomed.start()
            checks.equal(f"{name}: the pool begins anew", [knows(c) for c in clients], [(0, 0)] * len(users))


def worker_config(worker: Worker) -> Path:
    """What the controller would write for it."""
    pool = json.loads(worker.file.read_text())
    path = worker.folder / "worker.json"
    reference = {"namespace": "default", "name": pool["metadata"]["name"]}
    path.write_text(json.dumps({"version": 1, "pool": reference, "spec": pool["spec"]}))
    return path


def program(checks: Checks) -> None:
    model = ModelServer()
    on_files(checks, model)
    for cluster in (False, True):
        on_servers(checks, model, cluster)
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
