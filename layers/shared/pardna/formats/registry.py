"""Which format bytes are in, by what they contain, and the reader for it.

Names of files are never asked. A reader is imported when its format is met: an XML library for
XML, none for JSON.
"""

from __future__ import annotations

import importlib
from typing import cast

from pardna.formats import json_text
from pardna.formats.encoding import decode, lines
from pardna.formats.model import Origin, Parsed
from pardna.formats.recognise import is_archive, json_kind, text_kind, xml_kind
from pardna.runtime.errors import UnreadableFile

#: Format family -> module of this package that reads it.
READERS = {
    "camt": "camt053",
    "pain.002": "pain002",
    "mt940": "mt940",
    "bai2": "bai2",
    "ofx": "ofx",
    "nacha": "nacha",
    "stripe.event": "stripe_event",
    "stripe.object": "stripe_object",
    "stripe.balance": "stripe_balance",
    "stripe.payout_report": "stripe_payout_report",
    "adyen.webhook": "adyen",
    "adyen.settlement": "adyen_settlement",
    "paypal.webhook": "paypal",
    "paypal.settlement": "paypal_settlement",
    "gocardless": "gocardless",
    "mollie": "mollie",
    "square": "square",
    "razorpay": "razorpay",
    "worldpay": "worldpay",
    "braintree": "braintree",
    "checkout.webhook": "checkout",
    "checkout.settlement": "checkout_settlement",
}
#: Kind of profile -> module that reads files by it.
PROFILE_READERS = {"csv": "csv_profile", "fixed_width": "fixed_width"}
_HEAD_BYTES = 64 * 1024


def detect(data: bytes) -> str:
    """The family (a key of `READERS`) of these bytes; raises UnreadableFile when it is none."""
    if not data.strip():
        raise UnreadableFile("format.empty", "the file is empty")
    if is_archive(data[:4]):
        raise UnreadableFile("format.archive", "an archive, of which each file is to be read")
    head = "\n".join(lines(decode(_whole_characters(data[:_HEAD_BYTES])).lstrip()))
    if not head:
        raise UnreadableFile("format.empty", "the file is empty")
    kind, unknown = _kind(head, data)
    if kind not in READERS:
        raise UnreadableFile(f"format.{unknown}", _UNKNOWN[unknown])
    return kind


_UNKNOWN = {
    "unknown": "no format that we read",
    "unknown_xml": "XML that holds no report that we read",
    "unknown_json": "JSON of a kind that we do not read",
    "needs_profile": "CSV of a kind that we do not know: it is read by a profile",
}


def _kind(head: str, data: bytes) -> tuple[str, str]:
    """The family, and what to call the file when there is none."""
    if head.startswith("<"):
        return xml_kind(head), "unknown_xml"
    kind = text_kind(head)
    if not kind and head.startswith("{"):
        return json_kind(json_text.loads(data)), "unknown_json"
    lines = head.split("\n", maxsplit=2)
    cells = max(lines[0].count(delimiter) for delimiter in ",;\t|")
    return kind, "needs_profile" if cells and len(lines) > 1 else "unknown"


def parse(data: bytes, origin: Origin, expected: str = "") -> Parsed:
    """Detect and read. `expected`, where a source names its format, must be what is found.

    Raises UnreadableFile (``format.unexpected`` when a source sends something else than it does).
    """
    found = detect(data)
    if expected and found != expected:
        raise UnreadableFile("format.unexpected", f"{found} came where {expected} is expected")
    module = importlib.import_module(f"pardna.formats.{READERS[found]}")
    return cast(Parsed, module.read(data, origin))


def parse_by_profile(data: bytes, origin: Origin, layout: str) -> Parsed:
    """Read CSV or fixed width as its sender's profile (JSON, see `pardna.formats.profile`) says.

    Raises UnreadableFile, and InvalidInput ``profile.invalid`` for a profile that is none.
    """
    from pardna.formats.profile import read_profile  # pydantic, which no other reader needs

    profile = read_profile(layout)
    module = importlib.import_module(f"pardna.formats.{PROFILE_READERS[profile.kind]}")
    return cast(Parsed, module.read(data, origin, profile))


def _whole_characters(head: bytes) -> bytes:
    """A cut must not split a character: drop what may be half of one."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in head[:8]:
        return head[: len(head) // 4 * 4]
    for back in range(1, min(4, len(head)) + 1):
        if head[-back] & 0xC0 == 0xC0:
            return head[:-back]
        if head[-back] < 0x80:
            break
    return head
