"""The simulators share nothing with the product, so that its mistakes cannot cancel out."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: What they share is held to the same rules.
SHARED = "local.serving"
SOURCES = sorted(
    [
        *(ROOT / "local/psp").rglob("*.py"),
        *(ROOT / "local/bank").rglob("*.py"),
        ROOT / "local/serving.py",
    ]
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_standard_library_and_an_sftp_server_are_imported(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "asyncssh"}
    own = ".".join(path.relative_to(ROOT).parts[:2])

    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            assert name.split(".")[0] in allowed or name.startswith((own, SHARED)), name


# These wait in fractions of a second; no amount passes through them.
WAITING = {"launch.py", "server.py", "serving.py"}


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path.name not in WAITING],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_floats(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), path
        assert not (isinstance(node, ast.Name) and node.id == "float"), path
