"""Use cases of a round, step by step, as the payout-round machine takes them.

Each is one database transaction under the round's row lock, and may be repeated without effect: a
machine that was killed between two steps takes the step again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pardna.circles import messages, model, names
from pardna.circles.model import (
    COLLECTING,
    Circle,
    CircleStatus,
    Contribution,
    Draw,
    Rail,
    Round,
    RoundStatus,
    Shortfall,
)
from pardna.circles.ports import Books, PayingBanks, Work
from pardna.payments.messages import to_envelope as charge_envelope
from pardna.payments.model import Booking, CardCharge, Instruction, Status
from pardna.payments.service import business_day
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import Conflict, NotFound, RefusedByRule
from pardna.runtime.observability import count
from pardna.transactions.model import Kind, Reference, Side, Strength, Transaction

#: Who acts when a state machine does.
MACHINE = "system:payout-round"


@dataclass(frozen=True, slots=True)
class Funding:
    """How far a round is: ``funded``, ``waiting`` or ``short_funded``, and the counts behind it."""

    outcome: str
    paid_count: int
    owed_count: int
    paid_minor: int


@dataclass(frozen=True, slots=True)
class OpenRound:
    """Makes hands due; needs to know where money is collected."""

    books: Books
    banks: PayingBanks
    clock: Clock

    def open(self, tenant_id: str, circle_id: str, number: int, correlation_id: str) -> str:
        """Make the contributions of a round due, and ask for the money: ``opened``, ``too_early``
        while the round before has not opened, or ``unknown`` when the circle has no such round."""
        with self.books.work(tenant_id, MACHINE) as work:
            try:
                circle = work.circles.get(circle_id)
                round_ = work.rounds.lock(circle_id, number)
            except NotFound:
                return "unknown"
            if number > 1:
                before = work.rounds.lock(circle_id, number - 1)
                if before.status is RoundStatus.SCHEDULED:
                    return "too_early"
            if round_.status is not RoundStatus.SCHEDULED:
                return "opened"
            now = self.clock()
            owed, ours = self._owed(circle, round_, now)
            work.contributions.add(circle_id, owed)
            work.out.record(ours, correlation_id)
            work.out.announce(self._requests(circle, owed, now, correlation_id))
            work.rounds.set_status(circle_id, number, RoundStatus.COLLECTING, now)
            if circle.status is CircleStatus.READY:
                work.circles.set_status(circle_id, CircleStatus.ACTIVE)
            work.out.audit("round.opened", f"{circle_id}/{number}", {"contributions": len(owed)})
        count("RoundOpened")
        return "opened"

    def _owed(
        self, circle: Circle, round_: Round, now: datetime
    ) -> tuple[list[Contribution], list[Transaction]]:
        planned = model.contributions(circle, round_)
        ours = [contribution_transaction(circle, one, now) for one in planned]
        owed = [
            replace(one, transaction_id=t.transaction_id)
            for one, t in zip(planned, ours, strict=True)
        ]
        return owed, ours

    def _requests(
        self, circle: Circle, owed: Sequence[Contribution], now: datetime, correlation_id: str
    ) -> list[Any]:
        """An order to charge each card, and a request for a transfer to everybody else."""
        bank = self.banks.paying_bank(circle.tenant_id, circle.bank_source_id)
        at = iso(now)
        requests = []
        for one in owed:
            member = circle.member(one.member_id)
            if one.rail is Rail.CARD:
                charge = CardCharge(
                    tenant_id=circle.tenant_id,
                    source_id=circle.card_source_id,
                    contribution_id=one.contribution_id,
                    circle_id=circle.circle_id,
                    amount=one.amount,
                    customer_id=member.card_customer_id,
                    payment_method_id=member.card_payment_method_id,
                )
                requests.append(charge_envelope(charge, at, correlation_id))
            else:
                requests.append(
                    messages.transfer_request(circle, one, bank.account, at, correlation_id)
                )
        return requests


@dataclass(frozen=True, slots=True)
class Rounds:
    """From the money that arrives to the round's end."""

    books: Books
    clock: Clock

    def check_funding(self, tenant_id: str, circle_id: str, number: int) -> Funding:
        """Take over what matching has found, and say how far the round is. Raises NotFound."""
        with self.books.work(tenant_id, MACHINE) as work:
            circle = work.circles.get(circle_id)
            round_ = work.rounds.lock(circle_id, number)
            owed = work.contributions.of_round(circle_id, number)
            if round_.status in COLLECTING:
                owed = self._take_over(work, circle, round_, owed)
                round_ = work.rounds.lock(circle_id, number)
            return _funding(circle, round_, owed)

    def _take_over(
        self, work: Work, circle: Circle, round_: Round, owed: list[Contribution]
    ) -> list[Contribution]:
        now = self.clock()
        today = business_day(now)
        matched = work.contributions.matched(owed)
        changes = model.progress(circle, round_, owed, matched, today)
        work.contributions.set_status(changes, now)
        owed = [replace(c, status=changes.get(c.contribution_id, c.status)) for c in owed]
        status = model.collected(circle, round_, owed, today)
        if status is not round_.status:
            work.rounds.set_status(circle.circle_id, round_.number, status, now)
        return owed

    def compute_draw(
        self, tenant_id: str, circle_id: str, number: int, requested_by: str, correlation_id: str
    ) -> Draw:
        """Compute the draw of a funded round and order its payment, once; again, the same draw.

        Nothing is paid yet: a second person has to approve. Raises RefusedByRule
        ``round.short_funded`` when hands are missing, ``round.not_open`` before it opened.
        """
        with self.books.work(tenant_id, requested_by) as work:
            circle = work.circles.get(circle_id)
            round_ = work.rounds.lock(circle_id, number)
            known = work.draws.get(circle_id, number)
            if known is not None:
                return known
            if round_.status not in COLLECTING:
                raise RefusedByRule("round.not_open", f"the round is {round_.status}")
            owed = self._take_over(
                work, circle, round_, work.contributions.of_round(circle_id, number)
            )
            draw = model.draw(circle, round_, owed)
            now = self.clock()
            work.draws.add(circle_id, draw, draw_instruction(circle, draw, requested_by), now)
            work.rounds.set_status(circle_id, number, RoundStatus.AWAITING_APPROVAL, now)
            work.out.announce(messages.approval_needed(circle, draw, iso(now), correlation_id))
            detail: dict[str, str | int] = {"payment_id": draw.payment_id}
            detail["net_minor"] = draw.net.amount_minor
            work.out.audit("draw.computed", draw.draw_id, detail)
        count("DrawComputed")
        return draw

    def close_round(self, tenant_id: str, circle_id: str, number: int, outcome: str) -> str:
        """End a round: ``paid`` closes it, ``declined`` and ``rejected`` hold it. Repeatable.

        Raises Conflict ``round.not_paid`` when it should close and its payment is not confirmed.
        """
        with self.books.work(tenant_id, MACHINE) as work:
            round_ = work.rounds.lock(circle_id, number)
            if round_.status in (RoundStatus.CLOSED, RoundStatus.HELD):
                return round_.status.value
            draw = work.draws.get(circle_id, number)
            if draw is None:
                raise Conflict("round.not_paid", "the round has no draw")
            status = self._end(work, circle_id, number, draw, outcome)
            work.out.audit("round.ended", f"{circle_id}/{number}", {"outcome": outcome})
            rounds = work.rounds.rounds(circle_id)
            if all(r.status is RoundStatus.CLOSED for r in rounds):
                work.circles.set_status(circle_id, CircleStatus.COMPLETED)
        count("RoundClosed" if status is RoundStatus.CLOSED else "RoundHeld")
        return status.value

    def _end(
        self, work: Work, circle_id: str, number: int, draw: Draw, outcome: str
    ) -> RoundStatus:
        now = self.clock()
        payment = work.draws.payment(draw.payment_id)
        if outcome != "paid":
            work.draws.cancel(draw.payment_id)
            work.rounds.set_status(circle_id, number, RoundStatus.HELD, now)
            return RoundStatus.HELD
        if payment.status is not Status.CONFIRMED:
            raise Conflict("round.not_paid", f"the payment is {payment.status}")
        for status in (RoundStatus.PAYING, RoundStatus.PAID, RoundStatus.CLOSED):
            work.rounds.set_status(circle_id, number, status, now)
        return RoundStatus.CLOSED

    def send_receipts(
        self, tenant_id: str, circle_id: str, number: int, correlation_id: str
    ) -> int:
        """Announce a receipt to everybody who paid and to who drew; returns how many. Repeatable."""
        with self.books.work(tenant_id, MACHINE) as work:
            circle = work.circles.get(circle_id)
            draw = work.draws.get(circle_id, number)
            owed = work.contributions.of_round(circle_id, number)
            at = iso(self.clock())
            receipts = [
                messages.contribution_receipt(circle, one, at, correlation_id)
                for one in owed
                if one.is_funded
            ]
            if draw is not None:
                receipts.append(messages.draw_receipt(circle, draw, at, correlation_id))
            work.out.announce(receipts)
            return len(receipts)


