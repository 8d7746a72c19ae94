"""The launcher refuses an emulator whose code is not what its patch was written for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from local.ministack_launcher import expect
from local.state import ROOT


def answer() -> int:
    return 42


@pytest.mark.parametrize(("texts", "fits"), [(("return 42",), True), (("return 42", "43"), False)])
def test_expect_compares_with_the_source(texts: tuple[str, ...], fits: bool) -> None:
    target: Callable[[], int] = answer
    if fits:
        expect(target, *texts)
    else:
        with pytest.raises(SystemExit, match=r"MiniStack changed: answer no longer holds \['43'\]"):
            expect(target, *texts)


def test_the_patch_fits_the_pinned_ministack() -> None:
    code = "from local.ministack_launcher import queue_invocations as q; q(); print('fits')"
    done = subprocess.run(
        [ROOT / ".tools" / "bin" / "python", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "fits", done.stderr


def test_the_launcher_stays_small() -> None:
    lines = (ROOT / "local" / "ministack_launcher.py").read_text().splitlines()
    assert len(lines) <= 80
