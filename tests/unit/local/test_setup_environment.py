"""`make setup`: quick when there is nothing to do, and clear when it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local import setup_environment as setup
from local.state import ROOT

SCRIPT = str(ROOT / "local" / "setup_environment.py")


def run(**environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, SCRIPT],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_it_does_nothing_and_says_nothing_when_all_is_there() -> None:
    for folder, lock in (
        (setup.TOOLS, setup.TOOLS_LOCK),
        (setup.CHECKOV, setup.CHECKOV_LOCK),
        (setup.PRODUCT, setup.PRODUCT_LOCK),
    ):
        if not setup.stamped(folder, lock):
            pytest.skip("the lock files changed since `make setup`")
    assert run() == (0, "")


def test_a_missing_program_is_named() -> None:
    status, said = run(PATH="/nonexistent")
    assert status == 1
    assert "git is missing" in said
    assert "Traceback" not in said


def test_an_old_python_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "OLDEST", (9, 0))
    monkeypatch.setattr(setup, "TRY", ())
    with pytest.raises(SystemExit) as stopped:
        setup.need_python()
    assert stopped.value.code == 1
    assert "too old: 3.11 or newer is needed" in capsys.readouterr().err


def test_uv_is_installed_by_its_hashes() -> None:
    lines = setup.pinned("uv", setup.TOOLS_LOCK).splitlines()
    assert lines[0].startswith("uv==")
    assert len(lines) > 5
    assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])


def test_a_changed_lock_file_is_noticed(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("a==1")
    folder = tmp_path / "env"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    assert not setup.stamped(str(folder), str(lock))
    (folder / ".stamp").write_text(setup.digest(str(lock)))
    assert setup.stamped(str(folder), str(lock))
    lock.write_text("a==2")
    assert not setup.stamped(str(folder), str(lock))
