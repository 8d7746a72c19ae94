"""What people send to create a circle: parsed at the edge, mapped to the model."""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from pardna.circles.model import (
    Circle,
    Contact,
    FeeModel,
    Frequency,
    Member,
    PotModel,
    Rail,
    Shortfall,
    Slot,
    Terms,
)
from pardna.circles.names import circle_id, codes
from pardna.money.model import Money, MoneyError
from pardna.payments.model import Payee
from pardna.runtime.errors import InvalidInput

Name = Annotated[str, Field(min_length=1, max_length=100)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewContact(_Body):
    """Who to speak to. Phones are international: ``+18765550100``."""

    name: Name
    email: Annotated[str, Field(max_length=254, pattern=r"^$|^[^@\s]+@[^@\s]+\.[^@\s]+$")] = ""
    phone: Annotated[str, Field(pattern=r"^$|^\+[1-9][0-9]{6,14}$")] = ""


class NewCard(_Body):
    """A card that the member left with the provider."""

    customer_id: Annotated[str, Field(min_length=1, max_length=100)]
    payment_method_id: Annotated[str, Field(min_length=1, max_length=100)]


class NewPayout(_Body):
    """The bank account that the member's draw goes to."""

    account: str
    name: Annotated[str, Field(max_length=100)] = ""
    bic: str = ""
    bank_code: str = ""
    transit: str = ""


class NewMember(NewContact):
    """A member; `hands` is how many slots they own."""

    member_id: Id
    rail: Literal["card", "bank"]
    payout: NewPayout
    card: NewCard | None = None
    hands: Annotated[StrictInt, Field(ge=1, le=20)] = 1


class NewFee(_Body):
    """The banker's fee; `value` is minor units (flat) or basis points (bps)."""

    model: Literal["none", "flat", "bps", "one_hand"] = "none"
    value: StrictInt = 0


class NewCircle(_Body):
    """The body of ``POST /tenants/{tenant_id}/circles``.

    `reference` is the caller's own name for the circle: sending the same again finds it.
    `draw_order` names a member per round; without it members draw in the order given.
    """

    reference: Annotated[str, Field(min_length=1, max_length=100)]
    name: Name
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    hand_minor: StrictInt
    frequency: Literal["weekly", "fortnightly", "monthly"]
    starts_on: date
    fee: NewFee = NewFee()
    pot_model: Literal["recipient_pays", "recipient_skips"] = "recipient_pays"
    shortfall: Literal["wait", "reduce"] = "wait"
    grace_days: Annotated[StrictInt, Field(ge=0, le=60)] = 2
    bank_source_id: Annotated[str, Field(min_length=1, max_length=100)]
    card_source_id: Annotated[str, Field(max_length=100)] = ""
    banker: NewContact | None = None
    members: Annotated[list[NewMember], Field(min_length=1, max_length=99)]
    draw_order: list[Id] = []

    @property
    def request_hash(self) -> str:
        """SHA-256 of what was asked for."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def to_circle(self, tenant_id: str, principal: str, at: datetime) -> Circle:
        """The circle as asked for; raises InvalidInput where the model refuses it."""
        try:
            hand = Money(self.hand_minor, self.currency)
        except MoneyError as error:
            raise InvalidInput("circle.invalid", str(error)) from None
        return Circle(
            tenant_id=tenant_id,
            circle_id=circle_id(tenant_id, self.reference),
            reference=self.reference,
            code=codes(tenant_id, self.reference)[0],
            name=self.name,
            terms=Terms(
                hand=hand,
                frequency=Frequency(self.frequency),
                starts_on=self.starts_on,
                fee_model=FeeModel(self.fee.model),
                fee_value=self.fee.value,
                pot_model=PotModel(self.pot_model),
                shortfall=Shortfall(self.shortfall),
                grace_days=self.grace_days,
            ),
            members=tuple(_member(m) for m in sorted(self.members, key=lambda m: m.member_id)),
            slots=tuple(Slot(n, member_id) for n, member_id in enumerate(self._order(), start=1)),
            bank_source_id=self.bank_source_id,
            card_source_id=self.card_source_id,
            banker=_contact(self.banker) if self.banker else Contact(""),
            created_by=principal,
            created_at=at,
        )

    def _order(self) -> list[str]:
        owned = [m.member_id for m in self.members for _ in range(m.hands)]
        if not self.draw_order:
            return owned
        if sorted(self.draw_order) != sorted(owned):
            raise InvalidInput("circle.draw_order", "each hand draws exactly once")
        return list(self.draw_order)


def _member(new: NewMember) -> Member:
    payout = new.payout
    return Member(
        member_id=new.member_id,
        rail=Rail(new.rail),
        contact=_contact(new),
        payee=Payee(
            payout.name or new.name, payout.account, payout.bic, payout.bank_code, payout.transit
        ),
        card_customer_id=new.card.customer_id if new.card else "",
        card_payment_method_id=new.card.payment_method_id if new.card else "",
    )


def _contact(new: NewContact) -> Contact:
    return Contact(new.name, new.email, new.phone)


class Start(_Body):
    """The body of a round's start: how often the machine looks whether the money is there.

    An hour by default: an execution's history holds 25,000 events, nine a look, so that hourly
    looks reach beyond the machine's own limit of 90 days.
    """

    poll_seconds: Annotated[StrictInt, Field(ge=1, le=86_400)] = 3600


class RoundStep(_Body):
    """What the payout-round machine sends to each step."""

    tenant_id: str
    circle_id: str
    round_number: StrictInt
    correlation_id: str = ""

    @property
    def log_keys(self) -> dict[str, str | int]:
        """The keys of a log line about this round."""
        return {
            "tenant_id": self.tenant_id,
            "circle_id": self.circle_id,
            "round_number": self.round_number,
        }


def round_number(text: str) -> int:
    """A round's number from a path; raises InvalidInput ``request.path``."""
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) >= 1):
        raise InvalidInput("request.path", "a round has a number from 1 to 99")
    return int(text)


def known_shape(circle_id: str) -> str:
    """A circle's id from a path; raises InvalidInput ``request.path``."""
    if not re.fullmatch(r"cir-[0-9a-f]{20}", circle_id):
        raise InvalidInput("request.path", "this is not a circle's id")
    return circle_id
