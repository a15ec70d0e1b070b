"""A stand-in model server: OpenAI's chat-completions and embeddings API, whose behaviour the model's name chooses.

`slow#42` behaves as `slow`; what follows the `#` keeps tests apart that run at the same time. GET /seen?model=NAME tells what was
asked of that model and how many of its streams are open or were left. Ends when its standard input does.
"""

import json
import socket
import struct
import sys
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

lock = threading.Lock()
seen = defaultdict(lambda: {"requests": [], "open": 0, "left": 0})


def chunk(delta, finish=None):
    return {
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "stand-in",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def unquoted(content):
    """A tool's answer without the quotation in which a model is sent it."""
    lines = content.split("\n")
    if lines[0] not in ("<tool_result>", "<skill_text>"):
        return content
    quoted = json.loads(lines[-2])
    return quoted.get("content", quoted.get("left_out"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def json(self, status, value, headers=()):
        self.raw(status, "application/json", json.dumps(value).encode(), headers)

    def raw(self, status, kind, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def write(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, value):
        self.write(b"data: " + json.dumps(value).encode() + b"\n\n")

    def end(self, usage=True):
        self.event(chunk({}, "stop"))
        if usage:
            self.event({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}})
        self.write(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def do_GET(self):
        name = parse_qs(urlparse(self.path).query)["model"][0]
        with lock:
            self.json(200, seen[name])

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = body["model"]
        with lock:
            seen[name]["requests"].append({
                "authorization": self.headers.get("Authorization"), "path": self.path, "body": body,
            })
            seen[name]["open"] += 1
        try:
            if self.path.endswith("/moderations"):
                self.moderate(name.split("#")[0], body)
            elif self.path.endswith("/embeddings"):
                self.embed(name.split("#")[0], body)
            else:
                self.chat(name.split("#")[0], body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            with lock:
                seen[name]["left"] += 1
        finally:
            with lock:
                seen[name]["open"] -= 1

    def chat(self, mode, body):
        asked = body["messages"][-1]["content"]
        if mode == "echo":
            self.begin()
            for word in asked.split(" "):
                self.event(chunk({"content": word + " "}))
            self.end()
        elif mode == "together":
            self.begin()
            self.write(b"".join(b"data: " + json.dumps(chunk({"content": f"t{i} "})).encode() + b"\n\n" for i in range(20)))
            self.end()
        elif mode == "nousage":
            self.begin()
            self.event(chunk({"content": "four words of reply"}))
            self.end(usage=False)
        elif mode == "tools":
            self.begin()
            call = lambda index, **fields: chunk({"tool_calls": [{"index": index, **fields}]})
            self.event(call(0, id="call_a", type="function", function={"name": "find_order", "arguments": ""}))
            self.event(call(0, function={"arguments": '{"id":'}))
            self.event(call(1, id="call_b", type="function", function={"name": "refund", "arguments": "{}"}))
            self.event(call(0, function={"arguments": " 4711}"}))
            self.event(chunk({}, "tool_calls"))
            self.write(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        elif mode == "half-call":
            self.begin()
            fields = {"id": "call_1", "type": "function", "function": {"name": "open_page", "arguments": '{"n'}}
            self.event(chunk({"tool_calls": [{"index": 0, **fields}]}))
            self.event(chunk({}, "length"))
            self.write(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        elif mode == "agent":
            self.act(body)
        elif mode == "error-first":
            self.begin()
            self.event({"error": {"message": "The engine is on fire.", "code": "engine_error"}})
            self.wfile.write(b"0\r\n\r\n")
        elif mode == "error-mid":
            self.begin()
            self.event(chunk({"content": "half a "}))
            self.event(chunk({"content": "reply"}))
            self.event({"error": {"message": "The engine is on fire.", "code": "engine_error"}})
            self.wfile.write(b"0\r\n\r\n")
        elif mode == "truncated":
            self.begin()
            self.event(chunk({"content": "half a reply"}))
            self.wfile.write(b"0\r\n\r\n")
        elif mode == "reset":
            self.begin()
            self.event(chunk({"content": "half a reply"}))
            time.sleep(0.05)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif mode == "slow":
            self.begin()
            # Longer than a busy machine keeps any test from its turn.
            for i in range(30000):
                self.event(chunk({"content": f"w{i} "}))
                time.sleep(0.01)
            self.end()
        elif mode == "silent":
            # Holds the request until the client hangs up.
            self.connection.recv(1)
            raise ConnectionResetError
        elif mode == "garbage":
            self.begin()
            self.write(b"data: {not json}\n\n")
            self.wfile.write(b"0\r\n\r\n")
        elif mode == "json":
            self.json(200, {"error": {"message": "no such deployment"}})
        elif mode == "html":
            self.raw(502, "text/html", b"<html><h1>Bad Gateway</h1></html>")
        elif mode == "limited":
            self.json(429, {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}, [("Retry-After", "7")])
        elif mode == "unauthorized":
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            self.json(401, {"error": {"message": f"Incorrect API key provided: {key}"}})
        elif mode == "too-long":
            self.json(400, {"error": {
                "message": "This model's maximum context length is 8 tokens.", "code": "context_length_exceeded"}})
        elif mode == "bad-request":
            self.json(400, {"error": {"message": "messages: no"}})
        elif mode == "summary":
            self.begin()
            self.event(chunk({"content": "Here it is:\n```json\n"}))
            self.event(chunk({"content": json.dumps({"summary": "The locker code is 4711.", "entities": ["4711"]})}))
            self.event(chunk({"content": "\n```"}))
            self.end()
        else:
            self.json(404, {"error": {"message": f"The model {mode} does not exist."}})

    def moderate(self, mode, body):
        """Flags texts that speak of bombs, with a score for hate too."""
        if mode == "slow":
            time.sleep(2)
        if mode == "broken":
            return self.json(500, {"error": {"message": "The moderator sleeps."}})
        texts = body["input"] if mode != "short" else []
        self.json(200, {"id": "modr-1", "model": mode, "results": [{
            "flagged": "bomb" in text, "categories": {"violence": "bomb" in text, "hate": False, "illicit": None},
            "category_scores": {"violence": 0.9 if "bomb" in text else 0.01, "hate": 0.3 if "bomb" in text else 0.0},
        } for text in texts]})

    def act(self, body):
        """Asks for what the user's text names, a round after the other: `[[["tool", "arguments"], ...], ...]`; then quotes what
        the tools said. Where tools are not to be called it says so, and `"cut"` in place of a round breaks the reply off."""
        last = max(i for i, m in enumerate(body["messages"]) if m["role"] == "user")
        rounds = json.loads(body["messages"][last]["content"].rpartition("</recalled_memories>\n\n")[2])
        since = body["messages"][last + 1:]
        number = sum(1 for m in since if m.get("tool_calls"))
        self.begin()
        if body.get("tool_choice") == "none":
            self.event(chunk({"content": "I may not call."}))
            return self.end()
        if number == len(rounds):
            said = "; ".join(unquoted(m["content"]) for m in since if m["role"] == "tool")
            self.event(chunk({"content": f"The tools said: {said}"}))
            return self.end()
        self.event(chunk({"content": f"Round {number + 1}. "}))
        if rounds[number] == "cut":
            return self.wfile.write(b"0\r\n\r\n")
        for index, (name, arguments) in enumerate(rounds[number]):
            # Some servers count the calls of each reply from 1.
            fields = {"id": f"call_{index + 1}", "type": "function", "function": {"name": name, "arguments": arguments}}
            self.event(chunk({"tool_calls": [{"index": index, **fields}]}))
        self.event(chunk({}, "tool_calls"))
        self.event({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 1}})
        self.write(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def embed(self, mode, body):
        texts = body["input"]
        if mode == "wrong-dimension":
            vectors = [[1.0, 2.0] for _ in texts]
        else:
            vectors = [[float(len(text)), 1.0, 0.0] for text in texts]
        data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
        if mode == "shuffled":
            data.reverse()
        if mode == "missing":
            data.pop()
        self.json(200, {"object": "list", "data": data, "model": mode, "usage": {"prompt_tokens": 1, "total_tokens": 1}})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
