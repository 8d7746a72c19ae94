"""A round's report: who paid, what matched and why, what is open, what the ledger says, the draw.

Plain facts only, already in the words and order in which they are shown. Nothing here knows when
it was printed: the same facts give the same report, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from pardna.money.model import Money


@dataclass(frozen=True, slots=True)
class RailPayment:
    """Money that arrived for a contribution, as the outside world recorded it.

    A card payment has its moment; a bank's line has a day and no time.
    """

    rail: str
    amount: Money
    paid_at: datetime | None
    paid_on: date | None
    reference: str
    transaction_id: str


@dataclass(frozen=True, slots=True)
class ContributionLine:
    """One hand of one member in this round, and what arrived for it."""

    contribution_id: str
    transaction_id: str
    member: str
    slot: str
    amount: Money
    due_on: date | None
    status: str
    payments: tuple[RailPayment, ...] = ()

    @property
    def paid(self) -> Money:
        """Everything that arrived and was matched."""
        return sum_of((p.amount for p in self.payments), self.amount.currency)


@dataclass(frozen=True, slots=True)
class Leg:
    """One record of one side: our books, the card processor or the bank.

    `occurred_at` is None where only the day (`on`) is known, as with banks' lines.
    """

    transaction_id: str
    side: str
    source: str
    kind: str
    external_id: str
    amount: Money
    occurred_at: datetime | None = None
    batch_id: str = ""
    on: date | None = None

    @property
    def name(self) -> str:
        """What people call it: an external id without what only makes it unique."""
        return self.external_id.partition("|")[0]


@dataclass(frozen=True, slots=True)
class MatchLine:
    """Legs that are the same money; `why` says it in a sentence, `weighed` what spoke for it."""

    match_id: str
    pair: str
    level: int
    rule: str
    confidence: str
    legs: tuple[Leg, ...]
    why: str
    weighed: tuple[str, ...] = ()
    variance: Money | None = None


@dataclass(frozen=True, slots=True)
class BreakLine:
    """What could not be matched: its class, and the reason in words."""

    break_id: str
    break_class: str
    reason: str
    severity: str
    status: str
    amount: Money
    legs: tuple[Leg, ...] = ()
    since: str = ""


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account of the ledger; `balance` is on its normal side."""

    code: str
    type: str
    debits: Money
    credits: Money
    balance: Money


@dataclass(frozen=True, slots=True)
class OpenItem:
    """What a clearing account still holds, and which open break explains it ('' when none does)."""

    account: str
    transaction_id: str
    what: str
    amount: Money
    explained_by: str


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """All debits and all credits of one currency; equal, or something is broken."""

    currency: str
    debits: Money
    credits: Money
    accounts_count: int

    @property
    def difference(self) -> Money:
        """Zero in a ledger that balances."""
        return self.debits - self.credits


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to the draw, by whom and when."""

    title: str
    detail: str = ""
    by: str = ""
    at: datetime | None = None
    on: date | None = None


@dataclass(frozen=True, slots=True)
class DrawLine:
    """The pot, who received it, and how it got there."""

    draw_id: str
    amount: Money
    recipient: str
    status: str
    end_to_end_id: str = ""
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class RoundReport:
    """Everything about one round of one circle."""

    tenant_id: str
    circle_id: str
    circle_name: str
    round_number: int
    rounds_count: int
    currency: str
    status: str
    due_on: date | None
    as_of: datetime | None
    contributions: tuple[ContributionLine, ...]
    matches: tuple[MatchLine, ...]
    breaks: tuple[BreakLine, ...]
    trial_balances: tuple[TrialBalance, ...]
    accounts: tuple[AccountLine, ...]
    open_items: tuple[OpenItem, ...]
    draw: DrawLine | None

    @property
    def due(self) -> Money:
        """What all hands of the round come to."""
        return sum_of((c.amount for c in self.contributions), self.currency)

    @property
    def paid(self) -> Money:
        """What arrived for them."""
        return sum_of((c.paid for c in self.contributions), self.currency)

    @property
    def unexplained(self) -> tuple[OpenItem, ...]:
        """Items on clearing accounts that no open break explains: there should be none."""
        return tuple(item for item in self.open_items if not item.explained_by)

    def key(self, extension: str) -> str:
        """Where the report lies in its bucket."""
        return report_key(self.tenant_id, self.circle_id, self.round_number, extension)


def report_key(tenant_id: str, circle_id: str, round_number: int, extension: str) -> str:
    """Key of a report in the bucket of packs; the tenant comes first, so that access can be cut."""
    return f"reports/{tenant_id}/{circle_id}/round-{round_number}/report.{extension}"


def sum_of(amounts: Iterable[Money], currency: str) -> Money:
    """Sum of amounts of one currency; zero of it when there are none."""
    total = Money(0, currency)
    for amount in amounts:
        total = total + amount
    return total
