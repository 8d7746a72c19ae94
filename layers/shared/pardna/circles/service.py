"""Use cases of circles that people ask for: create one, look at it, start a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pardna.circles import model, names
from pardna.circles.model import (
    BusinessDay,
    Circle,
    Contribution,
    Draw,
    Round,
    RoundStatus,
)
from pardna.circles.ports import Books, PayingBanks, PayoutMachine
from pardna.payments.model import Payment
from pardna.runtime.errors import Conflict, InvalidInput, NotFound
from pardna.runtime.observability import count


@dataclass(frozen=True, slots=True)
class RoundView:
    """A round as it is shown."""

    circle: Circle
    round: Round
    contributions: Sequence[Contribution]
    draw: Draw | None
    payment: Payment | None

    @property
    def status(self) -> RoundStatus:
        """While the payment is under way the round is paying, though its row waits for the end."""
        waiting = self.round.status is RoundStatus.AWAITING_APPROVAL
        if waiting and self.payment and self.payment.batch_id:
            return RoundStatus.PAYING
        return self.round.status


@dataclass(frozen=True, slots=True)
class Circles:
    """Setting circles up; asking again finds the same circle."""

    books: Books
    banks: PayingBanks
    is_business_day: BusinessDay

    def create(self, circle: Circle, request_hash: str) -> tuple[Circle, bool]:
        """Create a circle; True when it is new, else the one that its reference found.

        Raises InvalidInput ``circle.invalid``, Conflict ``circle.differs`` when the reference was
        used for another one, NotFound or InvalidInput for a bank that cannot pay its currency.
        """
        model.check(circle)
        currency = circle.terms.hand.currency
        bank = self.banks.paying_bank(circle.tenant_id, circle.bank_source_id)
        if bank.currency != currency:
            raise InvalidInput("circle.currency", f"the paying account is in {bank.currency}")
        for code in names.codes(circle.tenant_id, circle.reference):
            try:
                return self._add(replace(circle, code=code), request_hash)
            except Conflict as error:
                if error.code == "circle.in_progress":
                    # The same request at the same moment: it has committed, so it is found now.
                    return self._add(replace(circle, code=code), request_hash)
                if error.code != "circle.code_taken":
                    raise
        raise Conflict("circle.code_taken", "no short code is free; choose another reference")

    def _add(self, circle: Circle, request_hash: str) -> tuple[Circle, bool]:
        with self.books.work(circle.tenant_id, circle.created_by) as work:
            known = work.circles.known(circle.reference)
            if known is not None:
                if known[1] != request_hash:
                    raise Conflict("circle.differs", "this reference is another circle's")
                return work.circles.get(known[0]), False
            rounds = model.schedule(circle, self.is_business_day)
            work.circles.add(circle, request_hash, rounds)
            work.out.audit("circle.created", circle.circle_id, {"slots": len(circle.slots)})
        count("CircleCreated")
        return circle, True


@dataclass(frozen=True, slots=True)
class Looks:
    """Looking at circles and rounds."""

    books: Books

    def circle(self, tenant_id: str, principal: str, circle_id: str) -> tuple[Circle, list[Round]]:
        """A circle and its rounds; raises NotFound."""
        with self.books.work(tenant_id, principal) as work:
            return work.circles.get(circle_id), work.rounds.rounds(circle_id)

    def round(self, tenant_id: str, principal: str, circle_id: str, number: int) -> RoundView:
        """A round with what is owed and paid; raises NotFound."""
        with self.books.work(tenant_id, principal) as work:
            circle = work.circles.get(circle_id)
            round_ = next((r for r in work.rounds.rounds(circle_id) if r.number == number), None)
            if round_ is None:
                raise NotFound("round.not_found", "there is no such round in this circle")
            draw = work.draws.get(circle_id, number)
            payment = work.draws.payment(draw.payment_id) if draw else None
            owed = work.contributions.of_round(circle_id, number)
            return RoundView(circle, round_, owed, draw, payment)


@dataclass(frozen=True, slots=True)
class StartRound:
    """Starting a round's state machine from outside the database's network."""

    machine: PayoutMachine

    def start(
        self,
        tenant_id: str,
        principal: str,
        circle_id: str,
        number: int,
        *,
        poll_seconds: int,
        correlation_id: str,
    ) -> Mapping[str, str | int]:
        """Start a round, once: a repetition answers with who started it first."""
        document: dict[str, str | int] = {
            "tenant_id": tenant_id,
            "circle_id": circle_id,
            "round_number": number,
            "requested_by": principal,
            "poll_seconds": poll_seconds,
            "correlation_id": correlation_id,
        }
        # The tenant is part of the name: another tenant's circle id reaches no machine of theirs.
        name = f"{tenant_id}-{circle_id}-r{number}"
        started = self.machine.start(name, document)
        return {
            "circle_id": circle_id,
            "round_number": number,
            "execution": name,
            "requested_by": str(started.get("requested_by", "")),
        }
