"""An HTTP/1.1 server whose paths misbehave in the ways that the transport's tests need."""

import asyncio
import json
import socket
import struct
from urllib.parse import parse_qs, urlsplit

import common
from common import counters, gate

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def with_length(body, extra=b""):
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (extra, len(body), body)


async def wait_for_end(reader):
    """Returns when the client has closed its side."""
    try:
        while await reader.read(1024):
            pass
    except ConnectionError:
        pass
    counters.gone += 1


def reset(writer):
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def flood(writer, total):
    writer.transport.set_write_buffer_limits(1)
    writer.write(CHUNKED)
    block = bytes(32 * 1024)
    for _ in range(total // len(block)):
        data = chunk(block)
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0)  # lets a closed connection be noticed
        if writer.transport.is_closing():
            raise ConnectionResetError
        counters.accepted += len(data)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def respond(path, query, request, reader, writer):
    """Returns whether the connection may be kept."""
    if path == "/hello":
        writer.write(with_length(b"hello"))
    elif path == "/chunked":
        writer.write(CHUNKED + chunk(b"one ") + chunk(b"two ") + chunk(b"three") + b"0\r\n\r\n")
    elif path == "/until-close":
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall there is")
        await writer.drain()
        return False
    elif path == "/empty":
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    elif path == "/interim":
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + with_length(b"final"))
    elif path == "/redirect":
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n")
    elif path == "/echo":
        writer.write(with_length(json.dumps(request).encode(), b"X-Echo: yes\r\n"))
    elif path == "/step":
        writer.write(CHUNKED + chunk(b"data: 0\n\n"))
        for number in range(1, int(query["steps"][0])):
            await writer.drain()
            await gate.acquire()
            writer.write(chunk(b"data: %d\n\n" % number))
        writer.write(b"0\r\n\r\n")
    elif path == "/burst":
        # Many small chunks in one segment, as a model server under load sends its tokens.
        tokens = b"".join(chunk(b"data: %d\n\n" % number) for number in range(20))
        writer.write(CHUNKED + tokens + b"0\r\n\r\n")
    elif path == "/flood":
        await flood(writer, int(query["bytes"][0]))
    elif path == "/reset":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.")
        await writer.drain()
        await gate.acquire()
        reset(writer)
        return False
    elif path == "/cut":
        writer.write(CHUNKED + chunk(b"ten bytes."))
        await writer.drain()
        return False
    elif path == "/silent":
        await wait_for_end(reader)
        return False
    elif path == "/stall":
        writer.write(CHUNKED + chunk(b"ten bytes."))
        await writer.drain()
        await wait_for_end(reader)
        return False
    elif path == "/big-head":
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: %s\r\n" % (b"x" * 1000) * 500 + b"\r\n")
    elif path == "/not-http":
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()
        return False
    else:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    return True


async def serve_connection(reader, writer):
    counters.connections += 1
    counters.open_connections += 1
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            counters.requests += 1
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            lower = {name.lower(): value for name, value in headers.items()}
            body = await reader.readexactly(int(lower.get("content-length", "0")))
            url = urlsplit(target)
            request = {"method": method, "target": target, "headers": lower, "body": body.decode("latin-1")}
            if not await respond(url.path, parse_qs(url.query), request, reader, writer):
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        counters.open_connections -= 1
        writer.close()


async def start(tls):
    return await asyncio.start_server(serve_connection, "127.0.0.1", 0, ssl=tls, backlog=4096)


common.main(start, ["http/1.1"])
