"""The story's facts: who is in it, and how much money moves where. Pure, for tests to add up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

TENANT = "kingston-mutual"
TENANT_NAME = "Kingston Mutual Pardna House"

STRIPE_SOURCE = "cards"
STRIPE_ACCOUNT = "acct_1PardnaDemo"


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody who works with the platform; logs in by e-mail."""

    email: str
    name: str
    roles: tuple[str, ...]


OPERATOR = Staff("operator@pardna.example", "Olive Campbell", ())
ADMIN = Staff("admin@kingston-mutual.example", "Errol Clarke", ("admin",))
BANKER = Staff("banker@kingston-mutual.example", "Beverley Morgan", ("banker",))
APPROVER = Staff("approver@kingston-mutual.example", "Winston Hall", ("approver",))
AUDITOR = Staff("auditor@kingston-mutual.example", "Sonia Gayle", ("auditor",))
STAFF = (OPERATOR, ADMIN, BANKER, APPROVER, AUDITOR)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a circle, who pays by `rail` (``card`` or ``bank``) and draws to an account."""

    member_id: str
    name: str
    rail: str
    phone: str
    account: str

    @property
    def email(self) -> str:
        """Where receipts go."""
        return f"{self.member_id}@members.example"


@dataclass(frozen=True, slots=True)
class BankAccount:
    """The house's account at one of the simulated banks."""

    bank: str
    source_id: str
    number: str
    currency: str
    bic: str
    transit: str
    statement: str


NCB = BankAccount("ncb", "ncb-jmd", "404385912", "JMD", "JNCBJMKX", "00001", "camt.053")
BNS = BankAccount("bns", "bns-usd", "831047265", "USD", "NOSCJMKN", "00002", "MT940")
BANKS = (NCB, BNS)


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle of five hands; in round 1 the first member draws.

    `twice` pays by card a second time by mistake and is refunded; `disputed` is a member whose
    bank disputes the charge and loses. `stranger_minor` is a credit that nobody knows (0: none).
    """

    reference: str
    name: str
    frequency: str
    hand_minor: int
    bank: BankAccount
    members: tuple[Member, ...]
    twice: str = ""
    disputed: str = ""
    stranger_minor: int = 0

    @property
    def currency(self) -> str:
        """ISO 4217."""
        return self.bank.currency

    @property
    def pot_minor(self) -> int:
        """What one round comes to."""
        return self.hand_minor * len(self.members)

    @property
    def by_card(self) -> tuple[Member, ...]:
        """Members who pay by card."""
        return tuple(member for member in self.members if member.rail == "card")

    @property
    def by_bank(self) -> tuple[Member, ...]:
        """Members who pay by transfer."""
        return tuple(member for member in self.members if member.rail == "bank")

    def member(self, member_id: str) -> Member:
        """A member by id."""
        return next(one for one in self.members if one.member_id == member_id)


JMD_CIRCLE = Circle(
    reference="half-way-tree-weekly",
    name="Half Way Tree Weekly",
    frequency="weekly",
    hand_minor=500_000,
    bank=NCB,
    members=(
        Member("marcia-brown", "Marcia Brown", "card", "+18765550111", "200100301"),
        Member("delroy-grant", "Delroy Grant", "card", "+18765550112", "200100302"),
        Member("paulette-reid", "Paulette Reid", "card", "+18765550113", "200100303"),
        Member("trevor-lewis", "Trevor Lewis", "bank", "+18765550114", "200100304"),
        Member("yvonne-francis", "Yvonne Francis", "bank", "+16585550115", "200100305"),
    ),
    twice="delroy-grant",
    stranger_minor=123_400,
)
USD_CIRCLE = Circle(
    reference="harbour-view-dollar-hand",
    name="Harbour View Dollar Hand",
    frequency="weekly",
    hand_minor=10_000,
    bank=BNS,
    members=(
        Member("carlton-wright", "Carlton Wright", "card", "+18765550121", "700200401"),
        Member("simone-thomas", "Simone Thomas", "card", "+18765550122", "700200402"),
        Member("junior-bailey", "Junior Bailey", "card", "+18765550123", "700200403"),
        Member("hyacinth-james", "Hyacinth James", "bank", "+18765550124", "700200404"),
        Member("neville-powell", "Neville Powell", "bank", "+16585550125", "700200405"),
    ),
    disputed="simone-thomas",
)
CIRCLES = (JMD_CIRCLE, USD_CIRCLE)

STRANGER = "R. Unknown Holdings"
STRANGER_TEXT = "INVOICE 4711"


@dataclass(frozen=True, slots=True)
class Days:
    """All dates follow from the day on which the story was first told in a home."""

    first: date

    @property
    def debited(self) -> date:
        """The draw stands in the next day's statement: the first day's is closed by then."""
        return self.first + timedelta(days=1)

    @property
    def looked_back_from(self) -> date:
        """A week later, what nobody has explained is no longer merely late: it is a break."""
        return self.first + timedelta(days=7)
