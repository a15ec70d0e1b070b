#!/usr/bin/env python3
"""Runs a Milvus server for the tests, shut in so that it listens on loopback only, and ends it with the tests.

usage: supervise.py lite|standalone|secured PROGRAM PORT FOLDER

Reads orders from stdin, a line each, and answers `ok`: `start`, `kill` (SIGKILL), `pause` and `resume` (it
keeps its connections and says nothing). When stdin ends, so do the server and this program: the tests may die in any way.

The standalone server listens on nine ports of all interfaces, which can't be changed. It runs in a network namespace of
its own with nothing but a loopback device; connections to PORT are relayed into it. Needs root or user namespaces.
`secured` is the same server with users (root:Milvus) and TLS: FOLDER/server.pem, made by openssl, is its certificate for
milvus.test and 127.0.0.2, where it listens too. FOLDER is removed at the end.
"""

import asyncio
import ctypes
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def enter_namespace():
    flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWUSER | CLONE_NEWNET
    if libc.unshare(flags) != 0:
        sys.exit("no network namespace: " + os.strerror(ctypes.get_errno()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def configuration(program, folder, settings):
    """The wheel's own template (beside `bin`) with every folder below `folder` and its other defaults."""
    template = (program.parent.parent / "config.yaml.template").read_text()
    folders = {
        "etcd_data_dir": "etcd", "local_storage_dir": "storage", "rocksmq_data_dir": "rocksmq",
        "system_log_path": "logs",
    }

    def fill(match):
        name, default = match[1].strip(), (match[2] or "").strip()
        return str(folder / folders[name]) if name in folders else settings.get(name, default)

    text = re.sub(r"\{\{\s*(\w+)(?:\(\w+\))?\s*(?::([^}]*))?\}\}", fill, template)
    text = re.sub(r"(?m)^  ip:.*$", "  ip: 127.0.0.1", text)
    # Nothing but loopback is there, and two cores are enough for the tests.
    return text.replace("level: info", "level: warn").replace("path: stdout", "path: stderr")


def secure(folder):
    pem, key = folder / "server.pem", folder / "server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=milvus.test",
         "-addext", "subjectAltName=DNS:milvus.test,IP:127.0.0.2", "-keyout", key, "-out", pem], check=True, capture_output=True)
    return {"authorization_enabled": "true", "tls_mode": "1", "server_pem_path": str(pem), "server_key_path": str(key)}


class Server:
    def __init__(self, kind, program, port, folder):
        self.program, self.port, self.folder, self.kind = program, port, folder, kind
        self.process = None
        folder.mkdir(parents=True, exist_ok=True)
        if kind != "lite":
            settings = secure(folder) if kind == "secured" else {}
            (folder / "configs").mkdir(exist_ok=True)
            (folder / "configs" / "milvus.yaml").write_text(configuration(program, folder, settings))
            (folder / "configs" / "glog.conf").write_text("")

    def start(self):
        environment = dict(os.environ)
        if self.kind == "lite":
            command = [self.program, "server", "--host", "127.0.0.1", "--port", str(self.port),
                       "--data-dir", str(self.folder / "data")]
        else:
            command = [self.program, "run", "standalone"]
            environment |= {
                "LD_LIBRARY_PATH": str(self.program.parent), "MILVUSCONF": str(self.folder / "configs"),
                "MILVUS_RUN_DIR": str(self.folder / "run"), "DEPLOY_MODE": "STANDALONE",
            }
        log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(
            command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


async def relay(reader, writer, port):
    async def copy(source, sink):
        try:
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # Either side may be killed: both ends are closed below.
        finally:
            sink.close()

    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.transport.abort()
        return
    await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))


async def main():
    kind, program, port, folder = sys.argv[1:]
    listeners = []
    if kind != "lite":
        # Made before the namespace is entered, so they stay outside; what is connected later is inside.
        listeners = [socket.create_server((host, int(port))) for host in ("127.0.0.1", "127.0.0.2")]
        enter_namespace()
    server = Server(kind, pathlib.Path(program), int(port), pathlib.Path(folder))
    for listener in listeners:
        await asyncio.start_server(lambda r, w: relay(r, w, 19530), sock=listener)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    try:
        while order := (await orders.readline()).decode().strip():
            {"start": server.start, "kill": server.kill, "pause": server.pause, "resume": server.resume}[order]()
            print("ok", flush=True)
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


asyncio.run(main())
