"""Pages of a list: an opaque cursor that says where the last one ended, and a bounded size."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping

from pardna.runtime.errors import InvalidInput

PAGE_DEFAULT, PAGE_MAX = 100, 500
_CURSOR_MAX = 2_000


def encode_cursor(*parts: str | int) -> str:
    """The place after which the next page begins, as text for a URL. It is no secret and no proof:
    whoever reads it back asks its store within the caller's own tenant only."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_cursor(text: str, *types: type[str] | type[int]) -> tuple[str | int, ...] | None:
    """The parts of a cursor, None for an empty one; raises InvalidInput for any but our own."""
    if not text:
        return None
    try:
        if len(text) > _CURSOR_MAX:
            raise ValueError("too long")
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(parts, list) or [type(part) for part in parts] != list(types):
            raise ValueError("not ours")
        # No store takes a NUL, nor half a surrogate pair, which is a ValueError here.
        if any(isinstance(part, str) and b"\0" in part.encode() for part in parts):
            raise ValueError("not storable")
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidInput(
            "request.cursor", "cursor is not one that we gave; ask again without it"
        ) from None
    return tuple(parts)


def page_size(query: Mapping[str, str]) -> int:
    """``limit`` of a query (1 to 500, default 100); raises InvalidInput for another."""
    text = query.get("limit") or str(PAGE_DEFAULT)
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= PAGE_MAX):
        raise InvalidInput("request.limit", f"limit is a number from 1 to {PAGE_MAX}")
    return int(text)
