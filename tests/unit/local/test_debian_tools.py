"""Unpacking OpenSSH's server: it never fails a setup, and says why it did nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "local" / "debian_tools.py"


def run(folder: Path, path: str) -> subprocess.CompletedProcess[str]:
    """The script in a repository of its own, with these programs to be found."""
    (folder / "local").mkdir(exist_ok=True)
    shutil.copy(SCRIPT, folder / "local")
    return subprocess.run(
        [sys.executable, str(folder / "local" / SCRIPT.name)],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(os.path.exists("/usr/sbin/sshd"), reason="this system has the server itself")
@pytest.mark.parametrize("apt", ["none", "without network"])
def test_where_it_cannot_work_it_says_so_and_setup_goes_on(tmp_path: Path, apt: str) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    if apt != "none":
        for name in ("apt-get", "dpkg"):
            (programs / name).write_text("#!/bin/sh\nexit 100\n")
            (programs / name).chmod(0o755)
    done = run(tmp_path, str(programs))
    assert done.returncode == 0
    assert ("no apt" if apt == "none" else "could not download") in done.stdout
    assert (tmp_path / ".tools" / "debian").is_dir(), "or every setup would try again"
    assert list((tmp_path / ".tools" / "debian").glob("*.deb")) == []
