"""What a person's request changes in matching, and the desk that writes it: all of it, once.

A request becomes a `Deed` (who, under which key, acts, answer) and changes; the desk writes both in
one transaction with a match's commit or unmatch where there is one. Somebody who was first, a person
or a machine, makes the whole request lose; nothing of it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pardna.matching.acts import Act, Asked, Deed
from pardna.matching.model import Break, Leg, Match, Pair
from pardna.matching.ports import Committed, StoredMatch
from pardna.matching.rules import Alias, Rules


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """A version of a tenant's rules as it was written down; `base` is the version it changes."""

    tenant_id: str
    rules: Rules
    base: int
    made_by: str
    made_at: str
    note: str

    @property
    def version(self) -> int:
        """Its number."""
        return self.rules.version


@dataclass(frozen=True, slots=True)
class TaughtAlias:
    """An alias with who taught it."""

    tenant_id: str
    alias_id: str
    alias: Alias
    made_by: str
    made_at: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that one person asked for and a second one decides.

    `verb` names the use case, `request` is what it was asked; `status` is ``waiting``, ``done``,
    ``declined`` or ``failed`` (agreed, but no longer possible: `code` says why). `amount_minor` is
    what is at stake, for people who decide.
    """

    tenant_id: str
    decision_id: str
    verb: str
    subject: str
    request: Mapping[str, Any]
    requested_by: str
    requested_at: str
    amount_minor: int
    currency: str
    status: str = "waiting"
    code: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)


# ---------------------------------------------------------------- changes


@dataclass(frozen=True, slots=True)
class RulesProposed:
    """A new version, the next after those given out."""

    made: RulesVersion


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """`version` comes into force in place of `base`; loses when another already has."""

    tenant_id: str
    version: int
    base: int


@dataclass(frozen=True, slots=True)
class AliasTaught:
    """A new alias; loses when its text stands for something already."""

    taught: TaughtAlias


@dataclass(frozen=True, slots=True)
class AliasRemoved:
    """An alias is no longer used; loses when it was not."""

    taught: TaughtAlias


@dataclass(frozen=True, slots=True)
class BreakChanged:
    """A break as it was seen and as it is to be; loses when it is no longer as seen."""

    seen: Break
    new: Break


@dataclass(frozen=True, slots=True)
class DecisionAsked:
    """A decision that waits."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class DecisionClosed:
    """A waiting decision ends; loses when it has ended."""

    seen: Decision
    status: str
    code: str = ""


Change = (
    RulesProposed | RulesInForce | AliasTaught | AliasRemoved | BreakChanged | DecisionAsked | DecisionClosed
)  # fmt: skip


# ---------------------------------------------------------------- the desk


class Desk(Protocol):
    """Match state as people change it."""

    def answered(self, by: Asked) -> Mapping[str, Any] | None:
        """The answer to the same request sent before; None when it is new.

        Raises Conflict ``request.key_reused`` when the key was used for another request.
        """
        ...

    def write(self, deed: Deed, *changes: Change) -> bool:
        """Write changes with the deed; False when any of them has lost."""
        ...

    def commit(
        self, match: Match, deed: Deed, *changes: Change, confirms: bool = False
    ) -> Committed:
        """Commit a match with the deed and changes, all or none; with `confirms`, only while it is
        a proposal."""
        ...

    def unmatch(
        self, tenant_id: str, match_id: str, deed: Deed, *changes: Change, refuse: bool = True
    ) -> bool:
        """Take a match back with the deed and changes; with `refuse`, machines never make it again."""
        ...

    def finish(self, tenant_id: str, match_id: str) -> None:
        """Open what a large match still holds whose taker-back died half-way."""
        ...

    def reject(self, tenant_id: str, match_id: str, deed: Deed) -> bool:
        """Say that a proposal is none, for good; False when it is none any more."""
        ...

    def legs(self, tenant_id: str, pair: Pair, ids: Sequence[str]) -> list[Leg]:
        """Legs by their transactions, free or not; those that do not exist are left out."""
        ...

    def holders(self, tenant_id: str, pair: Pair, ids: Sequence[str]) -> dict[str, str]:
        """Which match holds each of the legs that one holds."""
        ...

    def match(self, tenant_id: str, match_id: str) -> StoredMatch | None:
        """A match as it stands, or None."""
        ...

    def breaks(self, tenant_id: str, ids: Sequence[str]) -> list[Break]:
        """Those breaks that exist."""
        ...

    def decision(self, tenant_id: str, decision_id: str) -> Decision | None:
        """A decision as it stands, or None."""
        ...

    def waiting(self, tenant_id: str) -> Iterator[Decision]:
        """The decisions that wait, the oldest first."""
        ...

    def history(self, tenant_id: str, subject: str, after: str, limit: int) -> tuple[list[Act], str]:  # fmt: skip
        """Acts of a subject, or of a month (``2026-03``), oldest first; and the next page's `after`."""
        ...


class RuleBook(Protocol):
    """A tenant's rules and aliases."""

    def numbers(self, tenant_id: str) -> tuple[int, int]:
        """The version in force, and the last one given out; 1 and 1 for a tenant that said nothing."""
        ...

    def version(self, tenant_id: str, number: int) -> RulesVersion | None:
        """One version, or None."""
        ...

    def versions(self, tenant_id: str) -> list[RulesVersion]:
        """Every version that was written down, oldest first."""
        ...

    def aliases(self, tenant_id: str) -> list[TaughtAlias]:
        """The aliases in use, by text."""
        ...
