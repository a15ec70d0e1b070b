"""The script of `helm test`, run by the shell that its image has, against a server that needs a while."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import threading

from kit.checks import Checks
from release import NAME, NAMESPACE, Release


class Pool(http.server.BaseHTTPRequestHandler):
    """Answers 503 for a while, as a pool does that comes up, and then a chat."""

    refusals = 0
    bodies: list[dict[str, object]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = b'{"choices": [{"message": {"role": "assistant", "content": "Yes."}}]}'
        if type(self).refusals > 0:
            type(self).refusals -= 1
            self.send_error(503)
            return
        self.bodies.append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


def program(checks: Checks) -> None:
    """A pool that comes up, and one that doesn't."""
    values = {"watchNamespaces": ["shop", "support"]}
    pool = Release(values).one("AgentPool")["metadata"]
    checks.equal("The test's pool is where one is watched", pool["namespace"], "shop")
    checks.equal(
        "or in the release's namespace", Release().one("AgentPool")["metadata"]["namespace"], NAMESPACE
    )
    container = Release(values).one("Pod")["spec"]["containers"][0]
    address = next(variable["value"] for variable in container["env"] if variable["name"] == "URL")
    checks.equal(
        "It is asked by its Service's name", address, f"http://{pool['name']}.shop.svc/v1/chat/completions"
    )

    busybox = shutil.which("busybox")
    if busybox is None:
        checks.note("skipped: the script on busybox (it is not installed)")
        return
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pool)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def run(patience: int, port: int) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PATIENCE": str(patience),
            "URL": f"http://127.0.0.1:{port}/v1/chat/completions",
        }
        command = [busybox, *container["command"], *container["args"]]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    Pool.refusals = 2
    ended = run(60, server.server_address[1])
    checks.equal(
        "It waits for the pool and ends well", (ended.returncode, '"Yes."' in ended.stdout), (0, True)
    )
    checks.equal("having asked the agent once", [body["model"] for body in Pool.bodies], ["assistant"])
    server.shutdown()
    server.server_close()
    ended = run(2, server.server_address[1])
    checks.equal("Without a pool it fails", ended.returncode, 1)
    checks.holds("and says where to look", "kubectl describe agentpool" in ended.stderr)
    checks.holds(
        "The release's name is in the pod's", Release().one("Pod")["metadata"]["name"] == f"{NAME}-test"
    )
