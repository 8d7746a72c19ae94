"""JSON that nobody can trust: no floats, no huge numbers, no depth without end."""

from __future__ import annotations

import json
from typing import Any

from pardna.runtime.errors import UnreadableFile


def loads(data: bytes) -> Any:
    """Parse JSON bytes. Fractions stay text, so that no float can become an amount.

    Raises UnreadableFile for what is not JSON (NaN and Infinity are not), not UTF-8, or too deep.
    """
    try:
        return json.loads(data, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "not JSON"
        raise UnreadableFile("json.malformed", f"this is {reason}") from None


def _refuse(text: str) -> Any:
    raise ValueError(text)
