"""Lists as Stripe pages them: filters, cursors, `has_more`, and expansion of ids into objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from local.psp.records import Json

_LIMIT_DEFAULT = 10
_LIMIT_MAX = 100
_DEPTH_MAX = 4
_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "gt": lambda have, bound: have > bound,
    "gte": lambda have, bound: have >= bound,
    "lt": lambda have, bound: have < bound,
    "lte": lambda have, bound: have <= bound,
}
_PAGING = frozenset({"limit", "starting_after", "ending_before"})


class BadParameter(Exception):
    """A parameter that Stripe would answer with 400 invalid_request_error."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code


def take_expansions(pairs: list[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """Split a query into plain parameters and the paths of `expand[]` (also `expand[0]`)."""
    expansions = [value for name, value in pairs if re.fullmatch(r"expand\[\d*\]", name)]
    plain = {name: value for name, value in pairs if not name.startswith("expand[")}
    return plain, expansions


def page(items: list[Json], url: str, query: dict[str, str], filters: frozenset[str]) -> Json:
    """One page of `items` (already newest first). Raises `BadParameter`.

    `filters` names the fields that may be asked for by equality; those in `_TIMES` also take
    `[gt]`, `[gte]`, `[lt]` and `[lte]`.
    """
    for name in query:
        if name.split("[")[0] not in filters | _PAGING:
            raise BadParameter(f"Received unknown parameter: {name}", name, "parameter_unknown")
    for name, value in query.items():
        if name not in _PAGING:
            items = [one for one in items if _matches(one, name, value)]
    limit = _limit(query)
    after, before = query.get("starting_after"), query.get("ending_before")
    if after and before:
        raise BadParameter(
            "You may only specify one of these parameters: ending_before, starting_after.",
            "ending_before",
        )
    if before:
        end = _position(items, before, "ending_before")
        start = max(0, end - limit)
        data, has_more = items[start:end], start > 0
    else:
        start = _position(items, after, "starting_after") + 1 if after else 0
        data, has_more = items[start : start + limit], len(items) > start + limit
    return {"object": "list", "url": url, "has_more": has_more, "data": data}


def expand(thing: Any, path: str, find: Callable[[str], Json | None]) -> Any:
    """A copy of `thing` in which the ids along a dotted path are replaced by their objects.

    Raises `BadParameter` when the path does not exist or is too deep.
    """
    if path.count(".") >= _DEPTH_MAX:
        raise BadParameter("You cannot expand more than 4 levels of a property.", "expand")
    return _expand(thing, path.split("."), path, find)


def _expand(thing: Any, steps: list[str], path: str, find: Callable[[str], Json | None]) -> Any:
    if isinstance(thing, list):
        return [_expand(one, steps, path, find) for one in thing]
    name, rest = steps[0], steps[1:]
    if not isinstance(thing, dict) or name not in thing:
        raise BadParameter(f"This property cannot be expanded ({path}).", "expand")
    inner = thing[name]
    if isinstance(inner, str):
        inner = find(inner) or inner
    if rest and inner is not None:
        inner = _expand(inner, rest, path, find)
    return {**thing, name: inner}


def _matches(one: Json, name: str, value: str) -> bool:
    ranged = re.fullmatch(r"(\w+)\[(\w+)\]", name)
    if ranged is None:
        have = one.get(name)
        return str(have) == (value.lower() if name == "currency" else value)
    field, comparison = ranged.groups()
    if comparison not in _COMPARISONS or not isinstance(one.get(field), int):
        raise BadParameter(f"Received unknown parameter: {name}", name, "parameter_unknown")
    if not re.fullmatch(r"\d+", value):
        raise BadParameter(f"Invalid integer: {value}", name, "parameter_invalid_integer")
    return _COMPARISONS[comparison](one[field], int(value))


def _limit(query: dict[str, str]) -> int:
    text = query.get("limit", str(_LIMIT_DEFAULT))
    if not re.fullmatch(r"-?\d+", text):
        raise BadParameter(f"Invalid integer: {text}", "limit", "parameter_invalid_integer")
    if not 1 <= int(text) <= _LIMIT_MAX:
        raise BadParameter(
            f"This value must be between 1 and {_LIMIT_MAX}.", "limit", "parameter_invalid_integer"
        )
    return int(text)


def _position(items: list[Json], cursor: str, name: str) -> int:
    for position, one in enumerate(items):
        if one["id"] == cursor:
            return position
    raise BadParameter(f"No such object: '{cursor}'", name, "resource_missing")
