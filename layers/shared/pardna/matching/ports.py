"""What matching needs from the outside, and what others may read of it.

**For those who follow the match table** (its stream, or `MatchReader`). A match is

- a *header* item: ``kind = "match"``, ``tenant_id, match_id, version, pair, currency, status``,
  ``level`` (1 to 4; 0: a person), ``rule_id, rule_version, confidence_bp, shape, members_count``,
  ``variance_minor, variance_kind`` (`model.Match`), ``explanation`` (JSON text), ``run_id``,
  ``decided_at`` (ISO 8601 instant of the commit or of the unmatch);
- one *member* item per leg under the same partition key (sort key ``LEG#transaction_id``):
  ``kind = "match_member"``, ``tenant_id, match_id, pair, transaction_id, transaction_version,
  side, source, transaction_kind, amount_minor, basis_minor, gross_minor, fee_minor, net_minor,
  currency, external_id, occurred_at``. `basis_minor` is the amount that the pair compares (gross
  to gross, net to bank), signed as the record has it.

**Only the header decides.** ``committed`` at version n: the members are joined, all of them are
readable (they are written before or with the header). ``unmatched`` at version n: the match that
was committed as version n is taken back. Matched again, the same members are version n + 1. Any
other status is not a match: member items of a header that is ``claiming``, ``abandoned`` or
``proposed`` mean nothing. A stream consumer acts on MODIFY and INSERT images of headers whose
status is ``committed`` or ``unmatched``, reads the members by `MatchReader.get`, and uses
``match:{match_id}:{version}`` as its key; images may come twice and out of order.
`MatchReader.of_status` finds what a stream lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

from pardna.matching.acts import Act
from pardna.matching.model import Break, Leg, Match, Pair, Status
from pardna.runtime.keys import WRITE_SHARDS
from pardna.transactions.model import Kind, Reference, Side

#: Into how many parts open legs are spread, each read by itself.
OPEN_PARTS = WRITE_SHARDS


class Committed(StrEnum):
    """What became of an attempt to commit: now, before (the same match), another was first, or a
    person has said that these legs are not the same money."""

    NOW = "now"
    BEFORE = "before"
    LOST = "lost"
    REFUSED = "refused"


class LegState(StrEnum):
    """What recording a leg found: open, matched already, or a newer version than this one."""

    OPEN = "open"
    MATCHED = "matched"
    REOPENED = "reopened"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a match as it was when the match was committed."""

    transaction_id: str
    transaction_version: int
    side: Side
    source: str
    kind: Kind
    amount_minor: int
    basis_minor: int
    currency: str
    external_id: str
    occurred_at: datetime
    gross_minor: int | None = None
    fee_minor: int | None = None
    net_minor: int | None = None


@dataclass(frozen=True, slots=True)
class StoredMatch:
    """A match as it stands in the store: its header, and its members."""

    tenant_id: str
    match_id: str
    version: int
    pair: Pair
    currency: str
    status: Status
    level: int
    rule_id: str
    rule_version: int
    confidence_bp: int
    variance_minor: int
    variance_kind: str
    explanation: Mapping[str, Any]
    run_id: str
    decided_at: datetime
    members: tuple[Member, ...]


class MatchReader(Protocol):
    """Matches, for whoever follows them (the ledger, reports, evidence)."""

    def get(self, tenant_id: str, match_id: str) -> StoredMatch | None:
        """A match with all its members, or None. Reads its own latest write."""
        ...

    def of_status(
        self, tenant_id: str, status: Status, since: datetime | None = None
    ) -> Iterator[str]:
        """Ids of matches of a status, decided at `since` or later; streamed, each once."""
        ...

    def of_transaction(self, tenant_id: str, pair: Pair, transaction_id: str) -> str:
        """The id of the committed match that holds a transaction in a pair; "" when none does."""
        ...


