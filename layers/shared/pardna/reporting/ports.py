"""What reports need from the stores, in their own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from pardna.approvals.model import Approval
from pardna.money.model import Money
from pardna.reporting.model import Leg


@dataclass(frozen=True, slots=True)
class Hand:
    """One contribution as the circle's books have it."""

    contribution_id: str
    transaction_id: str
    member: str
    position: int
    amount: Money
    due_on: date
    status: str


@dataclass(frozen=True, slots=True)
class DrawFacts:
    """The draw and its payment, as the books have them."""

    draw_id: str
    amount: Money
    fee: Money
    recipient: str
    computed_at: datetime
    transaction_source: str
    transaction_external_id: str
    status: str
    end_to_end_id: str
    requested_by: str
    approved_by: str
    approval_id: str
    reason_code: str
    batch_id: str
    written_at: datetime | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """A round of a circle."""

    circle_id: str
    circle_name: str
    round_number: int
    rounds_count: int
    currency: str
    status: str
    due_on: date
    closed_at: datetime | None
    hands: tuple[Hand, ...]
    draw: DrawFacts | None


class RoundBook(Protocol):
    """Circles and transactions, in PostgreSQL."""

    def round(self, tenant_id: str, circle_id: str, round_number: int) -> RoundFacts | None:
        """The round with its hands in order and its draw; None when there is no such round."""

    def records(self, tenant_id: str, transaction_ids: Sequence[str]) -> Mapping[str, Leg]:
        """The latest version of these transactions, by id; unknown ids are left out."""

    def payouts(self, tenant_id: str, batch_ids: Iterable[str]) -> Mapping[str, str]:
        """The payout's own transaction id for each of the processor's payouts that is known."""


class ApprovalReader(Protocol):
    """Who decided what (`pardna.approvals`)."""

    def get(self, tenant_id: str, approval_id: str) -> Approval | None:
        """An approval as it stands now, or None."""


class Shelf(Protocol):
    """Where finished reports lie."""

    def put(self, key: str, body: bytes, content_type: str) -> bool:
        """Store a report; False, and nothing is written, when these very bytes lie there."""

    def link(self, key: str, seconds: int) -> str:
        """A link that opens the report for `seconds`; raises NotFound when there is none."""
