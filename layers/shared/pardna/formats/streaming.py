"""Any file as a stream of what it says: bulk formats of any size, others within their limits.

A format whose module has ``stream`` is read from the file as it goes; others (JSON, and what is
never large) are read whole, up to `WHOLE_MAX`, and then handed out in the same order.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import BinaryIO, cast

from pardna.formats import registry
from pardna.formats.encoding import decode, lines
from pardna.formats.items import Item
from pardna.formats.model import Origin, Parsed
from pardna.formats.profile import Profile
from pardna.runtime.errors import TooLarge, UnreadableFile

#: Families whose module has ``stream(file, origin)``.
STREAMED = frozenset(
    {
        "camt",
        "mt940",
        "bai2",
        "nacha",
        "adyen.settlement",
        "paypal.settlement",
        "stripe.payout_report",
        "checkout.settlement",
    }
)
#: As much as a function of 2 GB holds as objects.
WHOLE_MAX = 64 * 1024 * 1024
_HEAD_BYTES = 64 * 1024


def open_stream(
    file: BinaryIO, origin: Origin, profile: Profile | None = None, expected: str = ""
) -> tuple[str, Iterator[Item]]:
    """The name of a seekable file's format, and its items; nothing is read twice but the encoding.

    With a profile the file is read by it and not asked what it is; `expected`, where a source names
    its format, must be what is found. Raises UnreadableFile as the
    readers do, here or while iterating, and TooLarge for a document that cannot be streamed.
    """
    if profile is not None:
        name = registry.PROFILE_READERS[profile.kind]
        module = importlib.import_module(f"pardna.formats.{name}")
        return f"{profile.kind}:{profile.name}", module.stream(file, origin, profile)
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    whole = _is_json(head)
    data = head + file.read(WHOLE_MAX + 1 - len(head)) if whole else head
    if len(data) > WHOLE_MAX:
        raise TooLarge("format.too_large", f"such a document has at most {WHOLE_MAX} bytes")
    family = registry.detect(data)
    if expected and family != expected:
        raise UnreadableFile("format.unexpected", f"{family} came where {expected} is expected")
    module = importlib.import_module(f"pardna.formats.{registry.READERS[family]}")
    if family in STREAMED:
        file.seek(0)
        return _name(family, module, head), module.stream(file, origin)
    if not whole:
        data += file.read(WHOLE_MAX + 1 - len(data))
        if len(data) > WHOLE_MAX:
            raise TooLarge("format.too_large", f"such a file has at most {WHOLE_MAX} bytes")
    parsed = cast(Parsed, module.read(data, origin))
    return parsed.format, items_of(parsed)


def items_of(parsed: Parsed) -> Iterator[Item]:
    """What was read whole, in the order of a stream."""
    for statement in parsed.statements:
        yield from statement.transactions
        yield from statement.problems
        yield replace(statement, transactions=(), problems=())
    yield from parsed.transactions
    yield from parsed.statuses
    yield from parsed.problems


def _is_json(head: bytes) -> bool:
    """JSON is known by what the whole document says."""
    return head.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n").startswith((b"{", b"["))


def _name(family: str, module: ModuleType, head: bytes) -> str:
    """What to call a format before it was read, by what its beginning names."""
    if family not in ("camt", "mt940"):
        return str(getattr(module, "FORMAT", family))
    text = "\n".join(lines(decode(head[: len(head) // 4 * 4])))
    if family == "camt":
        found = re.search(r"camt\.05[234]\.\d{3}\.\d{2}", text)
        return found.group() if found else str(module.message_of(text))
    interim = re.search(r"^:(?:34F|13D|90[CD]):", text, re.MULTILINE)
    booked = re.search(r"^:6[02][FM]?:", text, re.MULTILINE)
    return "MT942" if interim and not booked else "MT940"
