"""A TCP connection that can be cut: what lies between a client and a server on another machine."""

import contextlib
import socket
import threading
from typing import Self

_BLOCK_BYTES = 1 << 16
_ACCEPT_S = 0.2


class Proxy:
    """Passes bytes on to a port of this machine, until it is cut; a context manager."""

    def __init__(self, target: int) -> None:
        """Listen on a free port.

        Args:
            target: TCP port to pass on to.
        """
        self._target = target
        self._closed = False
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = 0
        self.mend()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self.cut()

    @property
    def address(self) -> str:
        """Host and port to connect to."""
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End every connection in the middle of whatever it carries, and refuse new ones."""
        with self._lock:
            ended, self._sockets = self._sockets, set()
            listener, self._listener = self._listener, None
        for one in [*ended, *([listener] if listener else [])]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def mend(self) -> None:
        """Listen on the same port again, if it does not."""
        if self._listener or self._closed:
            return
        listener = socket.create_server(("127.0.0.1", self.port))
        listener.settimeout(_ACCEPT_S)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                near, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:  # cut
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._sockets |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(_BLOCK_BYTES):
                sink.sendall(block)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        with self._lock:
            self._sockets -= {source, sink}
