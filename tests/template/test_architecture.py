"""Who may know whom: import-linter's contracts, and what handlers may not touch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pardna.identity.model import PERMISSIONS
from tests.template.reading import ROOT

HANDLERS = sorted((ROOT / "functions").glob("*/*.py"))
LAYER = ROOT / "layers" / "shared"
each_handler = pytest.mark.parametrize("path", HANDLERS, ids=lambda p: f"{p.parent.name}.{p.stem}")

#: What handlers may import besides pardna: the standard library's words, and pydantic at the edge.
PLAIN = {"__future__", "typing", "collections.abc", "dataclasses", "datetime", "json", "pydantic"}
TECHNOLOGIES = {
    *("postgres", "dynamodb", "s3", "sqs", "aws", "stepfunctions", "stripe_api", "sftp"),
    *("cloudformation", "clients", "settings", "session"),
}


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_import_linter_keeps_its_contracts() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(LAYER)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@each_handler
def test_a_handler_imports_the_product_and_no_technology(path: Path) -> None:
    for module in imported(path):
        if module.startswith("pardna."):
            assert not TECHNOLOGIES & set(module.split(".")[2:]), f"{path.name} imports {module}"
        else:
            plain = module in PLAIN or module.rsplit(".", 1)[0] in PLAIN
            assert plain, f"{path.name} imports {module}"


@each_handler
def test_a_handler_is_thin_and_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())

    assert ast.get_docstring(tree)
    assert len(path.read_text().splitlines()) <= 120
    assert any(isinstance(n, ast.FunctionDef) and n.name == "handler" for n in tree.body)


@each_handler
def test_every_permission_that_is_asked_for_is_in_the_table(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "require":
            permission = node.args[2] if len(node.args) > 2 else None
            if isinstance(permission, ast.Constant):
                assert permission.value in PERMISSIONS


def test_only_settings_read_the_environment() -> None:
    for path in sorted(LAYER.glob("pardna/**/*.py")) + HANDLERS:
        if path.name == "settings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            read = isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
            assert not read, f"{path.relative_to(ROOT)} reads the environment"


def test_money_is_never_a_float() -> None:
    """No float() call and no true division where money is counted."""
    for package in ("money", "ledger", "transactions", "circles", "payments"):
        for path in sorted((LAYER / "pardna" / package).glob("**/*.py")):
            joins_paths = "pathlib" in set(imported(path))  # there, a slash is no division
            for node in ast.walk(ast.parse(path.read_text())):
                where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
                called = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float"
                divided = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
                assert not called, f"{where} makes a float"
                assert joins_paths or not divided, f"{where} divides"
