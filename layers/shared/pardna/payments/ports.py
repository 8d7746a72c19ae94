"""What payments need of the world."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pardna.formats.model import PaymentStatus
from pardna.money.model import Money
from pardna.payments.model import Batch, CardCharge, PayingBank, Payment, Status


class PaymentBook(Protocol):
    """Payments and their files, in the database."""

    def payment(self, tenant_id: str, payment_id: str) -> Payment:
        """Raises NotFound ``payment.not_found``."""
        ...

    def write(
        self, tenant_id: str, payment_id: str, approval: Approval, batch: Batch, correlation_id: str
    ) -> Batch:
        """Put a payment into its file, record our side of it, and return the file's row.

        One database transaction. A payment that is in a file already keeps that one: the row that
        stands is returned, whatever was proposed. Raises Conflict ``payment.not_payable`` when the
        payment was cancelled.
        """
        ...

    def advance(self, tenant_id: str, batch_id: str, status: Status) -> int:
        """Move a file's payments to `status` where that is a step forward; returns how many moved.

        Raises NotFound when there is no such file.
        """
        ...

    def answer(
        self, tenant_id: str, said: Sequence[PaymentStatus], correlation_id: str
    ) -> Answered:
        """Apply what a bank said, and signal each file whose payments are all decided, in one
        database transaction. What fits none of our payments becomes a problem row."""
        ...


@dataclass(frozen=True, slots=True)
class Approval:
    """A second person's yes."""

    approval_id: str
    approved_by: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What a bank's answer changed; ids only."""

    changed: tuple[str, ...] = ()
    signalled: tuple[str, ...] = ()
    problems_count: int = 0


class SecondPerson(Protocol):
    """Whether somebody else has approved."""

    def approved(self, tenant_id: str, approval_id: str, subject: str, amount: Money) -> Approval:
        """The approval of exactly this `subject` and `amount`.

        Raises NotPermitted ``payment.not_approved`` for anything else.
        """
        ...


class PayingBanks(Protocol):
    """The accounts that a tenant pays from."""

    def paying_bank(self, tenant_id: str, source_id: str) -> PayingBank:
        """Raises NotFound ``payment.no_bank``, InvalidInput when its profile cannot pay."""
        ...


class PaymentFiles(Protocol):
    """Written files; the same name never holds other bytes."""

    def put(self, key: str, content: bytes) -> bool:
        """True when it was not there. Raises Conflict ``payment.file_differs`` for other bytes."""
        ...

    def read(self, key: str) -> bytes:
        """Raises NotFound ``payment.no_file``."""
        ...


class Dropbox(Protocol):
    """A bank's folders in one session."""

    def find(self, name: str) -> int | None:
        """Size in bytes of the complete file of this name, taken or waiting; None: not there."""
        ...

    def has_part(self, name: str) -> bool:
        """Whether an upload of this name was begun and not completed."""
        ...

    def put_part(self, name: str, content: bytes) -> None:
        """Upload the bytes beside the name, where the bank does not look for files."""
        ...

    def complete(self, name: str) -> None:
        """Give the uploaded bytes their name: from now on the bank may take them.

        Raises Conflict ``payment.name_taken`` when a file of this name is there.
        """
        ...


class Dropboxes(Protocol):
    """How a bank's folders are reached."""

    def open(self, tenant_id: str, bank: PayingBank) -> AbstractContextManager[Dropbox]:
        """A session; raises Unavailable or UntrustedHost."""
        ...


class CardRail(Protocol):
    """A provider that charges cards that its customers left with it."""

    def charge(self, request: CardCharge, idempotency_key: str) -> Charged:
        """Charge once for this key. A refusal by the card is an answer, not an error.

        Raises Unavailable when the outcome is unknown, RefusedByRule ``card.request_refused`` when
        the provider did not accept the request at all.
        """
        ...

    def find(self, request: CardCharge) -> Charged | None:
        """The charge that an earlier attempt may have made; None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Charged:
    """What came of charging a card; `code` says why a card was declined."""

    outcome: str
    payment_intent_id: str = ""
    charge_id: str = ""
    code: str = ""
