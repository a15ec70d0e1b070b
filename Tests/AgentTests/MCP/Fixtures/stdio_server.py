"""A stand-in tool server over standard input and output that can behave badly, in either era of the Model Context Protocol.

Arguments are modes. `older` makes it a server of the older era, `mute` one that answers nothing before `initialize`, `fragile` one that
ends over it. Its tools: `look` echoes its arguments, `die` ends it, `hang` never answers, `where` tells its environment and open files,
`said` what it was told besides requests, `flood` answers two million characters, `nap` answers late and reports how far it is, `ask` asks
the client something first. Standard library only.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

MODERN = "2026-07-28"
VERSION = "io.modelcontextprotocol/protocolVersion"
modes = set(sys.argv[1:])
lock = threading.Lock()
told = []
initialized = False


def write(text):
    with lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def send(**message):
    write(json.dumps({"jsonrpc": "2.0", **message}))


def text(what):
    return {"content": [{"type": "text", "text": what}], "resultType": "complete"}


def call(number, name, arguments, meta):
    if name == "die":
        os._exit(3)
    if name == "hang":
        return
    if name == "where":
        files = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{n}")]
        answer = json.dumps({"environment": dict(os.environ), "files": files, "pid": os.getpid(), "group": os.getpgid(0)})
    elif name == "said":
        answer = json.dumps(told)
    elif name == "flood":
        answer = "f" * 2_000_000
    elif name == "nap":
        for step in range(arguments.get("steps", 2)):
            send(method="notifications/progress", params={"progressToken": meta["progressToken"], "progress": step, "total": 2, "message": f"step {step}"})
            time.sleep(arguments.get("seconds", 0.05))
        answer = "rested"
    elif name == "ask":
        send(id="q1", method="roots/list")
        send(id="q2", method="ping")
        answer = "asked"
    elif name == "change":
        send(method="notifications/tools/list_changed")
        answer = "changed"
    else:
        answer = f"{name} {json.dumps(arguments)}"
    send(id=number, result=text(answer))


def tools():
    names = ["look", "die", "hang", "where", "said", "flood", "nap", "ask", "change"]
    return [{"name": n, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": n == "look"}} for n in names]


def take(message):
    global initialized
    method, number, params = message.get("method"), message.get("id"), message.get("params") or {}
    if method is None or number is None:
        told.append(message)
        return
    modern = VERSION in (params.get("_meta") or {})
    if "older" in modes:
        if method == "initialize":
            initialized = True
            return send(id=number, result={"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}})
        if not initialized:
            if "mute" in modes:
                return
            if "fragile" in modes:
                os._exit(4)
            return send(id=number, error={"code": -32602, "message": "not initialized"})
    elif not modern:
        return send(id=number, error={"code": -32022, "message": "unsupported", "data": {"supported": [MODERN]}})
    if method == "server/discover":
        send(id=number, result={"supportedVersions": [MODERN], "capabilities": {}, "resultType": "complete"})
    elif method == "tools/list":
        send(id=number, result={"tools": tools(), "ttlMs": 60000, "resultType": "complete"})
    elif method == "tools/call":
        arguments = (number, params["name"], params.get("arguments") or {}, params.get("_meta") or {})
        threading.Thread(target=call, args=arguments, daemon=True).start()
    else:
        send(id=number, error={"code": -32601, "message": "unknown"})


if "ends" in modes:
    sys.exit(7)
if "deaf" in modes:
    time.sleep(3600)
if "stubborn" in modes:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "family" in modes:
    subprocess.Popen(["sleep", "3600"])
if "rubbish" in modes:
    for line in ("Server is starting...", "{", "[1, 2]", '"text"', "", "\x00\xff", '{"id": 1, "result": {}}', '{"id": 99, "result": 1}'):
        write(line)
print("ready with " + os.environ.get("OFFICE_TOKEN", "nothing"), file=sys.stderr, flush=True)
for line in sys.stdin:
    take(json.loads(line))
if "stubborn" in modes:
    time.sleep(3600)
