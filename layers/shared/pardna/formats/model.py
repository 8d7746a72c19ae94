"""What every format module returns, and where the bytes came from.

A reader never raises for one bad row: it names it (`Problem`) and goes on. It raises
`UnreadableFile` when the bytes as a whole are not what it reads, or are hostile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache

from pardna.transactions.model import Transaction


class Severity(StrEnum):
    """An error keeps a row out; a warning is told and the row counts."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose bytes these are: the tenant, the provider's short name, and their SHA-256.

    `account` is the source's, as the provider numbers it (``acct_1``, ``404385912``); a bank's file
    names its accounts itself, and what it names counts.
    """

    tenant_id: str
    provider: str
    raw_sha256: str
    account: str = ""

    def source(self, account: str = "") -> str:
        """`Transaction.source`: provider and account, in the characters that a source may have."""
        return _source(self.provider, self.account, account)


@lru_cache(maxsize=1024)
def _source(provider: str, own: str, account: str) -> str:
    named = re.sub(r"[^A-Za-z0-9._/-]", "", account or own)[:64]
    if own and named.endswith(own):
        # A file may write the bank's code before the number (``BNSXJMKN/831047265``).
        named = own
    return f"{provider}:{named or 'unknown'}"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where (``statement 2 entry 7``), in words that hold none of the row's data."""

    code: str
    position: str
    reason: str
    field: str = ""
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Statement:
    """One account statement as the file gives it; amounts in minor units of `currency`.

    `entries_minor` and `entries_count` are over the file's entries, of which one may hold several
    transactions (a batch) or none that could be read (`problems` then says so).
    """

    source: str
    account: str
    statement_id: str
    currency: str
    opening_minor: int | None
    closing_minor: int | None
    entries_minor: int
    entries_count: int
    position: str
    sequence_number: str = ""
    from_date: date | None = None
    to_date: date | None = None
    transactions: tuple[Transaction, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def gap_minor(self) -> int | None:
        """Closing less opening less entries: zero when it adds up, None when it cannot be known."""
        if self.opening_minor is None or self.closing_minor is None:
            return None
        return self.closing_minor - self.opening_minor - self.entries_minor

    @property
    def ties(self) -> bool:
        """Opening balance plus entries is the closing balance, and both are given."""
        return self.gap_minor == 0


@dataclass(frozen=True, slots=True)
class PaymentStatus:
    """What a bank says about a payment file of ours, or about one payment in it.

    Statuses and reasons are ISO 20022 codes (``ACCP``, ``ACSC``, ``RJCT``; ``AC04``). Without
    `end_to_end_id` it is about the whole group.
    """

    original_message_id: str
    status: str
    end_to_end_id: str = ""
    instruction_id: str = ""
    payment_id: str = ""
    reason_code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """Everything that a file says."""

    format: str
    statements: tuple[Statement, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    statuses: tuple[PaymentStatus, ...] = ()
    problems: tuple[Problem, ...] = field(default=())

    @property
    def entries_count(self) -> int:
        """Rows of the file: statement entries and free-standing transactions."""
        return sum(s.entries_count for s in self.statements) + len(self.transactions)

    @property
    def all_transactions(self) -> tuple[Transaction, ...]:
        """Of all statements and outside of any."""
        return (*(t for s in self.statements for t in s.transactions), *self.transactions)
