"""Where a home keeps its things, and what it remembers between commands."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from local.console import HomeError
from local.processes import Child, free_ports

ROOT = Path(__file__).resolve().parent.parent
FORMAT = 1

# Fixed, so that addresses stay the same from day to day; PARDNA_PORT_AWS=… moves one of them,
# PARDNA_PORTS=free lets the system choose them all.
DEFAULT_PORTS = {"aws": 4566, "postgres": 5466, "stripe": 8420, "settlement": 8421}
DEFAULT_PORTS |= {"bank": 2422, "bank_control": 2423}


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of one home. Only `run` holds state of the stand-ins; it goes with them."""

    home: Path

    @property
    def run(self) -> Path:
        """Everything that the stand-ins store; wiped at each start."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """One log a process, kept until the next start."""
        return self.home / "logs"

    @property
    def build(self) -> Path:
        """What `sam build` made."""
        return self.home / "build"

    @property
    def source(self) -> Path:
        """The sources as they were deployed last."""
        return self.home / "source"

    @property
    def state(self) -> Path:
        """The state file."""
        return self.home / "state.json"


def home_folder() -> Path:
    """The home of this command: PARDNA_HOME, else `.local` in the repository."""
    return Path(os.environ.get("PARDNA_HOME") or ROOT / ".local").resolve()


@dataclass(slots=True)
class State:
    """What `up` did: enough to find, use and stop it all. The file is readable by its owner only,
    because it holds the passwords that were made up for this home."""

    ports: dict[str, int]
    secrets: dict[str, str]
    children: dict[str, Child] = field(default_factory=dict)
    deployment: dict[str, Any] = field(default_factory=dict)
    #: What the simulated bank and settlement source said about themselves when they were ready.
    partners: dict[str, Any] = field(default_factory=dict)

    def save(self, paths: Paths) -> None:
        """Write the file whole or not at all."""
        paths.home.mkdir(parents=True, exist_ok=True)
        body = json.dumps({"format": FORMAT, **asdict(self)}, indent=2)
        fresh = paths.state.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(body)
        fresh.replace(paths.state)

    @property
    def living(self) -> dict[str, Child]:
        """The children that run."""
        return {name: child for name, child in self.children.items() if child.alive}


def load(paths: Paths) -> State | None:
    """The state of a home, or None if there is none that can be used."""
    try:
        body = json.loads(paths.state.read_text())
        if body.pop("format") != FORMAT:
            return None
        children = {name: Child(**child) for name, child in body.pop("children").items()}
        return State(children=children, **body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def new_state(environment: Mapping[str, str]) -> State:
    """Ports and passwords for a home that starts."""
    if environment.get("PARDNA_PORTS") == "free":
        ports = dict(zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True))
    else:
        ports = {
            name: _port(environment.get(f"PARDNA_PORT_{name.upper()}"), name, usual)
            for name, usual in DEFAULT_PORTS.items()
        }
    made_up = {name: secrets.token_urlsafe(24) for name in ("postgres", "runtime")}
    made_up["stripe_key"] = f"sk_test_{secrets.token_hex(12)}"
    return State(ports=ports, secrets=made_up)


def _port(given: str | None, name: str, usual: int) -> int:
    if not given:
        return usual
    if not given.isdigit() or not 1 <= int(given) <= 65535:
        raise HomeError(f"PARDNA_PORT_{name.upper()}={given} is not a port (1 to 65535)")
    return int(given)


@contextmanager
def only_one(paths: Paths) -> Iterator[None]:
    """Let one command at a time change a home; HomeError at once if another one does."""
    paths.home.mkdir(parents=True, exist_ok=True)
    with (paths.home / "lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HomeError(
                f"another command is changing the home {paths.home} right now",
                "wait for it to end, or stop it with Ctrl-C where it runs",
            ) from None
        yield
