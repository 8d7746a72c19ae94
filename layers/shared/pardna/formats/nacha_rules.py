"""What the Nacha Operating Rules demand of single records, as problems."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pardna.formats.model import Problem, Severity

#: Kinds of addenda that return an entry, or notify of a change.
RETURN, CHANGE = "99", "98"
#: Standard entry classes with layouts of their own: advices, and international entries.
ADV = "ADV"
IAT = ("IAT", "IATCOR")
SEC = frozenset(
    ["ACK", "ADV", "ARC", "ATX", "BOC", "CCD", "CIE", "COR", "CTX", "DNE", "ENR", "IAT",
     "MTE", "POP", "POS", "PPD", "RCK", "SHR", "TEL", "TRC", "TRX", "TXP", "WEB", "XCK"]
)  # fmt: skip
#: Why an international entry is made: a reason, or the class of the entry that it came from.
_IAT_TYPES = SEC | frozenset(
    ["ANN", "BUS", "DEP", "LOA", "MIS", "MOR", "PEN", "REM", "RLS", "SAL", "TAX"]
)


_CREDITS = frozenset("1234")  # second digit of an ordinary transaction code


def header_problems(record: str, line: int) -> Iterator[Problem]:
    """What is wrong with a file header."""
    if record[34:40] != "094101":
        reason = "records are not said to be of 94 characters in blocks of ten, format 1"
        yield Problem("nacha.header", f"line {line}", reason)
    if not record[13:23].strip() or not record[3:13].strip():
        reason = "it does not say from whom and to whom it is"
        yield Problem("nacha.header", f"line {line}", reason)


def entry_problems(
    record: str, addenda: list[str], sec: str, last_trace: str, position: str
) -> Iterator[Problem]:
    """Rules of the layout that tell a broken entry."""
    if sec == ADV:
        return
    trace = record[79:94]
    if not re.fullmatch(r"[ 0-9]{14}[0-9]", trace):
        yield Problem("nacha.trace", position, "the trace number is not digits", "trace")
    returned = any(a[1:3] in (RETURN, CHANGE) for a in addenda)
    if not returned and last_trace and trace <= last_trace and sec != "IAT":
        reason = "trace numbers do not rise within the batch"
        yield Problem("nacha.trace_order", position, reason, "trace")
    digits = record[3:11]
    if digits.isascii() and digits.isdigit() and record[11] in "0123456789":
        weighted = sum(w * int(d) for w, d in zip((3, 7, 1, 3, 7, 1, 3, 7), digits, strict=True))
        if (10 - weighted % 10) % 10 != int(record[11]):
            reason = "the receiving bank's check digit is wrong"
            yield Problem("nacha.check_digit", position, reason, "receiving bank")
    else:
        yield Problem("nacha.bank", position, "the receiving bank is not digits", "receiving bank")
    if (record[78] == "1") != bool(addenda):
        reason = "the addenda indicator does not say what follows"
        yield Problem("nacha.addenda", position, reason, "addenda indicator")
    yield from _addenda_problems(addenda, trace, position)


def _addenda_problems(addenda: list[str], trace: str, position: str) -> Iterator[Problem]:
    if any(a[87:94] != trace[8:] for a in addenda):
        reason = "an addenda record does not name its entry in its last seven places"
        field_name, severity = "addenda sequence", Severity.WARNING  # some banks number anew
        yield Problem("nacha.addenda_sequence", position, reason, field_name, severity)
    if any(a[1:3] == "10" and a[3:6] not in _IAT_TYPES for a in addenda):
        yield Problem("nacha.iat_type", position, "the reason for payment is none", "type code")
    for code in (a[3:6] for a in addenda if a[1:3] == RETURN):
        if not re.fullmatch(r"R[0-8]\d", code):
            yield Problem("nacha.return_code", position, "the return code is none", "return code")
    for code in (a[3:6] for a in addenda if a[1:3] == CHANGE):
        if not re.fullmatch(r"C\d\d", code):
            yield Problem("nacha.change_code", position, "the change code is none", "change code")


def is_credit(code: str, sec: str) -> bool | None:
    """Whether a transaction code is a credit; None for one that does not exist."""
    if not (code.isascii() and code.isdigit()):
        return None
    if sec == ADV and code[0] == "8":
        return int(code[1]) % 2 == 1 if code[1] in "12345678" else None
    if code[0] not in "2345":
        return None
    if code in ("55", "56"):
        return False
    if code[1] in _CREDITS:
        return True
    return False if code[1] in "6789" else None
