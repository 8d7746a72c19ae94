"""Finds primary account numbers (PANs) of payment cards in text. Pure; numbers are never shown.

PCI DSS 4.0 (3.3 to 3.5): a PAN that is not needed is not kept, and at most its first six and last
four digits are shown. Nothing here needs one, so a record that carries one does not count.

A number is a card's when its digits pass the Luhn check (ISO/IEC 7812-1, annex B), its beginning is
a brand's and its length is one that the brand issues. By chance one in fifty 16-digit references
passes all three, hence also:
- *grouped* as cards are printed (4-4-4-4, Amex 4-6-5, Diners 4-6-4), or *named* (``card``, ``PAN``,
  ``Kartennr`` before it): certain, for every brand;
- *bare*: only brands and lengths that are common, not inside a longer word or number, and not where
  the same field of the file holds look-alikes that fail the check: a column of cards has none.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

# As cards are printed; an IBAN in groups of four is none (its first group has letters).
_GROUPED = (
    r"(?<![0-9A-Za-z_*+])(?<![A-Z]{2}[0-9]{2} )(?<![0-9]{4} )"
    r"(?:[2-6][0-9]{3}(?:[ .-][0-9]{4}){3}|3[0-9]{3}[ .-][0-9]{6}[ .-][0-9]{4,5})(?![0-9])"
)
# Not inside a longer run of digits (an ARN has 23) nor a number with a point.
_BARE = r"(?<![0-9_.*+])[2-6][0-9]{12,18}(?![0-9_*]|[.][0-9])"
_CANDIDATE = re.compile(f"{_GROUPED}|{_BARE}")
#: How every candidate begins; cheap to look for in large files.
_START = re.compile(r"[2-6][0-9]{3}(?:[0-9]{9}|[ .-][0-9]{4})")
_PREFILTER = re.compile(r"[2-6][0-9]{3}(?:[ .-]?[0-9]){9}")
_NAMED = re.compile(
    r"(?:\bcards?\b|card[ _-]?(?:no|nr|num)|cardnumber|\bpan\b|kart(?:en)?[ ?0-9-]*n(?:r|ummer)|\bccnum|"
    r"\bcc ?(?:no|nr|num|acct)|\btarjeta|\bcarte\b|\bvisa\b|\bmaster ?card\b|\bamex\b|"
    r"\bamerican express\b|\bkeycard\b|ccacctfrom>)[^\n]{0,24}$",
    re.IGNORECASE,
)
_HINTS = ("car", "pan", "cc", "visa", "amex", "kart", "tarj", "master")
_TAG = re.compile(r"<([\w.:-]+)[^<>]*>?\s*$|\"([^\"\n]{1,60})\"\s*:\s*\"?$")
_WORD = re.compile(r"([A-Za-z]+)[^A-Za-z0-9]*$")
_CONTEXT = 48
_LINE_MAX = 2_000
_SPLITTABLE = frozenset("0123456789 .-")
_CHUNK = 1024 * 1024
#: Numbers remembered of one file; a file with more is full of them.
FOUND_MAX = 10_000
#: A field with so many look-alikes that fail for each one that passes holds no cards.
_FAILING_RATIO = 2


@dataclass(frozen=True, slots=True)
class CardNumber:
    """A card number in a text. `digits` is for comparing in memory: never stored, never logged."""

    line: int
    brand: str
    masked: str
    digits: str = field(repr=False)
    certain: bool = False


@dataclass(frozen=True, slots=True)
class CardNumbers:
    """What a scan of a file found: by line, and how many in all (`FOUND_MAX` are kept).

    `doubtful`: some field holds references that look like cards, so a bare number proves nothing.
    """

    found: tuple[CardNumber, ...] = ()
    count: int = 0
    doubtful: bool = False

    def on_line(self, line: int) -> list[CardNumber]:
        """Those on a line, counted from one."""
        return [f for f in self.found if f.line == line]


def luhn(digits: str) -> bool:
    """Whether digits pass the check of ISO/IEC 7812-1, annex B."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit)
        if at % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def brand_of(digits: str) -> tuple[str, bool]:
    """(brand, whether it is common enough to be believed bare), by first digits and length."""
    length, two, four = len(digits), int(digits[:2]), int(digits[:4])
    if digits[0] == "4" and length in (13, 16, 19):
        return "visa", length == 16
    if length == 16 and (51 <= two <= 55 or 2221 <= four <= 2720):
        return "mastercard", True
    if length == 15 and two in (34, 37):
        return "amex", True
    if length == 16 and (four == 6011 or two == 65):
        return "discover", True
    if length == 16 and 3528 <= four <= 3589:
        return "jcb", True
    if length == 14 and (two in (36, 38, 39) or 3000 <= four <= 3059):
        return "diners", False
    if 16 <= length <= 19 and (two == 62 or 644 <= int(digits[:3]) <= 649 or 2200 <= four <= 2204):
        return "other", False
    if four in (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763):
        return "maestro", False
    return "", False


def masked(digits: str) -> str:
    """First six and last four digits, as PCI DSS 3.4.1 lets them be shown."""
    return f"{digits[:6]}{'*' * (len(digits) - 10)}{digits[-4:]}"


def may_hold(text: str) -> bool:
    """Whether a text has digits enough; a quick no for nearly every row."""
    return _PREFILTER.search(text if text.isascii() else _plain(text)) is not None


