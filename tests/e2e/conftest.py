"""The story, told once for all tests of a module, in a laptop home of their own.

The home goes with its module: two homes at a time would need twice the memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.home import Home
from local.state import ROOT
from tests.support.home import laptop_home

#: Generous: a cold home on a machine that is busy with other things.
SECONDS_MAX = 900


@dataclass(frozen=True)
class Told:
    """A home in which the story was told (twice), and what the command said about it."""

    home: Home
    status: int
    output: str
    errors: str

    @property
    def outcome(self) -> dict[str, Any]:
        """The last line that was printed."""
        return dict(json.loads(self.output.splitlines()[-1]))


def run_demo(home: Home) -> Told:
    """``make demo`` in a home that runs, as a command of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        env=os.environ | {"PARDNA_HOME": str(home.paths.home)},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    return Told(home, done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A home with the stack deployed."""
    with laptop_home() as running:
        yield running


@pytest.fixture(scope="module")
def told(home: Home) -> Told:
    """The story, told by the demo command."""
    return run_demo(home)
