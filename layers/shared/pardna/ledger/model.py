"""Double entry as pure data and rules.

Amounts are signed integers of minor units: a debit is positive, a credit negative. A journal is
balanced when, in each of its currencies, its lines sum to zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Kind, Side

MINOR_MAX = 2**63 - 1
#: What may ever be debited to, credited to or held on one row of balances stays below this.
TOTAL_MAX = 2**57
LINES_MAX = 1_000

#: The states of a match that concern the ledger.
COMMITTED, UNMATCHED = "committed", "unmatched"


class AccountType(StrEnum):
    """What an account is; it decides on which side its balance normally stands."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"
    EQUITY = "equity"

    @property
    def normal_side(self) -> str:
        """``debit`` for what we have and spend, ``credit`` for what we owe and earn."""
        return "debit" if self in (AccountType.ASSET, AccountType.EXPENSE) else "credit"


@dataclass(frozen=True, slots=True)
class Account:
    """One account in one currency; `code` and `currency` name it within a tenant.

    `minimum_minor` is the lowest balance that it may have on its normal side (None: no limit).
    `shards` splits a hot account's balance over that many rows; it is read as one.
    """

    code: str
    currency: str
    type: AccountType
    minimum_minor: int | None = None
    shards: int = 1
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `item` is the transaction whose open amount this moves, on clearing accounts."""

    account: str
    currency: str
    amount_minor: int
    item: str = ""

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int or not 0 < abs(self.amount_minor) <= MINOR_MAX:
            raise InvalidInput(
                "ledger.line", "a line moves a non-zero 64-bit integer of minor units"
            )


@dataclass(frozen=True, slots=True)
class Journal:
    """One posting, whole or not at all, once per `key`.

    `reverses` is the key of the journal that this one takes back; its lines then follow from that.
    `move_late`: when `effective_at` lies in a closed period, post at the start of the open one and
    keep the original time, instead of being refused. `effective_at` None means when it is recorded.
    """

    key: str
    kind: str
    lines: tuple[Line, ...] = ()
    effective_at: datetime | None = None
    description: str = ""
    refs: Mapping[str, str | int] = field(default_factory=dict)
    metadata: Mapping[str, str | int] = field(default_factory=dict)
    reverses: str = ""
    move_late: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.key) <= 300:
            raise InvalidInput("ledger.key", "a journal's key has 1 to 300 characters")
        if len(self.lines) > LINES_MAX:
            raise InvalidInput("ledger.lines", f"a journal has at most {LINES_MAX} lines")
        if self.reverses and self.lines:
            raise InvalidInput("ledger.reversal", "a reversal's lines follow from what it reverses")
        if self.effective_at is not None and self.effective_at.tzinfo is None:
            raise InvalidInput("ledger.effective_at", "an instant needs a zone")


class Status(StrEnum):
    """What became of a journal."""

    POSTED = "posted"
    ALREADY_POSTED = "already_posted"
    REFUSED = "refused"


class Refusal(StrEnum):
    """Why a journal was refused; stable codes."""

    UNBALANCED = "unbalanced"
    UNKNOWN_ACCOUNT = "unknown_account"
    CURRENCY_MISMATCH = "currency_mismatch"
    BELOW_MINIMUM = "below_minimum"
    CLOSED_PERIOD = "closed_period"
    KEY_REUSED = "key_reused"
    TOO_FEW_LINES = "too_few_lines"
    ZERO_AMOUNT = "zero_amount"
    UNKNOWN_JOURNAL = "unknown_journal"
    ALREADY_REVERSED = "already_reversed"
    ARCHIVED = "archived"
    BATCH_REFUSED = "batch_refused"
    OVERFLOW = "overflow"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer for one journal: where it is, or why it is not."""

    status: Status
    journal_id: str = ""
    refusal: Refusal | None = None

    @property
    def stands(self) -> bool:
        """The journal is in the ledger, by this call or an earlier one."""
        return self.status is not Status.REFUSED


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's totals; `balance_minor` is positive on the account's normal side."""

    account: str
    currency: str
    type: AccountType
    debits_minor: int
    credits_minor: int

    @property
    def balance_minor(self) -> int:
        """Balance on the normal side."""
        difference = self.debits_minor - self.credits_minor
        return difference if self.type.normal_side == "debit" else -difference


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """All accounts of a tenant with what has ever been debited and credited."""

    accounts: tuple[Balance, ...]

    def differences(self) -> dict[str, int]:
        """Debits less credits by currency: all zero, or the ledger is broken."""
        sums: dict[str, int] = defaultdict(int)
        for account in self.accounts:
            sums[account.currency] += account.debits_minor - account.credits_minor
        return dict(sorted(sums.items()))

    @property
    def is_zero(self) -> bool:
        """Every currency balances."""
        return not any(self.differences().values())


class Basis(StrEnum):
    """By which of a journal's two times a past balance is meant."""

    #: What the books said at that moment: later corrections are not in it.
    RECORDED = "recorded"
    #: What had taken effect by that moment, as it is known now.
    EFFECTIVE = "effective"


