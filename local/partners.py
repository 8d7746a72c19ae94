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
    """How the simulated bank is started."""
    return ["--port", str(state.ports["bank"]), "--root", str(paths.run / "bank")]


def settlement_command(paths: Paths, state: State) -> list[str]:
    """How the simulated settlement source is started; it reads its charges from localstripe."""
    return [
        *("--port", str(state.ports["settlement"]), "--stripe", emulator.stripe_url(state)),
        *("--stripe-key", state.secrets["stripe_key"]),
        *("--state", str(paths.run / "settlement" / "records.json")),
    ]


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


def await_ready(name: str, state: State) -> dict[str, Any]:
    """Wait for the line that says it is ready; its content."""
    child = state.children[name]
    said: dict[str, Any] = {}

    def ready() -> bool:
        said.update(ready_line(Path(child.log)))
        return bool(said)

    what = {"bank": "The simulated bank", "settlement": "The simulated settlement source"}[name]
    wait_until(ready, child=child, what=what, deadline_s=DEADLINE_S)
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
