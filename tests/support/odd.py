"""Requests as somebody would send them who looks for what we did not think of."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from pardna.runtime.paging import encode_cursor
from tests.support.handlers import Context

Event = dict[str, Any]
Handler = Callable[[Event, Any], dict[str, Any]]

VALUES: list[Any] = [
    "a\x00b", "\u2028", "\ufffe", "x" * 5_000, "", " ", "<b>&'; --", "💩", -1, 0, 2**63, 10**30, 1.5,
    True, None, [], {}, "0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00", "../../etc/passwd",
    "=cmd|' /C calc'!A0", "%2e%2e%2f", "٣",
]  # fmt: skip
#: What a path may name: other tenants' things, keys' separators, nothing.
NAMES = ["..", "../rival-union", "a/b", "a#b", "T#rival-union", "%00", "x" * 201, "", " ", "💩", "\x00", "r_x"]  # fmt: skip
CURSORS = [
    "%%%", "x" * 3_000, "W10", encode_cursor("x"), encode_cursor("x", "x"), encode_cursor(1, 2),
    encode_cursor("2026-01-01T00:00:00+00:00", "x"), encode_cursor("2026-01-01", "\ud800"),
    encode_cursor("0001-01-01T00:00:00+14:00", "00000000-0000-0000-0000-000000000000"),
    encode_cursor("raw/rival-union/" + "a" * 64), encode_cursor("x" * 1_000),
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


def bodies(body: Any) -> Iterator[tuple[str, Any]]:
    """The body with one odd value in one place, each in turn; and what is no body at all."""
    for path in places(body):
        for odd in VALUES:
            changed = copy.deepcopy(body)
            node: Any = changed
            for step in path[:-1]:
                node = node[step]
            node[path[-1]] = odd
            yield f"{path}={str(odd)[:30]!r}", changed
    for odd in ([], "", 1, None, {"surprise": 1}):
        yield f"body={odd!r}", odd


def requests(event: Event, queries: tuple[str, ...] = ()) -> Iterator[tuple[str, Event]]:
    """The request with one thing odd: its body, a name in its path, a value of its query."""
    if event.get("body"):
        for said, body in bodies(json.loads(event["body"])):
            yield said, event | {"body": json.dumps(body)}
        for text in ("{", "[" * 5_000, '{"a":' * 2_000, "\ud800", '"\\ud800"', "null"):
            yield f"body={text[:20]!r}", event | {"body": text}
    for name, value in (event.get("pathParameters") or {}).items():
        for odd in NAMES:
            if odd != value:
                path = event["pathParameters"] | {name: odd}
                yield f"{name}={odd[:30]!r}", event | {"pathParameters": path}
    for name in queries:
        texts = CURSORS if name == "cursor" else [str(odd) for odd in VALUES]
        for text in texts:
            yield f"?{name}={text[:60]!r}", event | {"queryStringParameters": {name: text}}


def failures(handler: Handler, event: Event, queries: tuple[str, ...] = ()) -> list[str]:
    """Which odd requests were answered by a failure of ours, not by a refusal."""
    failed = []
    for said, odd in requests(event, queries):
        answer = handler(odd, Context())
        if answer["statusCode"] >= 500:
            failed.append(f"{said}: {answer['statusCode']} {answer['body']}")
    return failed
