"""What people do to the rules: look at them, propose a version, teach and take back aliases.

A version is written once and never changed. It comes into force when a second person agrees, and
only in place of the version that it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pardna.matching.acts import Asked, Deed, act, checked_text
from pardna.matching.aliases import COUNT_MAX, alias_id, checked
from pardna.matching.decisions import AskSecondPerson, Stake
from pardna.matching.desk import (
    AliasRemoved,
    AliasTaught,
    Change,
    Desk,
    RuleBook,
    RulesInForce,
    RulesProposed,
    RulesVersion,
    TaughtAlias,
)
from pardna.matching.tenant_rules import read, to_plain
from pardna.money.model import Money
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import Conflict, NotFound, RefusedByRule

#: Versions that are shown, the newest; a function answers with at most 6 MB.
SHOWN_MAX = 15
#: Rules move no money of their own; an approval says an amount all the same.
_NOTHING = Money(0, "USD")


class RuleList:
    """The rules, for people."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book

    def show(self, tenant_id: str) -> dict[str, Any]:
        """The rules in force, the latest versions, and the aliases."""
        current, last = self._book.numbers(tenant_id)
        versions = [v for v in self._book.versions(tenant_id) if v.version > last - SHOWN_MAX]
        if not versions or versions[0].version > 1:
            first = self._book.version(tenant_id, 1)
            versions = [*([first] if first else []), *versions]
        shown = [_version_body(v, current) for v in reversed(versions)]
        return {
            "in_force": current,
            "versions": shown,
            "aliases": [_alias_body(taught) for taught in self._book.aliases(tenant_id)],
        }


class RuleWork:
    """The use cases; each answers the same request sent again with the same answer."""

    def __init__(self, desk: Desk, book: RuleBook, second: AskSecondPerson, clock: Clock) -> None:
        self._desk = desk
        self._book = book
        self._second = second
        self._clock = clock

    def propose(self, by: Asked, base: int, rules: str, note: str) -> Mapping[str, Any]:
        """Write a version down and let a second person decide. Raises InvalidInput naming fields,
        Conflict when `base` is not in force any more."""
        if (said := self._second.again(by)) is not None:
            return said
        checked_text(note, "note")
        current, last = self._book.numbers(by.tenant_id)
        made = read(rules, last + 1)
        if base != current:
            raise Conflict(
                "rules.overtaken",
                f"version {current} is in force, not {base}; start from that one",
                version=current,
            )
        version = RulesVersion(by.tenant_id, made, base, by.principal, iso(self._clock()), note)
        request = {"version": version.version, "base": base}
        told = {"version": version.version, "rules_hash": made.rules_hash}
        stake = Stake("rules", f"rules:{version.version}", _NOTHING, told)
        return self._second.ask(by, stake, request, note, RulesProposed(version))

    def agreed_by_two(
        self, by: Asked, request: Mapping[str, Any], closed: Change
    ) -> Mapping[str, Any]:
        """Bring a version into force that a second person approved."""
        if (said := self._desk.answered(by)) is not None:
            return said
        version, base = int(request["version"]), int(request["base"])
        at = iso(self._clock())
        answer = {"status": "in_force", "version": version}
        acts = (act(by, "rules", "brought_into_force", at, version=version, base=base),)
        change = RulesInForce(by.tenant_id, version, base)
        if self._desk.write(Deed(by, acts, answer), change, closed):
            return answer
        said = self._desk.answered(by)
        if said is None:
            raise Conflict("rules.overtaken", f"version {base} is not in force any more")
        return said


class AliasWork:
    """Teaching and forgetting; each answers the same request sent again with the same answer."""

    def __init__(self, desk: Desk, book: RuleBook, clock: Clock) -> None:
        self._desk = desk
        self._book = book
        self._clock = clock

    def teach(self, by: Asked, kind: str, value: str, stands_for: str, reason: str) -> Mapping[str, Any]:  # fmt: skip
        """Teach an alias. Raises InvalidInput, Conflict when its text stands for something already."""
        if (said := self._desk.answered(by)) is not None:
            return said
        alias = checked(kind, value, stands_for)
        checked_text(reason, "reason")
        known = self._book.aliases(by.tenant_id)
        if len(known) >= COUNT_MAX:
            raise RefusedByRule("alias.too_many", f"a tenant has at most {COUNT_MAX} aliases")
        at, identifier = iso(self._clock()), alias_id(kind, value)
        taught = TaughtAlias(by.tenant_id, identifier, alias, by.principal, at)
        answer = {"status": "taught", "alias_id": identifier}
        told = act(by, f"alias:{identifier}", "taught", at, reason, kind=kind, value=value, stands_for=stands_for)  # fmt: skip
        if self._desk.write(Deed(by, (told,), answer), AliasTaught(taught)):
            return answer
        if (said := self._desk.answered(by)) is not None:
            return said
        raise Conflict("alias.known", f"{value} stands for something already; remove {identifier} first", alias_id=identifier)  # fmt: skip

    def forget(self, by: Asked, identifier: str, reason: str) -> Mapping[str, Any]:
        """Remove an alias: later runs do not use it. What it has matched stays matched."""
        if (said := self._desk.answered(by)) is not None:
            return said
        checked_text(reason, "reason")
        found = [a for a in self._book.aliases(by.tenant_id) if a.alias_id == identifier]
        if not found:
            raise NotFound("alias.not_found", "there is no such alias here")
        answer = {"status": "removed", "alias_id": identifier}
        told = act(by, f"alias:{identifier}", "removed", iso(self._clock()), reason)
        if self._desk.write(Deed(by, (told,), answer), AliasRemoved(found[0])):
            return answer
        said = self._desk.answered(by)
        if said is None:
            raise NotFound("alias.not_found", "it was removed a moment ago")
        return said


def _version_body(one: RulesVersion, current: int) -> dict[str, Any]:
    rules = to_plain(one.rules)
    del rules["version"], rules["aliases"]
    return {
        "version": one.version,
        "in_force": one.version == current,
        "base_version": one.base,
        "rules_hash": one.rules.rules_hash,
        "made_by": one.made_by,
        "made_at": one.made_at,
        "note": one.note,
        "rules": rules,
    }


def _alias_body(taught: TaughtAlias) -> dict[str, Any]:
    return {
        "alias_id": taught.alias_id,
        "kind": taught.alias.kind,
        "value": taught.alias.value,
        "stands_for": taught.alias.stands_for,
        "made_by": taught.made_by,
        "made_at": taught.made_at,
    }
