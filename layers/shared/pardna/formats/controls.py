"""Which problems say that a file's own totals do not hold, or that its end is missing.

Rows of such a part do not count, however well each of them reads: something is missing or wrong, and
nobody knows which.
"""

from __future__ import annotations

from pardna.formats.model import Problem, Severity

_CODES = frozenset(
    {
        *("bai2.account_total", "bai2.group_total", "bai2.file_total"),
        *("bai2.account_trailer", "bai2.truncated"),
        *("nacha.batch_count", "nacha.batch_hash", "nacha.batch_debit", "nacha.batch_credit"),
        *("nacha.file_count", "nacha.file_hash", "nacha.file_debit", "nacha.file_credit"),
        *("nacha.file_batches", "nacha.batch_control", "nacha.file_control"),
        *("paypal.section_total", "paypal.section_count", "paypal.truncated"),
        *("control.total", "control.debits", "control.credits", "control.count"),
        *("statement.sums", "ofx.truncated", "mt940.truncated", "control.identities"),
    }
)


def breaks_control(problem: Problem) -> bool:
    """Whether a problem means that what it stands beside (a statement, or the file) does not count."""
    return problem.severity is Severity.ERROR and problem.code in _CODES


#: What these begin with is about the file, or about a part of it that holds several statements.
_OF_FILE = ("bai2.group_", "bai2.file_", "bai2.truncated", "nacha.file_", "paypal.", "control.")


def is_of_file(problem: Problem) -> bool:
    """Whether a problem is the file's, even where a statement follows it."""
    return problem.code.startswith(_OF_FILE)
