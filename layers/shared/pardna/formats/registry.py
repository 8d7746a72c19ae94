"""Which format bytes are in, by what they contain, and the reader for it.

Names of files are never asked. A reader is imported when its format is met: an XML library for
XML, none for JSON.
"""

from __future__ import annotations

import importlib
import re
from typing import cast

from pardna.formats import json_text
from pardna.formats.encoding import decode
from pardna.formats.model import Origin, Parsed
from pardna.runtime.errors import UnreadableFile

#: Format family -> module of this package that reads it.
READERS = {
    "camt": "camt053",
    "pain.002": "pain002",
    "mt940": "mt940",
    "stripe.event": "stripe_event",
    "stripe.balance": "stripe_balance",
    "stripe.payout_report": "stripe_payout_report",
}
_HEAD_BYTES = 64 * 1024
_ACCOUNT_REPORT = re.compile(
    r"<(?:[\w.-]+:)?BkToCstmr(?:Stmt|AcctRpt|DbtCdtNtfctn)(?:V\d\d)?[\s/>]"
)
_STATUS_REPORT = re.compile(r"<(?:[\w.-]+:)?CstmrPmtStsRpt[\s/>]")
_SWIFT = re.compile(r"(?:^|[\r\n{]|4:)\s*:(?:20|25|60F|61):")
_OBJECTS = {"event": "stripe.event", "pardna.stripe_listing": "stripe.balance"}


def detect(data: bytes) -> str:
    """The family (a key of `READERS`) of these bytes; raises UnreadableFile when it is none."""
    if not data.strip():
        raise UnreadableFile("format.empty", "the file is empty")
    head = decode(_whole_characters(data[:_HEAD_BYTES])).lstrip()
    if head.startswith("<"):
        if _ACCOUNT_REPORT.search(head):
            return "camt"
        if _STATUS_REPORT.search(head):
            return "pain.002"
        raise UnreadableFile("format.unknown_xml", "XML that holds no report that we read")
    if head.startswith(("{1:", "{2:", "{4:")) or _SWIFT.search(head[:4096]):
        return "mt940"
    if head.startswith("{"):
        # Only the document's own "object" counts: a customer's metadata may say anything.
        document = json_text.loads(data)
        kind = _OBJECTS.get(str(document.get("object"))) if isinstance(document, dict) else None
        if kind is None:
            raise UnreadableFile("format.unknown_json", "JSON of a kind that we do not read")
        return kind
    if _SWIFT.search(head):
        return "mt940"
    first = head.split("\n", maxsplit=1)[0]
    if "automatic_payout_id" in first and "balance_transaction_id" in first:
        return "stripe.payout_report"
    raise UnreadableFile("format.unknown", "no format that we read")


def parse(data: bytes, origin: Origin, expected: str = "") -> Parsed:
    """Detect and read. `expected`, where a source names its format, must be what is found.

    Raises UnreadableFile (``format.unexpected`` when a source sends something else than it does).
    """
    found = detect(data)
    if expected and found != expected:
        raise UnreadableFile("format.unexpected", f"{found} came where {expected} is expected")
    module = importlib.import_module(f"pardna.formats.{READERS[found]}")
    return cast(Parsed, module.read(data, origin))


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
