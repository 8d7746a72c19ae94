"""Processes that outlive the command that started them, and that are told from strangers.

A process id alone proves nothing: ids are reused. A child is ours when its id, its start time and
the mark in its command line all agree; only then it is ever sent a signal.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from local.console import HomeError

# Start times are told in clock ticks (1/100 s) and rounded differently by kernels.
START_TOLERANCE_S = 0.05
FREE_RANGE = range(20_000, 32_000)


@dataclass(frozen=True, slots=True)
class Child:
    """A process that we started. `mark` is a text that its command line holds."""

    name: str
    pid: int
    started: float
    mark: str
    log: str

    def process(self) -> psutil.Process | None:
        """The process while it lives and is ours, else None."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) <= START_TOLERANCE_S
            if not same or process.status() == psutil.STATUS_ZOMBIE:
                return None
            return process if self.mark in " ".join(process.cmdline()) else None
        except psutil.Error:
            return None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process() is not None


def spawn(
    name: str,
    command: Sequence[str],
    *,
    mark: str,
    log: Path,
    environment: Mapping[str, str],
    cwd: Path,
) -> Child:
    """Start `command` in a session of its own, its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=cwd,
            start_new_session=True,
        )
    # The handle is let go and its process lives on: what Python would warn about is meant so.
    process.returncode = 0
    started = psutil.Process(process.pid).create_time()
    return Child(name, process.pid, started, mark, str(log))


def adopt(name: str, pid: int, *, mark: str, log: Path) -> Child:
    """The record of a process that something else started for us (PostgreSQL's pg_ctl)."""
    return Child(name, pid, psutil.Process(pid).create_time(), mark, str(log))


def stop(child: Child, *, patience_s: float = 10.0, first: int = signal.SIGTERM) -> bool:
    """Stop a child of ours and what it started; True if it ran. A stranger is left alone."""
    process = child.process()
    if process is None:
        return False
    try:
        family = [*process.children(recursive=True), process]
        process.send_signal(first)
    except psutil.NoSuchProcess:
        return True
    for one in _await_end(family, patience_s):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    _await_end(family, 5.0)
    return True


def _await_end(family: list[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Wait for processes to end; those that still run when patience does."""
    end = time.monotonic() + patience_s
    while (left := [one for one in family if _runs(one)]) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def _runs(process: psutil.Process) -> bool:
    """Whether it runs. A zombie does not: it waits for its parent, which need not be us."""
    with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)  # a child of this very process: let it go
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tail(log: str, lines: int = 12) -> str:
    """The last lines of a log, for a message."""
    try:
        text = Path(log).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"     | {line[:200]}" for line in text[-lines:])


def wait_until(
    ready: Callable[[], bool], *, child: Child, what: str, deadline_s: float, pause_s: float = 0.05
) -> None:
    """Wait until `ready`; HomeError when the child dies or the deadline passes."""
    end = time.monotonic() + deadline_s
    while not ready():
        if not child.alive:
            raise HomeError(f"{what} stopped right after its start:\n{tail(child.log)}")
        if time.monotonic() > end:
            raise HomeError(
                f"{what} did not answer within {deadline_s:.0f} s:\n{tail(child.log)}",
                "look at its log, then run `make down` and `make up` again",
            )
        time.sleep(pause_s)


def answers_http(url: str) -> bool:
    """Whether an HTTP server answers at `url`, with any status."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


def answers_tcp(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something listens at the port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def holder_of(port: int) -> str:
    """Who listens at a port, in words, as far as the system tells."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                if connection.pid is None:
                    break
                command = " ".join(psutil.Process(connection.pid).cmdline())[:80]
                return f"process {connection.pid} ({command})"
    except (psutil.Error, OSError):
        pass
    return "another program"


def free_ports(count: int) -> list[int]:
    """TCP ports on loopback that are free now, all different.

    Below the range from which systems take the near ends of outgoing connections: there, a port
    that is free now may be somebody's a moment later.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(FREE_RANGE, len(FREE_RANGE)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise HomeError("no free ports are left", "stop some programs")


def quiet_environment(**extra: str) -> dict[str, str]:
    """Our environment without what could lead a child to a real AWS account, plus `extra`."""
    drop = ("AWS_", "PG", "STRIPE_", "PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL")
    keep = {k: v for k, v in os.environ.items() if not k.startswith(drop) or k == "AWS_CA_BUNDLE"}
    return keep | extra
