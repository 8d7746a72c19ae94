"""A tenant's matching rules as people write them (JSON), and back.

The words are those of `rules.Rules`, derived from it: whatever the engine knows can be set, unknown
words are refused, and what is wrong is named. Numbers are non-negative; shares (``…_bp``) are at most
10,000 basis points, days at most 366.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass, replace
from datetime import date
from enum import Enum
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic import Field as Limit

from pardna.matching.rules import Alias, Rules, default_rules
from pardna.money.model import MINOR_MAX
from pardna.runtime.errors import InvalidInput, TooLarge

#: Entries of a list in the rules, characters of a text.
LIST_MAX, TEXT_MAX = 500, 100
#: Characters of all rules; a version is one item, which holds 400 KB.
SIZE_MAX = 200_000
#: Basis points that weights may add up to; what is above 9,990 is shown as that.
BEST_MAX = 11_000
_DAYS = {"before", "after", "waiting_days", "age_days", "sla_days"}
#: What bounds the engine's work, and so what a tenant may ask of it.
_EFFORT = {
    "component_max": 1_000,
    "candidates_max": 1_000,
    "subset_max": 24,
    "subset_steps": 5_000_000,
}
#: Not set by who writes rules: given by us, or taught one by one (`aliases`).
_OURS = {"version", "aliases"}


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


@cache
def document(of: type[Any] = Rules) -> type[BaseModel]:
    """The pydantic model that `of`, a dataclass of rules, is read with."""
    hints = get_type_hints(of)
    words: dict[str, Any] = {
        f.name: (_word(f.name, hints[f.name]), _default(f))
        for f in fields(of)
        if not (of is Rules and f.name in _OURS)
    }
    return create_model(f"{of.__name__}Words", __base__=_Words, **words)


def _default(one: Field[Any]) -> Any:
    if one.default is MISSING:
        return ...
    value = one.default
    if isinstance(value, tuple):
        return tuple(asdict(v) if _is_rule(type(v)) else v for v in value)
    return asdict(value) if _is_rule(type(value)) else value


def _is_rule(type_: Any) -> bool:
    return isinstance(type_, type) and is_dataclass(type_) and not issubclass(type_, Enum)


def _word(name: str, type_: Any) -> Any:
    """How a field is read: whole documents for dataclasses, bounds for numbers and texts."""
    if get_origin(type_) is tuple:
        inner: Any = _word(name, get_args(type_)[0])
        return Annotated[tuple.__class_getitem__((inner, ...)), Limit(max_length=LIST_MAX)]
    if _is_rule(type_):
        return document(type_)
    if type_ is int:
        top = 10_000 if name.endswith("bp") else 366 if name in _DAYS else _EFFORT.get(name, MINOR_MAX)  # fmt: skip
        low = 1 if name in _EFFORT else 0
        return Annotated[int, Limit(ge=low, le=top, strict=True)]
    if type_ is str:
        return Annotated[str, Limit(max_length=TEXT_MAX)]
    return type_


def read(text: bytes | str, version: int) -> Rules:
    """Rules from JSON; what is not said is as delivered, for each pair. Raises InvalidInput
    ``rules.invalid`` naming each field that is wrong, TooLarge."""
    made = _parsed(text, version)
    delivered = default_rules()
    said = {one["pair"]: one for one in json.loads(text).get("pairs", ())}
    pairs = {one.pair: one for one in (*delivered.pairs, *made.pairs)}
    merged = tuple(
        replace(
            delivered.of(pair),
            **{f.name: getattr(one, f.name) for f in fields(one) if f.name in said.get(pair, {})},
        )
        for pair, one in pairs.items()
    )
    rules = replace(made, pairs=merged)
    check(rules)
    if len(json.dumps(to_plain(rules))) > SIZE_MAX:
        raise TooLarge("rules.too_large", f"rules have at most {SIZE_MAX} characters of JSON")
    return rules


def _parsed(text: bytes | str, version: int) -> Rules:
    try:
        words = document().model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'rules'}: {e['msg']}" for e in error.errors()[:10]
        )
        raise InvalidInput("rules.invalid", wrong) from None
    made: Rules = _built(Rules, words.model_dump() | {"version": version})
    check(made)
    return made


def _built(of: Any, plain: Any) -> Any:
    if get_origin(of) is tuple:
        inner = get_args(of)[0]
        return tuple(_built(inner, one) for one in plain)
    if _is_rule(of):
        hints = get_type_hints(of)
        return of(**{name: _built(hints[name], value) for name, value in plain.items()})
    return plain


def check(rules: Rules) -> None:
    """What no single field can say. Raises InvalidInput ``rules.invalid``."""
    wrong = []
    named = [one.pair for one in rules.pairs]
    if len(set(named)) != len(named):
        wrong.append("pairs: each pair is named once")
    for number, one in enumerate(rules.pairs):
        if one.propose_bp > one.automatic_bp:
            wrong.append(f"pairs.{number}.automatic_bp: not below propose_bp")
        if len({rail.rail for rail in one.rails}) != len(one.rails):
            wrong.append(f"pairs.{number}.rails: each rail is named once")
        if one.weights.best_bp > BEST_MAX:
            wrong.append(f"pairs.{number}.weights: what speaks for a pair is {BEST_MAX} at most")
    severities = rules.severities
    if not severities:
        wrong.append("severities: at least one")
    for number, (mild, grave) in enumerate(pairwise(severities), 1):
        if (grave.amount_minor, grave.age_days) <= (mild.amount_minor, mild.age_days):
            wrong.append(f"severities.{number}: graver than the one before it")
    if wrong:
        raise InvalidInput("rules.invalid", "; ".join(wrong))


def to_plain(rules: Rules) -> dict[str, Any]:
    """JSON types only: what `read` reads, and the version."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(rules), default=_text))
    return plain


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def from_plain(plain: Mapping[str, Any]) -> Rules:
    """The inverse of `to_plain`, for what we wrote ourselves."""
    words = {name: value for name, value in plain.items() if name not in _OURS}
    made = _parsed(json.dumps(words), int(plain["version"]))
    return replace(made, aliases=tuple(Alias(**one) for one in plain.get("aliases", ())))