def in_text(text: str) -> list[CardNumber]:
    """Card numbers in one field or one row's texts; lines are not counted."""
    if not may_hold(text):
        return []
    scan = _Scan()
    scan.take(_plain(text), 0)
    return list(scan.result().found)


def _plain(text: str) -> str:
    """With full-width digits as digits."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def mask(text: str) -> str:
    """The text with every card number in it masked."""
    for found in in_text(text):
        spelled = r"[ .-]?".join(found.digits)
        text = re.sub(spelled, found.masked, unicodedata.normalize("NFKC", text))
    return text


def in_file(file: BinaryIO) -> CardNumbers:
    """Card numbers in a file's raw text, by line; the file is read once, in pieces."""
    scan = _Scan()
    text = io.TextIOWrapper(file, encoding=_encoding(file), errors="replace", newline="")
    line, kept = 1, ""
    try:
        while piece := text.read(_CHUNK):
            whole = kept + piece
            # What a cut may have split is looked at again, with what comes before it.
            end = max(whole.rfind("\n"), whole.rfind("\r", 0, len(whole) - 1)) + 1
            if len(whole) - end > _CHUNK:
                end = len(whole)
                while whole[end - 1] in _SPLITTABLE and len(whole) - end < _CONTEXT:
                    end -= 1
            scan.take(whole[:end], line)
            line += _lines(whole[:end])
            kept = whole[end:]
        scan.take(kept, line)
    finally:
        text.detach()
        file.seek(0)
    return scan.result()


def _encoding(file: BinaryIO) -> str:
    """UTF-16 by its mark or its zero bytes; everything else writes digits as ASCII does."""
    file.seek(0)
    head = file.read(64)
    file.seek(0)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if 0 in head[:2] and len(head) > 1:
        return "utf-16-le" if head[1] == 0 else "utf-16-be"
    return "latin-1"


def _lines(text: str) -> int:
    """Line ends of all three kinds."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


class _Scan:
    """Numbers found so far, and the look-alikes that tell cards from references."""

    def __init__(self) -> None:
        self._certain: list[CardNumber] = []
        self._bare: list[tuple[tuple[str, str], CardNumber]] = []
        self._failing: Counter[tuple[str, str]] = Counter()
        self._passing: Counter[tuple[str, str]] = Counter()
        self._certain_count = 0

    def take(self, text: str, line: int) -> None:
        """Look through a piece of text that begins on a line (0: lines are not counted)."""
        counted, at_line = 0, line
        for match in _candidates(text):
            start, end = match.span()
            digits = re.sub(r"[ .-]", "", match.group())
            brand, common = brand_of(digits)
            certain = len(digits) < end - start or _named(text, start)
            if not brand or not (certain or (common and not _in_word(text, start, end))):
                continue
            if not luhn(digits):
                if not certain:
                    self._failing[_where(text, start)] += 1
                continue
            if line:
                at_line += _lines(text[counted:start])
                counted = start
            found = CardNumber(at_line, brand, masked(digits), digits, certain)
            self._keep(found, None if certain else _where(text, start))

    def _keep(self, found: CardNumber, where: tuple[str, str] | None) -> None:
        """Remember one; without a field (`where`) it is certain."""
        if where is None:
            self._certain_count += 1
            if len(self._certain) < FOUND_MAX:
                self._certain.append(found)
        else:
            self._passing[where] += 1
            if len(self._bare) < FOUND_MAX:
                self._bare.append((where, found))

    def result(self) -> CardNumbers:
        """What remains when fields of references are left out."""
        cards = {
            where
            for where, passing in self._passing.items()
            if self._failing[where] < _FAILING_RATIO * passing
        }
        bare = [found for where, found in self._bare if where in cards]
        found = sorted((*self._certain, *bare), key=lambda f: f.line)[:FOUND_MAX]
        count = self._certain_count + sum(self._passing[where] for where in cards)
        return CardNumbers(tuple(found), count, doubtful=bool(self._failing))


def _candidates(text: str) -> Iterator[re.Match[str]]:
    """What may be a number: `_CANDIDATE.finditer`, at six times its speed."""
    at = 0
    while (start := _START.search(text, at)) is not None:
        match = _CANDIDATE.match(text, start.start())
        at = start.start() + 1
        if match is not None:
            at = match.end()
            yield match


def _named(text: str, start: int) -> bool:
    """Whether a word for cards stands shortly before."""
    before = text[max(0, start - _CONTEXT) : start]
    lower = before.lower()
    return any(hint in lower for hint in _HINTS) and _NAMED.search(before) is not None


def _in_word(text: str, start: int, end: int) -> bool:
    """Whether letters touch it."""
    return text[start - 1 : start].isalpha() or text[end : end + 1].isalpha()


def _where(text: str, start: int) -> tuple[str, str]:
    """Which field a number stands in: its tag or key, else its column; and the word before it."""
    low = max(0, start - _LINE_MAX)
    begin = max(text.rfind("\n", low, start), text.rfind("\r", low, start), low - 1) + 1
    before = text[begin:start]
    tag = _TAG.search(before[-120:])
    if tag is not None:
        return tag[1] or tag[2], ""
    word = _WORD.search(before[-24:])
    cells = len(re.findall(r"[,;\t|]", before))
    return f"column {cells}", word[1].lower() if word else ""
