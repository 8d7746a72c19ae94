"""The simulated bank (SFTP) and the simulated settlement source, each a process of its own.

Both print one line of JSON, ``{"ready": true, "port": …}``, when they can be used. What else it
says (host key, user, paths of keys) is kept in the state for whoever sets up a tenant.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local import emulator
from local.processes import Child, quiet_environment, spawn, wait_until
from local.state import ROOT, Paths, State

DEADLINE_S = 30.0


def bank_command(paths: Paths, state: State) -> list[str]:
    """How the simulated bank is started: it knows the public key of one client, ours."""
    keys = paths.run / "bank-keys"
    public = client_key(keys)
    return [
        *("--port", str(state.ports["bank"]), "--control-port", str(state.ports["bank_control"])),
        *("--root", str(paths.run / "bank"), "--host-key", str(keys / "host")),
        *("--authorized-keys", str(public)),
    ]


def settlement_command(paths: Paths, state: State) -> list[str]:
    """How the simulated settlement source is started; it reads its charges from localstripe."""
    return [
        *("--port", str(state.ports["settlement"]), "--stripe", emulator.stripe_url(state)),
        *("--stripe-key", state.secrets["stripe_key"]),
        *("--state", str(paths.run / "settlement" / "records.json")),
    ]


def client_key(folder: Path) -> Path:
    """Make the SSH key pair with which the product logs in at the bank; the public half's path."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    private, public = folder / "client", folder / "client.pub"
    key = Ed25519PrivateKey.generate()
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH) + b"\n"
    )
    return public


#: Name of the child: (module, its arguments).
PARTNERS: dict[str, tuple[str, Callable[[Paths, State], list[str]]]] = {
    "settlement": ("local.psp.server", settlement_command),
    "bank": ("local.bank.server", bank_command),
}


def exists(name: str) -> bool:
    """Whether this checkout has the partner; parts that are no partners always exist."""
    module = PARTNERS[name][0] if name in PARTNERS else "local.home"
    return (ROOT / module.replace(".", "/")).with_suffix(".py").exists()


def start(name: str, paths: Paths, state: State) -> Child:
    """Start one partner."""
    module, arguments = PARTNERS[name]
    folder = paths.run / name
    folder.mkdir(parents=True, exist_ok=True)
    given = arguments(paths, state)
    return spawn(
        name,
        [sys.executable, "-m", module, *given],
        mark=f"-m {module} {' '.join(given[:2])}",
        log=paths.logs / f"{name}.log",
        cwd=ROOT,
        environment=quiet_environment(PYTHONUNBUFFERED="1"),
    )


def await_ready(name: str, paths: Paths, state: State) -> dict[str, Any]:
    """Wait for the line that says it is ready; its content."""
    child = state.children[name]
    said: dict[str, Any] = {}

    def ready() -> bool:
        said.update(ready_line(Path(child.log)))
        return bool(said)

    what = {"bank": "The simulated bank", "settlement": "The simulated settlement source"}[name]
    wait_until(ready, child=child, what=what, deadline_s=DEADLINE_S)
    if name == "bank":
        said |= {"host": "127.0.0.1", "client_key": str(paths.run / "bank-keys" / "client")}
    return said


def ready_line(log: Path) -> dict[str, Any]:
    """The last ready line of a log, or nothing."""
    for line in reversed(log.read_text(errors="replace").splitlines()):
        if line.startswith("{") and '"ready"' in line:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            return found if isinstance(found, dict) and found.get("ready") else {}
    return {}
