"""A line on loopback that cuts after so many bytes, or lets only so many through a second."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class BadLine:
    """A proxy in front of a server; what it does to the server's answers may change at any time."""

    target: tuple[str, int]
    port: int = 0
    host: str = "127.0.0.1"
    #: Cut each connection after so many bytes from the server; the list's head counts first.
    cuts: list[int] = field(default_factory=list)
    #: Bytes a second from the server; 0 means all there are.
    bytes_per_second: int = 0
    connections_count: int = 0
    #: Bytes that came from the server in all connections.
    passed_count: int = 0


@contextmanager
def running_line(host: str, port: int) -> Iterator[BadLine]:
    """The line until the block ends."""
    line = BadLine((host, port))
    door = socket.create_server(("127.0.0.1", 0))
    line.port = door.getsockname()[1]
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def serve() -> None:
        while not ended.is_set():
            try:
                near, _ = door.accept()
            except OSError:
                return
            line.connections_count += 1
            cut = line.cuts.pop(0) if line.cuts else None
            far = socket.create_connection(line.target)
            both = (near, far)
            for source, sink, limit, slow in ((near, far, None, False), (far, near, cut, True)):
                thread = threading.Thread(
                    target=_pump, args=(line, source, sink, limit, slow, both), daemon=True
                )
                thread.start()
                threads.append(thread)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    try:
        yield line
    finally:
        ended.set()
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        server.join(5)
        for thread in threads:
            thread.join(5)


def _pump(
    line: BadLine,
    source: socket.socket,
    sink: socket.socket,
    limit: int | None,
    slow: bool,
    both: tuple[socket.socket, socket.socket],
) -> None:
    passed = 0
    try:
        while data := source.recv(16 * 1024):
            if limit is not None and passed + len(data) > limit:
                break
            passed += len(data)
            if slow:
                line.passed_count += len(data)
                if line.bytes_per_second:
                    time.sleep(len(data) / line.bytes_per_second)
            sink.sendall(data)
    except OSError:
        pass
    for end in both:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
