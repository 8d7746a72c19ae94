"""What starting a server as a process has in common: a port, a line when it listens, an end."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any


class DidNotStart(RuntimeError):
    """The process ended, or stayed silent for too long."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ready_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The line of JSON that a server prints when it listens. Raises `DidNotStart`."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise DidNotStart(f"exit status {process.wait()}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def stop(process: subprocess.Popen[str]) -> None:
    """End a process that was started here: politely, then not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
