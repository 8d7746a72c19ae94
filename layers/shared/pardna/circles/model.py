"""Circles, rounds, contributions and draws: what they are and the rules that need nobody else.

A slot is one hand; a member who owns two slots throws two hands and draws twice. There are as many
rounds as slots, and the slot at position n draws in round n (fixed order).
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from pardna.circles import names
from pardna.money.model import Money, total
from pardna.payments.model import Payee
from pardna.runtime.errors import InvalidInput, RefusedByRule

SLOTS_MAX = 99
BusinessDay = Callable[[date], bool]


class Frequency(StrEnum):
    """How often a hand is thrown."""

    WEEKLY = "weekly"
    FORTNIGHTLY = "fortnightly"
    MONTHLY = "monthly"


class FeeModel(StrEnum):
    """What the banker keeps of each draw: nothing, a sum, basis points of it, or one hand."""

    NONE = "none"
    FLAT = "flat"
    BPS = "bps"
    ONE_HAND = "one_hand"


class PotModel(StrEnum):
    """Whether the recipient of a round throws a hand in it too."""

    RECIPIENT_PAYS = "recipient_pays"
    RECIPIENT_SKIPS = "recipient_skips"


class Shortfall(StrEnum):
    """What happens when hands are missing after the grace: wait for them, or pay what came."""

    WAIT = "wait"
    REDUCE = "reduce"


class Rail(StrEnum):
    """How a member pays in."""

    CARD = "card"
    BANK = "bank"


class CircleStatus(StrEnum):
    """See migration 0004 for which may follow which."""

    DRAFT = "draft"
    RECRUITING = "recruiting"
    READY = "ready"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DISSOLVING = "dissolving"
    DISSOLVED = "dissolved"


class RoundStatus(StrEnum):
    """See migration 0004 for which may follow which."""

    SCHEDULED = "scheduled"
    COLLECTING = "collecting"
    GRACE = "grace"
    FUNDED = "funded"
    SHORT_FUNDED = "short_funded"
    AWAITING_APPROVAL = "awaiting_approval"
    PAYING = "paying"
    PAID = "paid"
    CLOSED = "closed"
    HELD = "held"
    RETURNED = "returned"


class ContributionStatus(StrEnum):
    """See migration 0004 for which may follow which."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    PART_PAID = "part_paid"
    PAID = "paid"
    LATE = "late"
    MISSED = "missed"
    COVERED = "covered"
    WAIVED = "waived"
    REFUNDED = "refunded"
    CHARGED_BACK = "charged_back"


#: Rounds whose draw is not computed yet: money may still come and go.
COLLECTING = frozenset(
    {RoundStatus.COLLECTING, RoundStatus.GRACE, RoundStatus.FUNDED, RoundStatus.SHORT_FUNDED}
)


@dataclass(frozen=True, slots=True, repr=False)
class Contact:
    """Who to speak to; personal data, so it does not print."""

    name: str
    email: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Member:
    """Somebody in a circle: how they pay in, and where their draw is paid out."""

    member_id: str
    rail: Rail
    contact: Contact
    payee: Payee
    card_customer_id: str = ""
    card_payment_method_id: str = ""

    def __post_init__(self) -> None:
        if self.rail is Rail.CARD and not (self.card_customer_id and self.card_payment_method_id):
            raise InvalidInput("circle.card", f"member {self.member_id} needs a card on file")


