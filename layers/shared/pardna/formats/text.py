"""Texts of bank lines: cleaned, and searched for the references that people and banks put there."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator

from pardna.transactions.model import REFERENCES_MAX, TEXT_MAX, Reference, Strength

#: What banks write where a reference would stand and there is none.
_NO_REFERENCE = frozenset(
    {"", "NONREF", "NOREF", "NOTPROVIDED", "NOT PROVIDED", "NONE", "UNKNOWN", "N/A", "NA", "0", "-"}
)
_NO_BEGINNING = frozenset({c for word in _NO_REFERENCE for c in (word[:1], word[:1].lower())})
# The reference that a member is given: PDN-7K3Q-R01-04. People drop hyphens and capitals.
_PAYMENT_REFERENCE = re.compile(
    r"(?<![0-9A-Za-z])PDN[\s/.-]?([0-9A-Z]{4})[\s/.-]?R(\d{2})[\s/.-]?(\d{2})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
# A processor's payout: its id, or the trace that it gives to the bank.
_WEAK = Strength.WEAK
_PAYOUT = re.compile(
    r"(?<![0-9A-Za-z_])(po_[0-9A-Za-z]{8,64}|STR[0-9A-Z]{12}|PO(?=[A-Z]*\d)[0-9A-Z]{8,14})"
    r"(?![0-9A-Za-z])"
)


def clean(text: str | None, length: int = TEXT_MAX) -> str:
    """One line without control characters, in composed form (NFC), at most `length` long."""
    if not text:
        return ""
    if text.isascii() and text.isprintable():
        if len(text) <= length and "  " not in text and text[0] != " " != text[-1]:
            return text
        return " ".join(text.split())[:length].strip()
    printable = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    return " ".join(unicodedata.normalize("NFC", printable).split())[:length].strip()


def given(text: str | None) -> str:
    """A reference, or nothing when the bank wrote that there is none."""
    value = clean(text, 200)
    # None of them is longer, or begins otherwise.
    if len(value) < 15 and value[:1] in _NO_BEGINNING and value.upper() in _NO_REFERENCE:
        return ""
    return value


def found_in(text: str, *, wrapped: str = "") -> set[Reference]:
    """References inside free text: payment references (normalised) and payouts.

    `wrapped` is the same text with its line breaks taken out instead of made spaces: banks break
    lines in the middle of a word.
    """
    found = set[Reference]()
    _find(text, found)
    if wrapped and wrapped != text:
        _find(wrapped, found)
    return found


def _find(text: str, found: set[Reference]) -> None:
    """Add what is found. Most texts hold no beginning of either, which `in` sees at once."""
    capitals = text.upper()
    if "PDN" in capitals:
        if len(capitals) == len(text):
            payments = _from(_PAYMENT_REFERENCE, text, capitals, "PDN")
        else:  # a letter became two (ß), so that places differ
            payments = _PAYMENT_REFERENCE.finditer(text)
        for match in payments:
            hand, round_number, member = match.groups()
            named = f"PDN-{hand}-R{round_number}-{member}".upper()
            found.add(Reference("payment_reference", named, _WEAK))
    for beginning in _PAYOUT_BEGINNINGS:
        if beginning in text:
            for match in _from(_PAYOUT, text, text, beginning):
                found.add(Reference("payout", match.group(1), _WEAK))


_PAYOUT_BEGINNINGS = ("po_", "STR", "PO")


def _from(
    pattern: re.Pattern[str], text: str, searched: str, beginning: str
) -> Iterator[re.Match[str]]:
    """Matches of a pattern that begins so."""
    at = searched.find(beginning)
    while at >= 0:
        match = pattern.match(text, at)
        if match is not None:
            yield match
        at = searched.find(beginning, at + 1)


def references(pairs: Iterable[tuple[str, str | None, Strength]]) -> set[Reference]:
    """References of those (type, value, strength) whose value is given."""
    return {
        Reference(kind, value, how) for kind, text, how in pairs if text and (value := given(text))
    }


def sorted_references(found: Iterable[Reference]) -> tuple[Reference, ...]:
    """As a transaction carries them: distinct, in order, strong ones first when there are too many."""
    distinct = list(set(found))
    if len(distinct) > 1:
        distinct = sorted(distinct)
    if len(distinct) > REFERENCES_MAX:
        strong_first = sorted(distinct, key=lambda r: r.strength is not Strength.STRONG)
        distinct = sorted(strong_first[:REFERENCES_MAX])
    return tuple(distinct)


class EntryIds:
    """External ids of a bank account's entries: the same entry in any file gets the same id.

    The id leads with the bank's own reference and carries value date and amount, because banks put
    one reference on many entries (a payment and its fee, or a whole day): an id that is too coarse
    would swallow money, silently. Without a reference, a digest of the texts stands in its
    place. Entries that still agree in everything are numbered in their order.
    """

    def __init__(self) -> None:
        # Of a million entries nearly all are seen once: eight bytes of a digest stand for each.
        self._seen: set[int] = set()
        self._repeated: dict[str, int] = {}

    def of(self, reference: str, day: str, amount_minor: int, texts: Iterable[str]) -> str:
        """The external id; `day` is the value date in ISO 8601, or what stands for it."""
        named = reference[:100]
        if not reference.isprintable():
            named = "".join(c for c in reference if c.isprintable())[:100]
        if not named:
            digest = hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:20]
            named = f"~{digest}"
        key = f"{named}|{day}|{amount_minor}"
        mark = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
        if mark not in self._seen:
            self._seen.add(mark)
            return key
        self._repeated[key] = repeated = self._repeated.get(key, 1) + 1
        return f"{key}|{repeated}"


class FileIds:
    """The `EntryIds` of a file's statements.

    Statements of one account go on counting where the one before them stopped, because two payments
    that agree in everything may stand on two pages. A statement that comes again is read as if it
    were alone: its entries are those that are known.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, EntryIds] = {}
        self._statements: set[int] = set()

    def of(self, source: str, statement: tuple[object, ...]) -> EntryIds:
        """For a statement, by the account's source and all that distinguishes it from others."""
        key = hash((source, statement))
        if key in self._statements:
            return EntryIds()
        self._statements.add(key)
        return self._accounts.setdefault(source, EntryIds())
