"""Legs, matches and breaks: the words of matching, and the pure rules about them.

A **leg** is one canonical transaction seen as a member of one **pair** of sides. A **match** joins
legs of a pair that are the same money; a **break** names legs that are not explained. Ids are
computed from members, so that whoever finds the same thing, whenever, gives it the same name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from pardna.transactions.model import Kind, Reference, Side, Strength, Transaction


class Pair(StrEnum):
    """Two sides that should tell the same story. Left is the first word, right the second."""

    INTERNAL_PSP = "internal~psp"
    INTERNAL_BANK = "internal~bank"
    PSP_BANK = "psp~bank"

    @property
    def left(self) -> Side:
        """The side named first."""
        return Side(self.value.partition("~")[0])

    @property
    def right(self) -> Side:
        """The side named second."""
        return Side(self.value.partition("~")[2])


class Status(StrEnum):
    """What a match's header says.

    ``claiming``: members are being gathered; nobody may read it as a match. ``committed``: it
    holds. ``proposed``: a person decides. ``unmatched``: it held once and was taken back.
    ``abandoned``: gathering failed and was given up. ``rejected``: a person said that a proposal
    is none.
    """

    CLAIMING = "claiming"
    COMMITTED = "committed"
    PROPOSED = "proposed"
    UNMATCHED = "unmatched"
    ABANDONED = "abandoned"
    REJECTED = "rejected"


class BreakClass(StrEnum):
    """Why something is not explained (the domain's list)."""

    MISSING_INTERNAL = "MISSING_INTERNAL"
    MISSING_PSP = "MISSING_PSP"
    MISSING_BANK = "MISSING_BANK"
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    FEE_VARIANCE = "FEE_VARIANCE"
    FX_VARIANCE = "FX_VARIANCE"
    TIMING = "TIMING"
    DUPLICATE = "DUPLICATE"
    UNEXPECTED = "UNEXPECTED"
    AMBIGUOUS = "AMBIGUOUS"
    DISPUTED = "DISPUTED"


@dataclass(frozen=True, slots=True)
class Leg:
    """One transaction as one leg of `pair`; amounts are signed minor units as it reports them.

    `exclusive` names the other pairs in which this leg must not be matched as well: one bank line
    is one movement of money, whichever pair explains it.
    """

    tenant_id: str
    pair: Pair
    transaction_id: str
    version: int
    side: Side
    source: str
    external_id: str
    kind: Kind
    amount_minor: int
    currency: str
    occurred_at: datetime
    value_date: date | None = None
    gross_minor: int | None = None
    fee_minor: int | None = None
    net_minor: int | None = None
    batch_id: str = ""
    account: str = ""
    name: str = ""
    description: str = ""
    references: tuple[Reference, ...] = ()
    exclusive: tuple[Pair, ...] = ()

    @property
    def day(self) -> date:
        """The day that windows count from: the value date, else the day it happened (UTC)."""
        return self.value_date or self.occurred_at.date()

    @property
    def is_left(self) -> bool:
        """Whether it stands on its pair's left side."""
        return self.pair.startswith(self.side)  # asked of every leg again and again

    @property
    def basis_minor(self) -> int | None:
        """The amount that this pair compares: gross to gross, net to bank; None: not known yet.

        Signed as the record says it, so a payout is negative and its bank line positive.
        """
        if self.side is Side.PSP:
            known = self.gross_minor if self.pair is Pair.INTERNAL_PSP else self.net_minor
            if known is not None:
                return known
            if self.pair is Pair.PSP_BANK and self.kind is not Kind.PAYOUT:
                return None
        return self.amount_minor


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that was weighed: what, how it turned out, what it added (basis points)."""

    name: str
    value: str
    contribution_bp: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a match is one, so that a person can follow it without the engine."""

    sentence: str
    signals: tuple[Signal, ...] = ()
    runner_up: str = ""
    margin_bp: int = 0
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """Legs that are the same money. `confidence_bp` is in basis points, 10,000 is certain.

    `variance_minor` is what the left side's basis exceeds the right side's, in minor units;
    `variance_kind` says where it belongs: ``""`` (none), ``fee`` or ``rounding``.
    """

    pair: Pair
    currency: str
    level: int
    rule_id: str
    rule_version: int
    rules_hash: str
    confidence_bp: int
    explanation: Explanation
    members: tuple[Leg, ...]
    status: Status = Status.COMMITTED
    variance_minor: int = 0
    variance_kind: str = ""
    run_id: str = ""
    version: int = 1

    @property
    def tenant_id(self) -> str:
        """Whose match it is."""
        return self.members[0].tenant_id

    @property
    def match_id(self) -> str:
        """See `match_id`."""
        return match_id(self.pair, (leg.transaction_id for leg in self.members))

    @property
    def shape(self) -> str:
        """``1:1``, ``n:1``, ``1:n`` or ``n:m``, left to right; ``0:n`` within one side."""
        left = sum(leg.is_left for leg in self.members)
        right = len(self.members) - left
        right_text = str(right) if right <= 1 else "m" if left > 1 else "n"
        return f"{left if left <= 1 else 'n'}:{right_text}"


@dataclass(frozen=True, slots=True)
class Break:
    """Legs that are not explained, and what is being done about it.

    `amount_minor` is what is unexplained, positive; `due_at` is the end of the SLA clock (ISO 8601
    date); `status` is ``open`` or ``resolved``, `resolution` one of ``matched``, ``written_off``,
    ``adjusted``, ``recovered``, ``not_ours``, or ``superseded`` when another break took its place.
    `resolved_by` is the person who resolved it, or "" when a run did; `reason_code` says why.
    `waits_for` is the decision of a second person that it waits for, or "".
    `legs_count` counts all legs that it holds up, of which `transaction_ids` names the main ones.
    What people said about it is its history (`acts`).
    """

    tenant_id: str
    pair: Pair
    class_: BreakClass
    reason: str
    transaction_ids: tuple[str, ...]
    amount_minor: int
    currency: str
    opened_on: str
    severity: str = "low"
    due_at: str = ""
    needs_approval: bool = False
    status: str = "open"
    owner: str = ""
    resolution: str = ""
    run_id: str = ""
    legs_count: int = 1
    resolved_on: str = ""
    resolved_by: str = ""
    reason_code: str = ""
    waits_for: str = ""

    @property
    def break_id(self) -> str:
        """See `break_id`."""
        return break_id(self.pair, self.transaction_ids)


def match_id(pair: Pair, transaction_ids: Iterable[str]) -> str:
    """The id that a pair and its members determine, in whatever order they come."""
    return "m_" + _digest(pair.value, transaction_ids)


def break_id(pair: Pair, transaction_ids: Iterable[str]) -> str:
    """The id of the break about these legs; its class may change, its id does not."""
    return "b_" + _digest(pair.value, transaction_ids)


def _digest(pair: str, members: Iterable[str]) -> str:
    text = "\x1f".join((pair, *sorted(members)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_CARD = {Kind.CHARGE, Kind.REFUND, Kind.CONTRIBUTION}
_SETTLED = {Kind.CHARGE, Kind.REFUND, Kind.FEE, Kind.DISPUTE, Kind.DISPUTE_REVERSAL, Kind.ADJUSTMENT, Kind.TRANSFER}  # fmt: skip


def pairs_of(transaction: Transaction) -> tuple[Pair, ...]:
    """The pairs in which a transaction is a leg; none when nobody else reports this money.

    Ours: by the rail that it says (a weak reference ``rail``: ``card`` or ``bank``); draws always
    by bank; without a rail both are possible. The provider's: charges and refunds against our
    books; payouts, and whatever a payout settles, against the bank. The bank's: a credit may be a
    transfer of ours or a payout, a debit is ours unless it names a payout.
    """
    if transaction.side is Side.INTERNAL:
        return _internal_pairs(transaction)
    if transaction.side is Side.BANK:
        payout = transaction.amount_minor > 0 or any(
            r.type == "payout" for r in transaction.references
        )
        if transaction.kind is Kind.FEE:
            return (Pair.INTERNAL_BANK,)
        return (Pair.INTERNAL_BANK, Pair.PSP_BANK) if payout else (Pair.INTERNAL_BANK,)
    found = []
    if transaction.kind in _CARD:
        found.append(Pair.INTERNAL_PSP)
    if transaction.kind is Kind.PAYOUT or (transaction.batch_id and transaction.kind in _SETTLED):
        found.append(Pair.PSP_BANK)
    return tuple(found)


def _internal_pairs(transaction: Transaction) -> tuple[Pair, ...]:
    if transaction.kind is Kind.DRAW:
        return (Pair.INTERNAL_BANK,)
    rails = {r.value for r in transaction.references if r.type == "rail"}
    if rails == {"card"}:
        return (Pair.INTERNAL_PSP,)
    if rails and "card" not in rails:
        return (Pair.INTERNAL_BANK,)
    return (Pair.INTERNAL_PSP, Pair.INTERNAL_BANK)


def legs_of(transaction: Transaction, version: int) -> tuple[Leg, ...]:
    """The legs of one version of a transaction, one for each pair of `pairs_of`."""
    pairs = pairs_of(transaction)
    once = transaction.side is not Side.PSP  # a charge is paid once and settled once: two matches
    identifier, references = transaction.transaction_id, tuple(sorted(transaction.references))
    return tuple(
        Leg(
            tenant_id=transaction.tenant_id,
            pair=pair,
            transaction_id=identifier,
            version=version,
            side=transaction.side,
            source=transaction.source,
            external_id=transaction.external_id,
            kind=transaction.kind,
            amount_minor=transaction.amount_minor,
            currency=transaction.currency,
            occurred_at=transaction.occurred_at,
            value_date=transaction.value_date,
            gross_minor=transaction.gross_minor,
            fee_minor=transaction.fee_minor,
            net_minor=transaction.net_minor,
            batch_id=transaction.batch_id,
            account=transaction.account,
            name=transaction.counterparty.name,
            description=transaction.description,
            references=references,
            exclusive=tuple(p for p in pairs if p is not pair) if once else (),
        )
        for pair in pairs
    )


#: Strong references that identify one movement in a pair, best first. A payout's id is never among
#: them: it names a settlement of many, not a counterpart.
IDENTITIES: dict[Pair, tuple[str, ...]] = {
    Pair.INTERNAL_PSP: ("contribution", "refund", "charge", "payment_intent"),
    Pair.INTERNAL_BANK: ("end_to_end", "draw", "contribution", "utr", "trace"),
    Pair.PSP_BANK: (),
}


def identities(leg: Leg) -> tuple[Reference, ...]:
    """The references by which level 1 may join this leg, best first."""
    order = IDENTITIES[leg.pair]
    found = [r for r in leg.references if r.strength is Strength.STRONG and r.type in order]
    return tuple(sorted(found, key=lambda r: (order.index(r.type), r.value)))