@dataclass(frozen=True, slots=True)
class Slot:
    """One hand, and whose it is."""

    position: int
    member_id: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What everybody agreed to. `fee_value` is minor units (flat) or basis points (bps)."""

    hand: Money
    frequency: Frequency
    starts_on: date
    fee_model: FeeModel = FeeModel.NONE
    fee_value: int = 0
    pot_model: PotModel = PotModel.RECIPIENT_PAYS
    shortfall: Shortfall = Shortfall.WAIT
    grace_days: int = 2


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle. `code` is the short name in payment references, unique in its tenant."""

    tenant_id: str
    circle_id: str
    reference: str
    code: str
    name: str
    terms: Terms
    members: tuple[Member, ...]
    slots: tuple[Slot, ...]
    bank_source_id: str
    card_source_id: str
    banker: Contact
    created_by: str
    created_at: datetime
    status: CircleStatus = CircleStatus.READY

    def member(self, member_id: str) -> Member:
        """One of the members."""
        return next(m for m in self.members if m.member_id == member_id)

    def owner(self, position: int) -> Member:
        """Whose hand is at `position`."""
        return self.member(next(s.member_id for s in self.slots if s.position == position))

    @property
    def source(self) -> str:
        """The circle's books as the source of our own transactions."""
        return f"pardna:{self.circle_id}"


@dataclass(frozen=True, slots=True)
class Round:
    """One turn: everybody throws, one draws. `due_on` is a business day."""

    number: int
    due_on: date
    draw_position: int
    status: RoundStatus = RoundStatus.SCHEDULED
    opened_at: datetime | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """One hand owed in one round. `transaction_id` is our own side of it."""

    contribution_id: str
    round_number: int
    position: int
    member_id: str
    amount: Money
    rail: Rail
    payment_reference: str
    due_on: date
    transaction_id: str = ""
    status: ContributionStatus = ContributionStatus.PENDING

    @property
    def is_funded(self) -> bool:
        """Whether its money is in the pot."""
        return self.status in (ContributionStatus.PAID, ContributionStatus.COVERED)


@dataclass(frozen=True, slots=True)
class Draw:
    """What a round pays out: pot - fee = net."""

    draw_id: str
    round_number: int
    position: int
    member_id: str
    pot: Money
    fee: Money
    payment_id: str

    @property
    def net(self) -> Money:
        """What the member receives."""
        return self.pot - self.fee


def check(circle: Circle) -> None:
    """Raise InvalidInput for a circle that cannot work; what it says is for the banker."""
    ids = [m.member_id for m in circle.members]
    owners = {s.member_id for s in circle.slots}
    problems = [
        text
        for text, wrong in (
            ("a hand is more than nothing", circle.terms.hand.amount_minor <= 0),
            ("a circle has at least two hands", len(circle.slots) < 2),
            (f"a circle has at most {SLOTS_MAX} hands", len(circle.slots) > SLOTS_MAX),
            ("two members have the same id", len(set(ids)) != len(ids)),
            ("every member owns a hand, and every hand has a member", owners != set(ids)),
            ("hands are numbered from 1", [s.position for s in circle.slots] != list(range(1, len(circle.slots) + 1))),
            ("cards need the source that charges them", not circle.card_source_id and any(m.rail is Rail.CARD for m in circle.members)),
            ("a fee is not negative", circle.terms.fee_value < 0),
            ("a circle starts in our time", not 1970 <= circle.terms.starts_on.year <= 2200),
        )
        if wrong
    ]  # fmt: skip
    if not problems and fee(circle.terms, nominal_pot(circle)) >= nominal_pot(circle):
        problems.append("the fee leaves nothing of the draw")
    if problems:
        raise InvalidInput("circle.invalid", "; ".join(problems))


def schedule(circle: Circle, is_business_day: BusinessDay) -> list[Round]:
    """The rounds, one per hand; a due date that is no business day moves to the next one."""
    return [
        Round(n, _business_day(_due(circle.terms, n), is_business_day), slot.position)
        for n, slot in enumerate(circle.slots, start=1)
    ]


def _due(terms: Terms, number: int) -> date:
    turns = number - 1
    if terms.frequency is not Frequency.MONTHLY:
        days = 7 if terms.frequency is Frequency.WEEKLY else 14
        return terms.starts_on + timedelta(days=days * turns)
    months = terms.starts_on.year * 12 + terms.starts_on.month - 1 + turns
    year, month = divmod(months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(terms.starts_on.day, last))


def _business_day(day: date, is_business_day: BusinessDay) -> date:
    while not is_business_day(day):
        day += timedelta(days=1)
    return day


