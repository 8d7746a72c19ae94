"""Starting the simulated bank as a process: for tests, the demo and the laptop home.

    with running_bank(folder) as bank:
        bank.control("POST", "/credits", {...})
        # SFTP: 127.0.0.1:bank.port, users `ncb` and `bns`, key file bank.client_key

A process that does not come up raises `DidNotStart`. Only what was started here is ended here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from local.serving import ready_line, stop

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class RunningBank:
    """A running bank. `host_key` is what to pin, `client_key` the private key file to come with."""

    port: int
    control_port: int
    host_key: str
    client_key: Path
    root: Path
    process: subprocess.Popen[str]

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One control request. Returns the answer, also that of a refusal (`{"error": ...}`)."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.control_port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as response:
                return json.load(response)
        except urllib.error.HTTPError as refused:
            with refused:
                return json.load(refused)


@contextmanager
def running_bank(folder: Path, port: int = 0, control_port: int = 0) -> Iterator[RunningBank]:
    """The bank with its files, keys and books below `folder`, which may be used again."""
    client_key, keys = folder / "client_key", folder / "authorized_keys"
    if not client_key.exists():
        folder.mkdir(parents=True, exist_ok=True)
        key = asyncssh.generate_private_key("ssh-ed25519")
        client_key.touch(mode=0o600)
        client_key.write_bytes(key.export_private_key())
        keys.write_bytes(key.export_public_key())
    root = folder / "banks"
    command = [sys.executable, "-m", "local.bank.server", "--port", str(port)]
    command += ["--control-port", str(control_port), "--root", str(root)]
    command += ["--host-key", str(folder / "host_key"), "--authorized-keys", str(keys)]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        ready = ready_line(process)
        yield RunningBank(
            port=ready["port"],
            control_port=ready["control_port"],
            host_key=ready["host_key"],
            client_key=client_key,
            root=root,
            process=process,
        )
    finally:
        stop(process)
