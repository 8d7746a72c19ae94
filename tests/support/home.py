"""A whole laptop home for tests: its own folder, its own free ports, gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import guard
from local.home import Home, down, up


@contextmanager
def laptop_home(*, deploy: bool = True) -> Iterator[Home]:
    """Start a home beside any other that runs, and stop it whatever happens to the tests."""
    folder = Path(tempfile.mkdtemp(prefix="pardna-home-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user and must get to its own folder
    watcher = guard.watch(folder)
    try:
        yield up(folder, {"PARDNA_PORTS": "free"}, deploy=deploy)
    finally:
        down(folder)
        shutil.rmtree(folder, ignore_errors=True)
        watcher.terminate()
        watcher.wait(timeout=10)
