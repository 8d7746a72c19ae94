"""What a reference or a name also stands for, as a person taught it. Pure.

An alias adds to what a leg says, it never replaces a record: a leg whose reference reads as the
alias is compared at level 2 as if it carried the other reference as well; a leg whose name reads as
the alias is compared under the other name. Both are compared without case and punctuation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pardna.matching.model import Leg, Match
from pardna.matching.rules import Alias, Rules
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Reference, Strength

KINDS = ("reference", "name")
#: Shorter references are compared nowhere at level 2; an alias for one would join strangers.
LENGTH_MIN, LENGTH_MAX = 6, 140
#: Aliases of a tenant: they are part of every run's rules.
COUNT_MAX = 5_000

_PUNCTUATION = re.compile(r"[^A-Z0-9]")


def normalised(text: str) -> str:
    """Without case and punctuation, as level 2 compares."""
    return _PUNCTUATION.sub("", text.upper())


def alias_id(kind: str, value: str) -> str:
    """One alias for each kind and text: a text stands for one thing."""
    return "a_" + hashlib.sha256(f"{kind}\x1f{normalised(value)}".encode()).hexdigest()[:24]


def checked(kind: str, value: str, stands_for: str) -> Alias:
    """An alias that can be used; raises InvalidInput naming the field."""
    if kind not in KINDS:
        raise InvalidInput("alias.kind", "kind: reference or name")
    for name, text in (("value", value), ("stands_for", stands_for)):
        if not (len(text) <= LENGTH_MAX and text.isprintable()):
            raise InvalidInput("alias.text", f"{name}: up to {LENGTH_MAX} printable characters")
        if len(normalised(text)) < (LENGTH_MIN if kind == "reference" else 2):
            raise InvalidInput(
                "alias.short", f"{name}: at least {LENGTH_MIN} letters or digits, or it would join strangers"
            )  # fmt: skip
    if normalised(value) == normalised(stands_for):
        raise InvalidInput("alias.same", "stands_for: another text than value")
    return Alias(kind, value, stands_for)


def applied(legs: Iterable[Leg], rules: Rules) -> list[Leg]:
    """The legs as the engine is to see them."""
    if not rules.aliases:
        return list(legs)
    references = {normalised(a.value): a.stands_for for a in rules.aliases if a.kind == "reference"}
    names = {normalised(a.value): a.stands_for for a in rules.aliases if a.kind == "name"}
    return [_applied(leg, references, names, rules) for leg in legs]


def as_recorded(match: Match, recorded: Mapping[str, Leg]) -> Match:
    """A match whose members say what their records say: what was taught decides, and is not kept."""
    members = tuple(recorded.get(leg.transaction_id, leg) for leg in match.members)
    return replace(match, members=members)


def _applied(leg: Leg, references: dict[str, str], names: dict[str, str], rules: Rules) -> Leg:
    soft = rules.of(leg.pair).soft_types
    known = {r.value for r in leg.references}
    more = {
        Reference(r.type if r.type in soft else soft[0], references[key], Strength.WEAK)
        for r in leg.references
        if soft and (key := normalised(r.value)) in references and references[key] not in known
    }
    name = names.get(normalised(leg.name), leg.name) if leg.name else ""
    if not more and name == leg.name:
        return leg
    return replace(leg, name=name, references=tuple(sorted({*leg.references, *more})))
