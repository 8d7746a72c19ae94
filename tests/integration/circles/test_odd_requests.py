"""Whatever stands in a request for a circle, the answer is a refusal or a circle: never our failure."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from functions.circles import create_circle
from tests.integration.circles.test_handlers import called, town
from tests.support.deployed import sample

__all__ = ["town"]

ODD: list[Any] = [
    "a\x00b", "\u2028", "\ufffe", "x" * 5_000, "", " ", "<b>&'; --", "💩", -1, 0, 2**63, 10**30, 1.5,
    True, None, [], {},
]  # fmt: skip


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a body holds a value."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from places(value, (*path, key))
    elif isinstance(node, list) and node:
        yield from places(node[0], (*path, 0))
    else:
        yield path


def test_no_value_anywhere_is_a_failure_of_ours(town: None) -> None:
    event = sample("circles", "create_circle.five_members")
    body = json.loads(event["body"])
    failed = []
    for number, (path, odd) in enumerate((p, o) for p in places(body) for o in ODD):
        changed = copy.deepcopy(body) | {"reference": f"odd-{number}"}
        node: Any = changed
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = odd
        status, _ = called(create_circle, event | {"body": json.dumps(changed)})
        if status >= 500:
            failed.append((path, odd))
    assert failed == []