def contributions(circle: Circle, round_: Round) -> list[Contribution]:
    """What is owed in a round, one per hand, in the order of positions."""
    whose = circle.tenant_id, circle.circle_id
    skips = circle.terms.pot_model is PotModel.RECIPIENT_SKIPS
    return [
        Contribution(
            contribution_id=names.contribution_id(*whose, round_.number, slot.position),
            round_number=round_.number,
            position=slot.position,
            member_id=slot.member_id,
            amount=circle.terms.hand,
            rail=circle.member(slot.member_id).rail,
            payment_reference=names.payment_reference(circle.code, round_.number, slot.position),
            due_on=round_.due_on,
        )
        for slot in circle.slots
        if not (skips and slot.position == round_.draw_position)
    ]


def nominal_pot(circle: Circle) -> Money:
    """What a round pays out before the fee when everybody has paid."""
    skips = circle.terms.pot_model is PotModel.RECIPIENT_SKIPS
    return circle.terms.hand * (len(circle.slots) - skips)


def fee(terms: Terms, pot: Money) -> Money:
    """The banker's fee on a pot; basis points round down, in the member's favour."""
    match terms.fee_model:
        case FeeModel.NONE:
            amount = 0
        case FeeModel.FLAT:
            amount = terms.fee_value
        case FeeModel.BPS:
            amount = pot.amount_minor * terms.fee_value // 10_000
        case FeeModel.ONE_HAND:
            amount = terms.hand.amount_minor
    return Money(amount, pot.currency)


def funded(owed: Sequence[Contribution], currency: str) -> Money:
    """Σ of what is in the pot."""
    return total((c.amount for c in owed if c.is_funded), currency)


def draw(circle: Circle, round_: Round, owed: Sequence[Contribution]) -> Draw:
    """The draw of a round; never more than what is in the pot.

    Raises RefusedByRule ``round.short_funded`` when hands are missing, unless the circle pays what
    came (`Shortfall.REDUCE`) and something did.
    """
    full = total((c.amount for c in owed), circle.terms.hand.currency)
    cash = funded(owed, full.currency)
    pot = min(full, cash)
    if pot < full and circle.terms.shortfall is Shortfall.WAIT:
        raise RefusedByRule(
            "round.short_funded", "hands are missing, and the circle waits for them"
        )
    taken = fee(circle.terms, pot)
    if pot <= taken:
        raise RefusedByRule("round.short_funded", "what came in does not cover the fee")
    owner = circle.owner(round_.draw_position)
    name = circle.tenant_id, circle.circle_id, round_.number
    return Draw(
        draw_id=names.draw_id(*name),
        round_number=round_.number,
        position=round_.draw_position,
        member_id=owner.member_id,
        pot=pot,
        fee=taken,
        payment_id=names.payment_id(*name),
    )


def progress(
    circle: Circle,
    round_: Round,
    owed: Sequence[Contribution],
    matched: Collection[str],
    today: date,
) -> dict[str, ContributionStatus]:
    """The contributions whose status changes, given which are `matched` with real money now."""
    grace_over = today > round_.due_on + timedelta(days=circle.terms.grace_days)
    unpaid = ContributionStatus.LATE if grace_over else ContributionStatus.PENDING
    changes = {}
    for one in owed:
        new = one.status
        if one.contribution_id in matched:
            new = ContributionStatus.PAID
        elif one.status in (ContributionStatus.PAID, ContributionStatus.PENDING):
            new = unpaid
        if new is not one.status:
            changes[one.contribution_id] = new
    return changes


def collected(
    circle: Circle, round_: Round, owed: Sequence[Contribution], today: date
) -> RoundStatus:
    """The status of a round that collects, given the contributions as they stand."""
    if all(c.is_funded or c.status is ContributionStatus.WAIVED for c in owed):
        return RoundStatus.FUNDED
    if today > round_.due_on + timedelta(days=circle.terms.grace_days):
        return RoundStatus.SHORT_FUNDED
    return RoundStatus.GRACE if today > round_.due_on else RoundStatus.COLLECTING
