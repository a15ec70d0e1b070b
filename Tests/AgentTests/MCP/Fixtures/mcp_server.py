"""A stand-in tool server that can behave badly, in either era of the Model Context Protocol. Standard library only.

POST /NAME/MODE[,MODE...] is an endpoint; NAME keeps tests apart that run at the same time, the modes choose its behaviour. `older`
among them makes it a server of the older era, `sessionless` one that gives no session ids. GET /NAME tells what it was asked and how
often each tool was carried out; POST /NAME/forget makes it forget its sessions, as a restart does; POST /NAME/become/MODE[,MODE...]
gives every endpoint of that name other modes from then on. Ends when its standard input does.
"""

import itertools
import json
import socket
import struct
import sys
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODERN = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
lock = threading.Lock()
numbers = itertools.count(1)


class Ledger:
    def __init__(self):
        self.requests = []
        self.executions = Counter()
        self.sessions = set()
        self.left = 0
        self.become = None
        self.pending = None
        self.connections = set()


ledgers = defaultdict(Ledger)


def tool(name, schema=None, **annotations):
    return {"name": name, "description": f"The tool {name}.", "inputSchema": schema or {"type": "object"}, "annotations": annotations}


TOOLS = [
    tool("look", readOnlyHint=True), tool("book"), tool("put", idempotentHint=True),
    tool("region", {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}),
]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    # Answers

    def raw(self, status, kind, body, headers=()):
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, status, value, headers=()):
        self.raw(status, "application/json", json.dumps(value).encode(), headers)

    def result(self, value, headers=()):
        if not self.is_older:
            value = {"resultType": "complete", **value}
        self.json(200, {"jsonrpc": "2.0", "id": self.id, "result": value}, headers)

    def error(self, status, code, message, **data):
        self.json(status, {"jsonrpc": "2.0", "id": self.id, "error": {"code": code, "message": message, "data": data}})

    def begin(self, kind="text/event-stream"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def write(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, value):
        self.write(b"event: message\r\ndata: " + json.dumps({"jsonrpc": "2.0", **value}).encode() + b"\r\n\r\n")

    def end(self):
        self.wfile.write(b"0\r\n\r\n")

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def hang(self):
        """Until the client hangs up."""
        self.connection.recv(1)
        with lock:
            self.ledger.left += 1
        self.close_connection = True

    # Requests

    def do_GET(self):
        if "Last-Event-ID" in self.headers:
            return self.resume()
        with lock:
            ledger = ledgers[self.path.split("/")[1]]
            self.json(200, {
                "requests": ledger.requests, "executions": ledger.executions, "left": ledger.left,
                "connections": len(ledger.connections),
            })

    def resume(self):
        """Goes on with a stream that ended before its answer."""
        _, name, what = self.path.split("/")
        ledger = ledgers[name]
        last = self.headers["Last-Event-ID"]
        with lock:
            ledger.requests.append({"method": "GET", "headers": {k.lower(): v for k, v in self.headers.items()}, "body": None})
        if "call-resume-never" in what:
            return self.raw(503, "text/plain", b"not now")
        if self.headers.get("MCP-Session-Id") not in ledger.sessions:
            return self.raw(404, None, b"")
        self.begin()
        if last == "e1":
            self.write(b"id: e2\r\ndata:\r\n\r\n")
        else:
            self.event({"id": ledger.pending, "result": {"content": [{"type": "text", "text": f"after {last}"}]}})
        self.end()

    def do_DELETE(self):
        with lock:
            ledgers[self.path.split("/")[1]].requests.append({
                "method": "DELETE", "headers": {k.lower(): v for k, v in self.headers.items()}, "body": None,
            })
            ledgers[self.path.split("/")[1]].sessions.discard(self.headers.get("MCP-Session-Id"))
        self.raw(200, None, b"")

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        _, name, what, *rest = self.path.split("/")
        ledger = self.ledger = ledgers[name]
        if what == "forget":
            with lock:
                ledger.sessions.clear()
            return self.raw(200, None, b"")
        if what == "become":
            ledger.become = rest[0]
            return self.raw(200, None, b"")
        body = json.loads(text)
        self.modes = set((ledger.become or what).split(","))
        self.is_older = "older" in self.modes
        self.id = body.get("id")
        self.params = body.get("params", {})
        method = body.get("method", "")
        with lock:
            ledger.connections.add(self.client_address[1])
            ledger.requests.append({"method": method, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
        try:
            if "refusing" in self.modes:
                return self.json(401, {"error": "invalid_token", "error_description": f"no such token: {self.headers.get('Authorization')}"})
            if "broken" in self.modes:
                return self.raw(503, "text/plain", b"no upstream")
            if "silent" in self.modes:
                return self.hang()
            if not (self.check_older(method) if self.is_older else self.check_modern(method)):
                return
            if method == "tools/list":
                self.list()
            elif method == "tools/call":
                self.call()
            elif self.id is None or "method" not in body:
                self.raw(202, None, b"")
            else:
                self.error(200 if self.is_older else 404, -32601, f"no method {method}")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            with lock:
                ledger.left += 1

    def check_modern(self, method):
        meta = self.params.get("_meta", {})
        version = self.headers.get("MCP-Protocol-Version")
        if version != MODERN:
            self.error(400, -32022, "Unsupported protocol version", supported=[MODERN])
        elif "unsupported" in self.modes:
            self.error(400, -32022, "Unsupported protocol version", supported=["2030-01-01"])
        elif meta.get(PREFIX + "protocolVersion") != version or self.headers.get("Mcp-Method") != method or PREFIX + "clientCapabilities" not in meta:
            self.error(400, -32020, "headers and body differ")
        elif method == "tools/call" and self.headers.get("Mcp-Name") != self.params["name"]:
            self.error(400, -32020, "Mcp-Name differs")
        elif method == "server/discover":
            self.result({"supportedVersions": [MODERN], "capabilities": {"tools": {}}, "serverInfo": {"name": "stand-in", "version": "1"}})
        else:
            return True
        return False

    def check_older(self, method):
        session = self.headers.get("MCP-Session-Id")
        sessionless = "sessionless" in self.modes
        if method == "initialize":
            given = f"session-{next(numbers)}"
            with lock:
                self.ledger.sessions.add(given)
            revision = "1999-01-01" if "ancient" in self.modes else "2025-06-18"
            value = {"protocolVersion": revision, "capabilities": {"tools": {}}, "serverInfo": {"name": "stand-in", "version": "1"}}
            self.result(value, [] if sessionless else [("Mcp-Session-Id", given)])
        elif not sessionless and session is None:
            self.error(400, -32600, "Bad Request: Missing session ID")
        elif sessionless and self.headers.get("MCP-Protocol-Version") == MODERN:
            self.raw(400, "text/plain", b"Bad Request")
        elif not sessionless and session not in self.ledger.sessions:
            self.json(404, {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Session not found"}})
        else:
            return True
        return False

    def list(self):
        tools = list(TOOLS)
        more = {} if self.is_older else {"ttlMs": 0 if "ttl0" in self.modes else 60000, "cacheScope": "public"}
        cursor = self.params.get("cursor")
        if "paged" in self.modes:
            page = int(cursor or 0)
            return self.result({"tools": tools[page:page + 1], **({"nextCursor": str(page + 1)} if page + 1 < len(tools) else {}), **more})
        if "loop" in self.modes:
            more["nextCursor"] = {None: "a", "a": "b", "b": "a"}[cursor]
            tools = [tool(f"page_{cursor}")]
        if "endless" in self.modes:
            number = int(cursor or 0)
            more["nextCursor"] = str(number + 1)
            tools = [tool(f"t{number}_{i}") for i in range(20)]
        if "huge" in self.modes:
            tools = [dict(tool("look"), description="x" * (5 << 20))]
        if "lying" in self.modes:
            tools += [
                dict(tool("textual"), inputSchema="{}"), {"name": "bare"}, tool("two words"), tool("look"), "no tool",
                tool("marked", {"type": "object", "properties": {"n": {"type": "number", "x-mcp-header": "N"}}}),
            ]
        if "unlisted" in self.modes:
            return self.error(200, -32603, "the shelf is locked")
        if "slow" in self.modes:
            time.sleep(0.3)
        self.result({"tools": tools, **more})

    def call(self):
        name = self.params["name"]
        mode = next((m[5:] for m in self.modes if m.startswith("call-")), "text")
        arguments = json.dumps(self.params.get("arguments"))
        text = {"content": [{"type": "text", "text": f"{name} {arguments}"}], "isError": False}
        if mode == "die-once":
            # The kept connection dies after the tool was carried out, before a byte of an answer; the first call on it is answered.
            with lock:
                self.ledger.executions[name] += 1
                count = self.ledger.executions[name]
            if count == 2:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            return self.result(text)
        if mode == "mismatch" and "Mcp-Param-Region" not in self.headers:
            return self.error(400, -32020, "Mcp-Param-Region is missing")
        if mode == "refused":
            return self.error(200, -32602, f"no such parcel; you are {self.headers.get('Authorization')}")
        with lock:
            self.ledger.executions[name] += 1
        if mode == "text" or mode == "mismatch":
            self.result(text)
        elif mode == "tool-error":
            self.result({"content": [{"type": "text", "text": f"lost, says {self.headers.get('Authorization')}"}], "isError": True})
        elif mode == "reset":
            self.reset()
        elif mode == "hang":
            self.hang()
        elif mode == "large":
            self.result({"content": [{"type": "text", "text": "x" * (10 << 20)}]})
        elif mode == "large-stream":
            self.begin()
            for _ in range(100):
                self.event({"method": "notifications/message", "params": {"level": "info", "data": "x" * 100_000}})
            self.event({"id": self.id, "result": text})
            self.end()
        elif mode == "input":
            self.result({"resultType": "input_required", "inputRequests": {}})
        elif mode == "html":
            self.raw(200, "text/html", b"<html>log in</html>")
        elif mode == "garbage":
            self.raw(200, "application/json", b"{not json")
        elif mode == "wrong-id":
            self.json(200, {"jsonrpc": "2.0", "id": 999_999, "result": text})
        elif mode == "accepted":
            self.raw(202, None, b"")
        elif mode.startswith("status"):
            self.raw(int(mode[6:]), "text/plain", b"so it is")
        elif mode == "cut":
            self.begin()
            self.event({"method": "notifications/message", "params": {"level": "info", "data": "working"}})
            self.end()
        elif mode.startswith("resume"):
            self.ledger.pending = self.id
            self.begin()
            self.write(b"id: e1\r\nretry: 10\r\ndata:\r\n\r\n")
            if mode == "resume-reset":
                return self.reset()
            self.end()
        elif mode == "stream" or mode == "hang-stream":
            token = self.params["_meta"]["progressToken"]
            self.begin()
            self.write(b": keep-alive\r\n\r\nid: 1\r\ndata:\r\n\r\n")
            self.event({"method": "notifications/message", "params": {"level": "info", "data": "working"}})
            self.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1, "total": 2}})
            self.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 2, "message": "nearly\nthere"}})
            self.event({"method": "notifications/progress", "params": {"progressToken": "another", "progress": 9}})
            self.event({"method": "notifications/tools/list_changed"})
            if mode == "hang-stream":
                return self.hang()
            self.event({"id": "q1", "method": "sampling/createMessage", "params": {}})
            self.event({"id": "q2", "method": "ping"})
            self.event({"id": 999_999, "result": {"content": [{"type": "text", "text": "for somebody else"}]}})
            self.event({"id": self.id, "result": text})
            self.end()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
