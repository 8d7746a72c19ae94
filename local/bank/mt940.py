"""MT940 customer statements, with field 86 in the widely used code-word layout (/EREF/, /REMI/ ...).

SWIFT allows a small character set only (no accents), lines of at most 65 characters in field 86, and
16 characters for references; longer ones stand in field 86. Lines end in CR LF.
"""

from __future__ import annotations

import re
import unicodedata

from local.bank.amounts import decimal
from local.bank.codes import CODES
from local.bank.model import Account, Bank, Entry, Statement

_ALLOWED = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")
_LINE = 65
_LINES_MAX = 6


def statement_file(
    bank: Bank,
    account: Account,
    statement: Statement,
    entries: list[Entry],
    *,
    page: int = 1,
    last_page: bool = True,
    closing_minor: int | None = None,
) -> bytes:
    """A statement, or one page of it (`:28C:` number/page). Pages before the last end in `:62M:`.

    `closing_minor` overrides the closing balance (to write a statement that does not add up).
    """
    day = _short(statement.date)
    closing = statement.closing_minor if closing_minor is None else closing_minor
    reference = f"{account.number[-6:]}{day}{page:02d}"
    lines = [
        f"{{1:F01{bank.bic}AXXX0000000000}}{{2:O940{bank.bic}AXXXN}}{{4:",
        f":20:{reference}",
        f":25:{bank.bic}/{account.number}",
        f":28C:{statement.sequence:05d}/{page:03d}",
        ":60F:" + _balance(statement.opening_minor, statement.first_date, account.currency),
    ]
    for entry in entries:
        lines += _entry(account, entry)
    if last_page:
        lines.append(":62F:" + _balance(closing, statement.date, account.currency))
        lines.append(":64:" + _balance(closing, statement.date, account.currency))
    else:
        so_far = statement.opening_minor + sum(one.amount_minor for one in entries)
        lines.append(":62M:" + _balance(so_far, statement.date, account.currency))
    lines.append("-}")
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def _balance(amount: int, day: str, currency: str) -> str:
    mark = "D" if amount < 0 else "C"
    return f"{mark}{_short(day)}{currency}{decimal(amount, ',')}"


def _entry(account: Account, entry: Entry) -> list[str]:
    mark = "D" if entry.amount_minor < 0 else "C"
    wanted = entry.end_to_end or entry.creditor_reference
    fits = 0 < len(wanted) <= 16 and wanted == plain(wanted) and "//" not in wanted
    reference = wanted if fits else "NONREF"
    line = (
        f":61:{_short(entry.value_date)}{entry.booking_date[5:7]}{entry.booking_date[8:]}{mark}"
        f"{decimal(entry.amount_minor, ',')}{CODES[entry.kind].swift}{reference}//{entry.id}"
    )
    return [line, *_details(account, entry)]


def _details(account: Account, entry: Entry) -> list[str]:
    party = "ORDP" if entry.amount_minor > 0 else "BENM"
    parts = [f"/TRTP/{CODES[entry.kind].proprietary}"]
    if entry.end_to_end:
        parts.append(f"/EREF/{plain(entry.end_to_end)}")
    if entry.payment_information:
        parts.append(f"/PREF/{plain(entry.payment_information)}")
    if entry.name:
        parts.append(f"/{party}//NAME/{_word(entry.name)}")
    if entry.counter_account:
        parts.append(f"/ACCW/{plain(entry.counter_account)},{entry.counter_bic}".rstrip(","))
    if entry.remittance:
        parts.append(f"/REMI/{_word(entry.remittance)}")
    if entry.creditor_reference:
        parts.append(f"/CREF/{plain(entry.creditor_reference)}")
    if entry.charges_minor:
        sent = decimal(entry.amount_minor + entry.charges_minor, ",")
        kept = decimal(entry.charges_minor, ",")
        parts.append(f"/OCMT/{account.currency}{sent}/CHGS/{account.currency}{kept}")
    lines = _wrapped("".join(parts))[:_LINES_MAX]
    return [f":86:{lines[0]}", *lines[1:]]


def _wrapped(text: str) -> list[str]:
    """Lines of at most 65 characters, cut where nothing is lost when they are joined again.

    No cut beside a blank (readers strip lines), none before what would start a field or end the
    message.
    """
    lines = []
    while len(text) > _LINE:
        cut = _LINE
        while cut > 1 and (text[cut] in " :-" or text[cut - 1] == " "):
            cut -= 1
        lines.append(text[:cut])
        text = text[cut:]
    return [*lines, text]


def plain(text: str) -> str:
    """Text in SWIFT's character set: accents dropped, anything else that is foreign a blank."""
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return _ALLOWED.sub(" ", bare)


def _word(text: str) -> str:
    """Plain text that cannot be taken for the next code word."""
    return plain(text).replace("/", " ").strip()


def _short(day: str) -> str:
    return day[2:].replace("-", "")
