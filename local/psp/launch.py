"""Starting the card simulators as processes: for tests, the demo and the laptop home.

    with running_localstripe(store) as stripe, running_settlement(stripe, key, state) as psp:
        ...  # stripe.url, psp.url

Free ports are taken unless one is named. A process that does not come up raises `DidNotStart` with
what it printed. Only processes started here are ended here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.serving import DidNotStart, free_port, ready_line, stop

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 30


@dataclass(frozen=True)
class Running:
    """A process that answers at `url`."""

    url: str
    port: int
    process: subprocess.Popen[str]


@contextmanager
def running_localstripe(store: Path, port: int = 0) -> Iterator[Running]:
    """localstripe from the tools' virtual environment, its store in the file `store`."""
    port = port or free_port()
    # The tools live in a virtual environment of their own beside the product's.
    program = _ROOT / ".tools" / "bin" / "localstripe"
    if not program.exists():
        raise DidNotStart(f"{program} is missing: run `make setup`")
    environment = {
        **os.environ,
        # Moves its one fixed store file here, and the socket to the loopback address.
        "PYTHONPATH": str(_ROOT / "local" / "shim"),
        "PARDNA_STRIPE_STORE": str(store),
    }
    log = store.with_suffix(".log")
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(program), "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        # Any answer will do, also "401 Unauthorized": it listens.
        _until_it_answers(process, f"http://127.0.0.1:{port}/v1/charges", log)
        yield Running(f"http://127.0.0.1:{port}", port, process)
    finally:
        stop(process)


@contextmanager
def running_settlement(
    stripe_url: str, key: str, state: Path, port: int = 0, rate: int = 25
) -> Iterator[Running]:
    """The settlement source, reading from the localstripe at `stripe_url`."""
    command = [sys.executable, "-m", "local.psp.server", "--port", str(port)]
    command += ["--stripe", stripe_url, "--stripe-key", key]
    command += ["--state", str(state), "--rate", str(rate)]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        ready = ready_line(process)
        yield Running(f"http://127.0.0.1:{ready['port']}", ready["port"], process)
    finally:
        stop(process)


def _until_it_answers(process: subprocess.Popen[str], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DidNotStart(f"exit status {process.returncode}: {log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError as answered:
            answered.close()
            return
        except OSError:
            time.sleep(0.05)
    raise DidNotStart(f"no answer at {url} within {_START_SECONDS} s")