def contribution_transaction(circle: Circle, one: Contribution, at: datetime) -> Transaction:
    """Our own side of a hand that became due: what the ledger posts and matching looks for.

    The payment reference is weak: a member may write it on two transfers.
    """
    return Transaction(
        tenant_id=circle.tenant_id,
        source=circle.source,
        external_id=one.contribution_id,
        side=Side.INTERNAL,
        kind=Kind.CONTRIBUTION,
        amount_minor=one.amount.amount_minor,
        currency=one.amount.currency,
        occurred_at=at,
        raw_sha256=hashlib.sha256(one.contribution_id.encode()).hexdigest(),
        raw_position="circles",
        references=(
            Reference("contribution", one.contribution_id, Strength.STRONG),
            Reference("payment_reference", one.payment_reference),
            Reference("rail", one.rail.value),
        ),
    )


def draw_instruction(circle: Circle, draw: Draw, requested_by: str) -> Instruction:
    """The order to pay a draw, once."""
    return Instruction(
        payment_id=draw.payment_id,
        origin=f"draw:{draw.draw_id}",
        source_id=circle.bank_source_id,
        end_to_end_id=names.end_to_end_id(circle.code, draw.round_number),
        amount=draw.net,
        payee=circle.member(draw.member_id).payee,
        remittance=f"{circle.name} round {draw.round_number} draw",
        booking=Booking(circle.source, draw.draw_id, Kind.DRAW),
        requested_by=requested_by,
    )


def _funding(circle: Circle, round_: Round, owed: Sequence[Contribution]) -> Funding:
    paid = [c for c in owed if c.is_funded]
    if round_.status is RoundStatus.FUNDED or round_.status not in COLLECTING:
        outcome = "funded"
    elif round_.status is RoundStatus.SHORT_FUNDED and circle.terms.shortfall is Shortfall.REDUCE:
        outcome = "short_funded"
    else:
        outcome = "waiting"
    cash = model.funded(owed, circle.terms.hand.currency)
    return Funding(outcome, len(paid), len(owed), cash.amount_minor)
