"""What circles need of the world. `Books.work` is one database transaction; its parts are small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from pardna.circles.model import (
    Circle,
    CircleStatus,
    Contribution,
    ContributionStatus,
    Draw,
    Round,
    RoundStatus,
)
from pardna.payments.model import Instruction, PayingBank, Payment
from pardna.runtime.events import Envelope
from pardna.transactions.model import Transaction


class CircleRows(Protocol):
    """Circles with their members and slots."""

    def add(self, circle: Circle, request_hash: str, rounds: Sequence[Round]) -> None:
        """Raises Conflict ``circle.code_taken`` when the tenant has another circle of its code."""
        ...

    def known(self, reference: str) -> tuple[str, str] | None:
        """Id and request hash of the circle that was asked for by this reference."""
        ...

    def get(self, circle_id: str) -> Circle:
        """Raises NotFound ``circle.not_found``."""
        ...

    def set_status(self, circle_id: str, status: CircleStatus) -> None:
        """Takes the step, or raises when it is not a legal one."""
        ...


class RoundRows(Protocol):
    """Rounds and what is owed in them."""

    def rounds(self, circle_id: str) -> list[Round]:
        """All rounds, in order."""
        ...

    def lock(self, circle_id: str, number: int) -> Round:
        """One round, held until the transaction ends; raises NotFound ``round.not_found``."""
        ...

    def set_status(self, circle_id: str, number: int, status: RoundStatus, at: datetime) -> None:
        """Takes the step; opening and closing remember when."""
        ...


class ContributionRows(Protocol):
    """Hands owed."""

    def add(self, circle_id: str, owed: Sequence[Contribution]) -> None:
        """Write what a round is owed."""
        ...

    def of_round(self, circle_id: str, number: int) -> list[Contribution]:
        """In the order of positions; empty before the round opens."""
        ...

    def matched(self, owed: Sequence[Contribution]) -> frozenset[str]:
        """Ids of contributions whose transaction is matched with real money now."""
        ...

    def set_status(self, changes: Mapping[str, ContributionStatus], at: datetime) -> None:
        """Take these steps."""
        ...


class DrawRows(Protocol):
    """Draws and their payments."""

    def get(self, circle_id: str, number: int) -> Draw | None:
        """The round's draw, if it was computed."""
        ...

    def add(self, circle_id: str, draw: Draw, instruction: Instruction, at: datetime) -> None:
        """Write the draw and order its payment; the database refuses what is not collected."""
        ...

    def payment(self, payment_id: str) -> Payment:
        """Where the payment is."""
        ...

    def cancel(self, payment_id: str) -> None:
        """Withdraw a payment that has not left."""
        ...


class Announcements(Protocol):
    """What others must hear, written in the same transaction."""

    def record(self, transactions: Sequence[Transaction], correlation_id: str) -> None:
        """Our own side of movements, for the ledger and for matching."""
        ...

    def announce(self, envelopes: Sequence[Envelope]) -> None:
        """Events; the same again changes nothing."""
        ...

    def audit(self, action: str, subject: str, detail: Mapping[str, str | int]) -> None:
        """What was done by whom; ids and amounts only."""
        ...


class Work(Protocol):
    """One database transaction of one tenant."""

    @property
    def circles(self) -> CircleRows: ...
    @property
    def rounds(self) -> RoundRows: ...
    @property
    def contributions(self) -> ContributionRows: ...
    @property
    def draws(self) -> DrawRows: ...
    @property
    def out(self) -> Announcements: ...


class Books(Protocol):
    """The database."""

    def work(self, tenant_id: str, principal: str) -> AbstractContextManager[Work]:
        """Commits at the end, else nothing of it happened."""
        ...


class PayingBanks(Protocol):
    """The accounts that circles are collected on and paid from."""

    def paying_bank(self, tenant_id: str, source_id: str) -> PayingBank:
        """Raises NotFound or InvalidInput."""
        ...


class PayoutMachine(Protocol):
    """The state machine that plays a round."""

    def start(self, name: str, document: Mapping[str, str | int]) -> Mapping[str, str | int]:
        """Start it under `name`, or find it; returns the document that it was started with."""
        ...