class Proposals(Protocol):
    """Matches that a person decides."""

    def proposed(self, tenant_id: str) -> Iterator[StoredMatch]:
        """Every proposal that stands."""
        ...

    def withdraw(self, tenant_id: str, match_id: str) -> bool:
        """Give a proposal up; False when it is none (any more)."""
        ...


class MatchState(Protocol):
    """Open legs and the one place where two matches cannot both win."""

    def record(self, legs: Sequence[Leg]) -> dict[Pair, LegState]:
        """Write the legs of one version of one transaction; an older version changes nothing.

        A matched leg stays matched, unless its basis has changed: then its match is taken back
        first (REOPENED).
        """
        ...

    def candidates(self, leg: Leg, reference: Reference) -> list[Leg]:
        """All legs of the pair that carry the strong reference, both sides, a few at most.

        More than a few are reported as they are found: a reference of many is nobody's identity.
        """
        ...

    def commit(self, match: Match) -> Committed:
        """Join the match's members, all or none, each open and of the version that was seen."""
        ...

    def unmatch(self, tenant_id: str, match_id: str, reason: str) -> bool:
        """Take a committed match back and open its legs; False when there is none to take back."""
        ...

    def open_legs(self, tenant_id: str, pair: Pair, currency: str) -> Iterator[Leg]:
        """Every leg still open; first finishes or gives up what a killed writer left half-way."""
        ...


class Refusals(Protocol):
    """What people said is not the same money."""

    def refused(self, tenant_id: str, pair: Pair) -> frozenset[str]:
        """Ids of the matches of a pair that no machine may make."""
        ...


class LegsAndRefusals(MatchState, Refusals, Protocol):
    """What a shard works with."""


