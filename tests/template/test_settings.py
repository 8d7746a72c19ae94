"""Each function is given the settings that its code reads, all of them and no others.

Found by reading: from a handler along the functions of the product that it uses, wiring to wiring,
down to where a setting is named.
"""

from __future__ import annotations

import ast
from functools import cache

import pytest

from pardna.runtime.settings import Settings
from tests.template.reading import ROOT, environment, functions, handler_of

LAYER = ROOT / "layers" / "shared"
FIELDS = set(Settings.model_fields)
#: Told to every function, or good as they are by default.
EVERYWHERE = {"pardna_stage", "aws_region", "database_port", "database_name", "database_user"}
DATABASE = {"database_url", "database_host"}


class Module:
    """What a module defines and imports, as far as following calls needs it."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name = name
        self.functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
        self.classes = {n.name for n in tree.body if isinstance(n, ast.ClassDef)}
        self.imports = imports_of(tree, top_level=True)


def imports_of(tree: ast.AST, *, top_level: bool = False) -> dict[str, tuple[str, str]]:
    """Local name -> (module, name there) of every ``from pardna… import …``."""
    nodes = tree.body if top_level and isinstance(tree, ast.Module) else ast.walk(tree)
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pardna.")
        for alias in node.names
    }


@cache
def module(name: str) -> Module | None:
    """A module of the product, or None when there is none of this name."""
    path = LAYER / (name.replace(".", "/") + ".py")
    return Module(name, ast.parse(path.read_text())) if path.exists() else None


def read_by(node: ast.AST, where: Module, seen: set[tuple[str, str]]) -> set[str]:
    """Settings named in a piece of code, or in what it uses."""
    known = where.imports | imports_of(node)
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and part.value in FIELDS:
            found.add(str(part.value))
        elif isinstance(part, ast.Attribute):
            found |= {part.attr} & FIELDS
            if isinstance(part.value, ast.Name) and part.value.id in known:
                package, name = known[part.value.id]
                found |= follow(f"{package}.{name}", part.attr, seen)
        elif isinstance(part, ast.Name):
            if part.id in where.functions:
                found |= follow(where.name, part.id, seen)
            elif part.id in known:
                found |= follow(*known[part.id], seen)
    return found


def follow(module_name: str, name: str, seen: set[tuple[str, str]]) -> set[str]:
    """Settings that a function of the product reads, directly or not."""
    if (module_name, name) in seen or module_name.startswith("pardna.runtime"):
        return set()
    seen.add((module_name, name))
    there = module(module_name)
    if there is None or name not in there.functions:
        return set()
    return read_by(there.functions[name], there, seen)


def needed_by(area: str, verb_noun: str) -> set[str]:
    """Environment variables that a handler's code reads."""
    tree = ast.parse((ROOT / "functions" / area / f"{verb_noun}.py").read_text())
    handler = Module(f"functions.{area}.{verb_noun}", tree)
    found = read_by(tree, handler, set()) - EVERYWHERE
    if found & DATABASE:
        found |= DATABASE
    return {field.upper() for field in found}


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_function_is_told_what_it_reads_and_no_more(name: str) -> None:
    given = set(environment(functions()[name]))

    assert needed_by(*handler_of(functions()[name])) == given


def test_every_setting_is_given_to_somebody() -> None:
    given = {variable for f in functions().values() for variable in environment(f)}
    never = {field.upper() for field in FIELDS - EVERYWHERE} - given

    assert never == set()


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_variable_is_text(name: str) -> None:
    """CloudFormation makes text of a number; a process that is started by hand cannot."""
    given = environment(functions()[name])
    assert {k: v for k, v in given.items() if not isinstance(v, str | dict)} == {}
