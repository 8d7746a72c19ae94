"""Payments as values, and the rules about them that need nobody else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from pardna.formats.model import PaymentStatus
from pardna.money.model import Money, total
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Kind, Reference, Side, Strength, Transaction

#: Jamaica's clearing house carries at most J$1,000,000.00 per item; above that it is RTGS.
ACH_MAX = {"JMD": Money(100_000_000, "JMD")}
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Rail(StrEnum):
    """How a bank is asked to move a payment."""

    ACH = "ach"
    RTGS = "rtgs"
    WIRE = "wire"


class Status(StrEnum):
    """Where a payment is. Sent, accepted and confirmed are different things, and shown as such."""

    INSTRUCTED = "instructed"
    WRITTEN = "written"
    UPLOADED = "uploaded"
    UNCLEAR = "unclear"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, repr=False)
class Payee:
    """Who is paid, and where; personal data, never logged (so it does not print either).

    `bank_code` has 3 digits and `transit` 5; the transit is not part of the account number.
    """

    name: str
    account: str
    bic: str = ""
    bank_code: str = ""
    transit: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InvalidInput("payment.payee", "a payee needs a name")
        if not (self.account.isascii() and self.account.isdigit() and len(self.account) <= 18):
            raise InvalidInput("payment.payee", "an account number has up to 18 digits")
        parts = ((self.bank_code, 3), (self.transit, 5))
        if any(text and not (text.isdigit() and len(text) == size) for text, size in parts):
            raise InvalidInput("payment.payee", "a bank code has 3 digits, a transit 5")
        if self.bic and not (
            self.bic.isalnum() and self.bic.isupper() and len(self.bic) in (8, 11)
        ):
            raise InvalidInput("payment.payee", "a BIC has 8 or 11 capital letters and digits")


@dataclass(frozen=True, slots=True)
class Booking:
    """Our own side of a payment: what is recorded as a transaction when it is instructed."""

    source: str
    external_id: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Instruction:
    """An order to pay `amount` to `payee`, once for `origin` (what is paid, e.g. ``draw:…``)."""

    payment_id: str
    origin: str
    source_id: str
    end_to_end_id: str
    amount: Money
    payee: Payee
    remittance: str
    booking: Booking
    requested_by: str

    @property
    def rail(self) -> Rail:
        """See `rail_of`."""
        return rail_of(self.amount)


@dataclass(frozen=True, slots=True)
class Payment:
    """An instruction and what became of it."""

    instruction: Instruction
    status: Status
    batch_id: str = ""
    approval_id: str = ""
    approved_by: str = ""
    reason_code: str = ""

    @property
    def payment_id(self) -> str:
        """The instruction's."""
        return self.instruction.payment_id


@dataclass(frozen=True, slots=True)
class SftpAddress:
    """A bank's server and folders; the secret holds ``private_key`` or ``password``.

    `in_dir` is where we put files, `done_dir` where the bank moves those that it has taken.
    """

    host: str
    port: int
    user: str
    host_key: str
    secret_id: str
    in_dir: str
    done_dir: str


@dataclass(frozen=True, slots=True)
class PayingBank:
    """The account that pays. `holder` and `bic` go into the file where the profile has them."""

    source_id: str
    account: str
    currency: str
    holder: str
    bic: str
    sftp: SftpAddress


@dataclass(frozen=True, slots=True)
class Batch:
    """One payment file. `batch_id` is its name and its message id, which a bank takes once."""

    batch_id: str
    source_id: str
    control_sum: Money
    payments_count: int
    requested_on: date
    written_at: datetime
    file_key: str
    file_sha256: str
    file_bytes: int


@dataclass(frozen=True, slots=True)
class CardCharge:
    """A member's card to be charged for one contribution."""

    tenant_id: str
    source_id: str
    contribution_id: str
    circle_id: str
    amount: Money
    customer_id: str
    payment_method_id: str


#: Final answers. Everything else (received, technically valid, in process) is waiting.
_FINAL = {"ACSC": Status.ACCEPTED, "ACCC": Status.ACCEPTED, "RJCT": Status.REJECTED}
#: "Duplication": the bank has a file of this name already. That one's answer counts, not this.
DUPLICATE = "AM05"


def rail_of(amount: Money) -> Rail:
    """ACH up to its limit, RTGS above; a payment is never split to stay below."""
    limit = ACH_MAX.get(amount.currency)
    if limit is None:
        return Rail.WIRE
    return Rail.ACH if amount <= limit else Rail.RTGS


def final_status(said: PaymentStatus) -> Status | None:
    """What a bank's word means for good, or None when it does not decide."""
    if said.reason_code == DUPLICATE:
        return None
    return _FINAL.get(said.status)


def batch_id_of(tenant_id: str, payment_ids: Sequence[str]) -> str:
    """The file's name: 16 characters that its payments determine, so a repeat has no other."""
    digest = hashlib.sha256("\x1f".join((tenant_id, *sorted(payment_ids))).encode()).digest()
    return "PB" + short_code(int.from_bytes(digest[:16], "big"), 14)


def short_code(number: int, length: int) -> str:
    """`length` characters of Crockford's base 32, which nobody misreads."""
    letters = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        letters.append(_CROCKFORD[digit])
    return "".join(letters)


def file_key(tenant_id: str, batch_id: str) -> str:
    """Where the file lies in the packs bucket."""
    return f"payments/{tenant_id}/{batch_id}.xml"


def wait_subject(batch_id: str) -> str:
    """What a machine waits for: the bank's word about a file."""
    return f"payment:{batch_id}"


def control_sum(instructions: Sequence[Instruction]) -> Money:
    """Σ of the amounts, which must be of one currency."""
    return total((i.amount for i in instructions), instructions[0].amount.currency)


def booked(tenant_id: str, instruction: Instruction, at: datetime) -> Transaction:
    """Our own side of a payment as a canonical transaction: money away from us is negative."""
    book = instruction.booking
    content = f"{tenant_id}/{instruction.payment_id}/{instruction.end_to_end_id}"
    return Transaction(
        tenant_id=tenant_id,
        source=book.source,
        external_id=book.external_id,
        side=Side.INTERNAL,
        kind=book.kind,
        amount_minor=-instruction.amount.amount_minor,
        currency=instruction.amount.currency,
        occurred_at=at,
        raw_sha256=hashlib.sha256(content.encode()).hexdigest(),
        raw_position="payments",
        references=(
            Reference(str(book.kind), book.external_id, Strength.STRONG),
            Reference("end_to_end", instruction.end_to_end_id, Strength.STRONG),
            Reference("rail", "bank"),
        ),
    )
