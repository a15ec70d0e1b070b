"""What both test servers share: counters, the gate that `/step` waits at, and how they start and stop."""

import asyncio
import json
import ssl
import sys


class Counters:
    def __init__(self):
        self.connections = 0
        self.open_connections = 0
        self.requests = 0
        self.accepted = 0  # bytes of /flood that the kernel took
        self.gone = 0  # clients that left a response that was still open
        self.peer_ports = []

    def as_json(self):
        return json.dumps(self.__dict__).encode()


counters = Counters()
gate = asyncio.Semaphore(0)


async def answer_control(reader, writer):
    """A port of its own for the test: GET /go opens the gate once, anything else reads the counters."""
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"GET /go"):
        gate.release()
    body = counters.as_json()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()


def tls_context(protocols):
    if len(sys.argv) < 3:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    if len(sys.argv) > 3:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(sys.argv[3])
    context.set_alpn_protocols(protocols)
    return context


async def serve(start_server, protocols):
    server = await start_server(tls_context(protocols))
    control = await asyncio.start_server(answer_control, "127.0.0.1", 0)
    ports = [s.sockets[0].getsockname()[1] for s in (server, control)]
    print(*ports, flush=True)
    # The test holds the other end: its process ending, however it does, ends this one.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main(start_server, protocols):
    async def run():
        task = asyncio.ensure_future(serve(start_server, protocols))
        await task
        import os

        os._exit(0)

    asyncio.run(run())
