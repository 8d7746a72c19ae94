"""Which columns or keys a file has, to name a new or a vanished one. Pure.

CSV: its line of headings. JSON: the keys of its first two levels, of the kind of document that it
says it is. What a customer names (metadata) is no schema. Other formats have fixed ones.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from pardna.formats.encoding import decode
from pardna.formats.profile import Profile
from pardna.formats.recognise import text_kind
from pardna.ingestion.quality_history import COLUMNS_MAX
from pardna.runtime.errors import PardnaError

_HEAD_BYTES = 64 * 1024
_JSON_MAX = 1024 * 1024
_FREE = frozenset({"metadata", "additionalData", "notes", "custom_fields", "links", "_links"})
#: Formats whose files are CSV with headings in the first line.
_REPORTS = frozenset({"stripe.payout_report", "adyen.settlement", "checkout.settlement"})


def columns_of(file: BinaryIO, profile: Profile | None) -> tuple[str, list[str]]:
    """(kind of schema, columns); both empty where there is none. The file stands at its start after."""
    file.seek(0)
    head = file.read(_JSON_MAX + 1)
    file.seek(0)
    try:
        if profile is not None:
            names = _headings(head[:_HEAD_BYTES], profile) if profile.headings else []
            return (f"csv:{profile.name}", names) if names else ("", [])
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
            return _of_json(head)
        text = decode(head[: _HEAD_BYTES // 4 * 4])
        if (kind := text_kind(text)) in _REPORTS:
            line = text.lstrip().split("\n", 1)[0]
            delimiter = max(",;\t", key=line.count)
            return f"csv:{kind}", _clean(next(csv.reader([line.rstrip("\r")], delimiter=delimiter)))
    except (PardnaError, csv.Error, ValueError, RecursionError):
        pass  # whatever is wrong with the file, its reader says
    return "", []


def _headings(head: bytes, profile: Profile) -> list[str]:
    """The first line that has every heading that the profile reads."""
    if profile.kind != "csv":
        return []
    text = decode(head[: len(head) // 4 * 4] if len(head) == _HEAD_BYTES else head)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[profile.skip_lines :]
    wanted = {c for c in profile.columns() if isinstance(c, str)}
    quote = profile.quote or None
    for cells in csv.reader(lines, delimiter=profile.delimiter, quotechar=quote):
        names = _clean(cells)
        if wanted and wanted <= set(names):
            return names
    return []


def _clean(cells: list[str]) -> list[str]:
    return [name for c in cells[:COLUMNS_MAX] if (name := c.strip().strip("\ufeff")[:100])]


def _of_json(head: bytes) -> tuple[str, list[str]]:
    if len(head) > _JSON_MAX:
        return "", []
    document = json.loads(decode(head))
    first = document[0] if isinstance(document, list) and document else document
    if not isinstance(first, Mapping):
        return "", []
    marks = (first.get(name) for name in ("object", "type", "event_type", "eventCode", "entity"))
    kind = "/".join(mark for mark in marks if isinstance(mark, str))[:100]
    return f"json:{kind}", sorted(set(_keys(first, "", 2)))[:COLUMNS_MAX]


def _keys(value: Any, prefix: str, depth: int) -> Iterator[str]:
    if isinstance(value, list):
        for one in value[:50]:
            yield from _keys(one, prefix, depth)
    elif isinstance(value, Mapping) and depth:
        for key, inner in value.items():
            name = f"{prefix}{key}"[:100]
            yield name
            if key not in _FREE:
                yield from _keys(inner, f"{name}.", depth - 1)