@dataclass(frozen=True, slots=True)
class PastBalance:
    """What an account stood at before some moment; `total_minor` is debit positive."""

    account: str
    currency: str
    type: AccountType
    total_minor: int

    @property
    def balance_minor(self) -> int:
        """Balance on the normal side."""
        return self.total_minor if self.type.normal_side == "debit" else -self.total_minor


@dataclass(frozen=True, slots=True)
class CurrencyTotal:
    """What all accounts of a currency add up to; debits equal credits, or the ledger is broken."""

    currency: str
    debits_minor: int
    credits_minor: int
    accounts: int


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One entry of an account; `balance_minor` is the running total, debit positive."""

    journal_id: str
    line: int
    amount_minor: int
    balance_minor: int
    key: str
    kind: str
    description: str
    effective_at: datetime
    recorded_at: datetime
    item: str = ""


@dataclass(frozen=True, slots=True)
class OpenItem:
    """What a transaction still leaves on a clearing account; debit positive."""

    account: str
    currency: str
    item: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class MatchedLeg:
    """One leg of a match; `amount_minor` is on the pair's basis (gross to gross, net to bank)."""

    transaction_id: str
    side: Side
    kind: Kind
    source: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class MatchState:
    """Where a match stands, without its legs."""

    match_id: str
    version: int
    status: str


@dataclass(frozen=True, slots=True)
class MatchEvent:
    """A match's state as matching has it; versions count from 1.

    ``committed`` at version n: the legs are joined, and versions before n no longer hold.
    ``unmatched`` at version n: what was committed as version n is taken back. `variance_kind`
    (``fee``, ``rounding`` or empty) says where a remainder belongs.
    """

    match_id: str
    version: int
    pair: str
    status: str
    at: datetime
    legs: tuple[MatchedLeg, ...]
    variance_kind: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Reserve `amount_minor` from `credit` to `debit`, once per `key`, until it is ended.

    A hold moves nothing but counts against both accounts' minimum. At `expires_at` it can no longer
    be captured; None never expires.
    """

    key: str
    debit: str
    credit: str
    currency: str
    amount_minor: int
    expires_at: datetime | None = None
    description: str = ""
    refs: Mapping[str, str | int] = field(default_factory=dict)


class HoldStatus(StrEnum):
    """What became of a hold, or of an attempt to end one."""

    HELD = "held"
    ALREADY_HELD = "already_held"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"
    REFUSED = "refused"


class HoldRefusal(StrEnum):
    """Why a hold, or ending it, was refused; stable codes."""

    ZERO_AMOUNT = "zero_amount"
    UNKNOWN_ACCOUNT = "unknown_account"
    CURRENCY_MISMATCH = "currency_mismatch"
    SAME_ACCOUNT = "same_account"
    BELOW_MINIMUM = "below_minimum"
    KEY_REUSED = "key_reused"
    UNKNOWN_HOLD = "unknown_hold"
    ALREADY_CAPTURED = "already_captured"
    ALREADY_VOIDED = "already_voided"
    ALREADY_EXPIRED = "already_expired"
    EXCEEDS_HOLD = "exceeds_hold"
    NOT_EXPIRED = "not_expired"
    OVERFLOW = "overflow"


@dataclass(frozen=True, slots=True)
class HoldOutcome:
    """The answer: the hold's or the capture's journal id, or why not. `again`: it had ended so."""

    status: HoldStatus
    reference_id: str = ""
    refusal: HoldRefusal | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class LegMark:
    """That a match's `version` joins (``committed``) or parts (``unmatched``) one transaction."""

    pair: str
    transaction_id: str
    match_id: str
    version: int
    status: str
    matched_at: datetime


def differences(lines: Iterable[Line]) -> dict[str, int]:
    """Currencies in which `lines` do not sum to zero, with the sum."""
    sums: dict[str, int] = defaultdict(int)
    for line in lines:
        sums[line.currency] += line.amount_minor
    return {currency: total for currency, total in sorted(sums.items()) if total}


def shape_refusal(lines: tuple[Line, ...]) -> Refusal | None:
    """What is wrong with the lines by themselves, without looking at any account."""
    if len(lines) < 2:
        return Refusal.TOO_FEW_LINES
    return Refusal.UNBALANCED if differences(lines) else None