#: Attributes of a leg's item and of its member's item as they are written, by pair and transaction id.
#: A leg that is not there is rendered when it is written.
LegTexts = Mapping[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Identified:
    """A leg by its identities: pair, side (`told_by`), references as (type, value), and the text of
    what its item says."""

    tenant_id: str
    pair: Pair
    transaction_id: str
    told_by: str
    currency: str
    references: tuple[tuple[str, str], ...]
    text: str


class SplitState(LegsAndRefusals, Protocol):
    """What the shards of a split pair work with.

    Its commits also take members that were never recorded (they stand in the lake): their legs
    are written with the match, unless somebody else has taken them.
    """

    def commit_all(self, matches: Sequence[Match], texts: LegTexts) -> list[Committed]:
        """See `commit`; many at a time, each of them all or none."""
        ...

    def record_all(self, groups: Sequence[Sequence[Leg]], texts: LegTexts) -> None:
        """See `record`; many transactions at a time, each of them all or none."""
        ...

    def open_part(self, tenant_id: str, pair: Pair, currency: str, part: int) -> Iterator[Leg]:
        """The open legs of one of `OPEN_PARTS` parts; see `open_legs`."""
        ...

    def open_count(self, tenant_id: str, pair: Pair, currency: str, enough: int) -> int:
        """How many legs are open; stops counting once there are more than `enough`."""
        ...

    def versions(
        self, tenant_id: str, ids: Sequence[tuple[Pair, str]]
    ) -> dict[tuple[Pair, str], int]:
        """See `Projection`; of as many legs as are asked for."""
        ...

    def keep_references(self, legs: Iterable[Identified]) -> None:
        """Let level 1 find legs that were written with a match. Repeatable."""
        ...


class BreakBook(Protocol):
    """Breaks and what people do about them."""

    def put(self, break_: Break) -> bool:
        """Open or update; keeps what people wrote. False when nothing is new."""
        ...

    def get(self, tenant_id: str, break_id: str) -> Break | None:
        """A break, or None."""
        ...

    def listed(self, tenant_id: str, status: str) -> Iterator[Break]:
        """Breaks of a status (``open``, ``resolved``), earliest deadline first."""
        ...

    def after(self, tenant_id: str, status: str, position: str) -> Iterator[tuple[str, Break]]:
        """Like `listed`, from after a position, which each break is given with."""
        ...

    def resolve(self, tenant_id: str, break_id: str, resolution: str, at: str) -> bool:
        """Resolve an open break on a day; False when it was not open."""
        ...


class RunBook(Protocol):
    """Runs and their shards."""

    def begin(self, tenant_id: str, run_id: str, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write the run's header unless it is there; returns the header that stands."""
        ...

    def get(self, tenant_id: str, run_id: str) -> Mapping[str, Any] | None:
        """A run's header, or None."""
        ...

    def change(
        self,
        tenant_id: str,
        run_id: str,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        told: Act | None = None,
    ) -> Mapping[str, Any]:
        """Set the values that `change` makes of the header as it stands; returns the new header.

        Called again when somebody wrote in between. `told` is who changed it and why: appended to
        the history with the change, all or nothing, and only if anything changes. Raises NotFound
        when there is no such run.
        """
        ...

    def tell(self, told: Act) -> None:
        """Append to the history what was done about a run that has no header yet."""
        ...

    def name(self, tenant_id: str, execution: str, run_id: str) -> None:
        """Remember which run an execution of the machine carries out."""
        ...

    def named(self, tenant_id: str, execution: str) -> str:
        """The run that an execution carries out; "" when nobody said."""
        ...

    def put_shard(self, tenant_id: str, run_id: str, shard: int, values: Mapping[str, Any]) -> None:
        """Write a shard's definition, checkpoint or counts over what it had."""
        ...

    def shard(self, tenant_id: str, run_id: str, shard: int) -> Mapping[str, Any] | None:
        """One of a run's shards, or None."""
        ...

    def shards(self, tenant_id: str, run_id: str) -> list[Mapping[str, Any]]:
        """A run's shards in order."""
        ...


class RunFiles(Protocol):
    """What a run writes that is too large for a state: manifests, legs, plans."""

    def put_once(self, key: str, body: bytes) -> bool:
        """Write unless the key exists; True when written now."""
        ...

    def get(self, key: str) -> bytes | None:
        """The bytes, or None."""
        ...


@dataclass(frozen=True, slots=True)
class LakePart:
    """Rows of a large delivery that stand in the lake and are no legs yet."""

    key: str
    raw_sha256: str


class LakeLegs(Protocol):
    """Large deliveries: their rows become legs when a run has worked through them."""

    def pending(self, tenant_id: str) -> list[LakePart]:
        """The parts that no run has worked through, in order."""
        ...

    def file(
        self, parts: Sequence[LakePart], pair: Pair | None = None, currency: str = ""
    ) -> bytes:
        """The legs of the parts' transactions as a file (`legs_file`), each once, in their latest
        version; with `pair`, those of a pair and currency only."""
        ...

    def absorbed(self, tenant_id: str, part: LakePart) -> None:
        """Say that the match state knows every leg of a part. Repeatable."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A transaction that the truth knows, by id and version, and the delivery that said it last."""

    transaction_id: str
    version: int
    source: str
    currency: str
    raw_sha256: str = ""


class Truth(Protocol):
    """The canonical transactions, against which the projection is checked."""

    def known(self, tenant_id: str, first: date, source: str, after: str, most: int) -> list[Known]:
        """A page of the transactions that happened or were recorded since `first`.

        In the order of source and id, after those given ("" and "": from the start), at most `most`.
        """
        ...

    def legs(self, tenant_id: str, transaction_ids: Sequence[str]) -> list[Leg]:
        """The legs of the latest versions of these transactions."""
        ...


class Projection(Protocol):
    """Which legs the match state has."""

    def versions(
        self, tenant_id: str, ids: Sequence[tuple[Pair, str]]
    ) -> dict[tuple[Pair, str], int]:
        """The versions of those legs that exist; at most 100 are asked for at a time."""
        ...

    def taken(self, tenant_id: str, ids: Sequence[tuple[Pair, str]]) -> set[tuple[Pair, str]]:
        """Those of the legs that a match holds; at most 100 are asked for at a time."""
        ...
