"""An HTTP/2 server, by prior knowledge or ALPN, whose paths misbehave in the ways that the tests need."""

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

import common
from common import counters, gate

try:
    import h2.config
    import h2.connection
    import h2.errors
    import h2.events
    import h2.settings
except ImportError:
    sys.exit("the Python package h2 is missing: apt-get install python3-h2")


class Connection(asyncio.Protocol):
    def __init__(self):
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, validate_inbound_headers=False))
        self.window = asyncio.Event()
        self.writable = asyncio.Event()
        self.tasks = {}
        self.bodies = {}

    def connection_made(self, transport):
        counters.connections += 1
        counters.open_connections += 1
        counters.peer_ports.append(transport.get_extra_info("peername")[1])
        self.transport = transport
        transport.set_write_buffer_limits(1)
        self.writable.set()
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1000})
        self.flush()

    def connection_lost(self, error):
        counters.open_connections -= 1
        counters.gone += len(self.tasks)
        for task in self.tasks.values():
            task.cancel()

    def pause_writing(self):
        self.writable.clear()

    def resume_writing(self):
        self.writable.set()

    def flush(self):
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data):
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.bodies[event.stream_id] = (dict(event.headers), bytearray())
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id][1].extend(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                counters.requests += 1
                headers, body = self.bodies.pop(event.stream_id)
                self.tasks[event.stream_id] = asyncio.ensure_future(self.respond(event.stream_id, headers, body))
            elif isinstance(event, h2.events.StreamReset):
                counters.gone += 1
                if task := self.tasks.pop(event.stream_id, None):
                    task.cancel()
            elif isinstance(event, h2.events.WindowUpdated):
                self.window.set()
        self.flush()

    def head(self, stream, end=False):
        self.h2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")], end_stream=end)
        self.flush()

    async def send(self, stream, data, end=False):
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                self.window.clear()
                await self.window.wait()
                continue
            piece, data = data[:room], data[room:]
            self.h2.send_data(stream, piece)
            self.flush()
            await self.writable.wait()
        if end:
            self.h2.end_stream(stream)
            self.flush()

    async def respond(self, stream, headers, body):
        url = urlsplit(headers[b":path"].decode())
        query = parse_qs(url.query)
        self.head(stream)
        if url.path == "/hello":
            await self.send(stream, b"hello", end=True)
        elif url.path == "/echo":
            await self.send(stream, bytes(body), end=True)
        elif url.path == "/step":
            await self.send(stream, b"data: 0\n\n")
            for number in range(1, int(query["steps"][0])):
                await gate.acquire()
                await self.send(stream, b"data: %d\n\n" % number)
            await self.send(stream, b"", end=True)
        elif url.path == "/flood":
            block = bytes(16 * 1024)
            for _ in range(int(query["bytes"][0]) // len(block)):
                await self.send(stream, block)
                counters.accepted += len(block)
            await self.send(stream, b"", end=True)
        elif url.path == "/reset":
            await self.send(stream, b"ten bytes.")
            await gate.acquire()
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            self.flush()
        elif url.path == "/stall":
            await self.send(stream, b"ten bytes.")
            await asyncio.Event().wait()
        elif url.path == "/cut":
            await self.send(stream, b"ten bytes.")
            await gate.acquire()
            self.transport.abort()
        self.tasks.pop(stream, None)


async def start(tls):
    loop = asyncio.get_running_loop()
    return await loop.create_server(Connection, "127.0.0.1", 0, ssl=tls, backlog=1024)


common.main(start, ["h2"])
