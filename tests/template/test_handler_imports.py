"""What a cold start pays: heavy packages are imported where they are used, never at the door."""

from __future__ import annotations

import pytest

from benchmarks.imports import HEAVY, handlers, layer_path, measure


@pytest.fixture(scope="session")
def path() -> list[str]:
    return layer_path()


@pytest.mark.parametrize("handler", handlers())
def test_a_handler_imports_with_the_layers_only_and_nothing_heavy(
    handler: str, path: list[str]
) -> None:
    """In a process with the layers' packages and nothing else, as in Lambda."""
    found = measure(handler, f"import {handler}", path, runs=1)
    assert found.heavy == ()


def test_heavy_packages_are_seen(path: list[str]) -> None:
    """The test above would be worth nothing if it could not see them."""
    statement = f"import {', '.join(HEAVY)}"
    assert set(measure("all", statement, path, runs=1).heavy) == set(HEAVY)
