"""``python -m local.guard PID STARTED FOLDER``: tidy a home up when its owner is gone.

Tests that start a home stop it themselves. If they are killed instead, nobody would: this process
waits for theirs to end, whatever the way, then stops the home and removes its folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from local import home
from local.processes import START_TOLERANCE_S, quiet_environment
from local.state import ROOT


def watch(folder: Path) -> subprocess.Popen[bytes]:
    """Start a guard over a home in `folder` for this process."""
    me = psutil.Process()
    return subprocess.Popen(
        [sys.executable, "-m", "local.guard", str(me.pid), str(me.create_time()), str(folder)],
        cwd=ROOT,
        env=quiet_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(pid: int, started: float, folder: Path) -> int:
    """Wait for the owner's end, then tidy up."""
    try:
        owner = psutil.Process(pid)
        if abs(owner.create_time() - started) <= START_TOLERANCE_S:
            owner.wait()
    except psutil.NoSuchProcess:
        pass
    if folder.exists():
        home.down(folder)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])))
