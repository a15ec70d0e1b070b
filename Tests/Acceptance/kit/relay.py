"""A relay of TCP connections: each that comes to a socket is passed on to where it is decided at that moment."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from kit.loopback import accept

CHUNK = 65_536
Connect = Callable[[], socket.socket]  # raises OSError where nobody is there


class _Passage:
    """One connection and the one that it is passed on to; the end of either ends both."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client, self._server = client, server
        self.is_asking = False  # something was sent that has no answer yet

    def run(self) -> None:
        back = threading.Thread(target=self._pass, args=(self._server, self._client, False), daemon=True)
        back.start()
        self._pass(self._client, self._server, True)
        back.join()
        self._client.close()
        self._server.close()

    def end(self) -> None:
        for one in (self._client, self._server):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended by itself

    def _pass(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        try:
            while data := source.recv(CHUNK):
                self.is_asking = asks
                target.sendall(data)
        except OSError:
            pass  # either end is gone
        self.end()


class Relay:
    """Serves until `close`, each connection in threads of its own."""

    def __init__(self, listener: socket.socket, connect: Connect) -> None:
        self._listener, self._connect = listener, connect
        self._passages: set[_Passage] = set()
        self._lock = threading.Lock()
        accept(self._listener, self._serve)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def drop_idle(self) -> None:
        """Ends the connections on which nobody waits for an answer: who asks next has to connect anew."""
        with self._lock:
            idle = [passage for passage in self._passages if not passage.is_asking]
        for passage in idle:
            passage.end()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            passages = list(self._passages)
        for passage in passages:
            passage.end()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = self._connect()
        except OSError:
            client.close()
            return
        passage = _Passage(client, server)
        with self._lock:
            self._passages.add(passage)
        try:
            passage.run()
        finally:
            with self._lock:
                self._passages.discard(passage)
