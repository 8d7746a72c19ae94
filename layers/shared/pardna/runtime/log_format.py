"""Log lines of failures that nobody expected: where it happened and what kind, never whose data.

What cannot be read or stored is quoted by whoever refused it: PostgreSQL tells the failing row, a
parser the text. That belongs to a tenant's customers, and logs are read by others.
"""

from __future__ import annotations

import traceback
from typing import Any

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

_BEFORE = "\nThis led to the next:\n\n"


class DiscreetFormatter(LambdaPowertoolsFormatter):
    """Powertools' format, with tracebacks whose messages carry no data."""

    def __init__(self) -> None:
        super().__init__(utc=True, serialize_stacktrace=False)

    def formatException(self, ei: Any) -> str:  # noqa: N802  (logging's own name)
        """The traceback of an exception and of those that led to it."""
        error: BaseException | None = ei[1]
        told: list[str] = []
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            frames = "".join(traceback.format_tb(error.__traceback__))
            told.append(f"Traceback (most recent call last):\n{frames}{described(error)}\n")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return _BEFORE.join(reversed(told)).rstrip()


def described(error: BaseException) -> str:
    """An exception's kind, and as much of its message as cannot quote anybody's data."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate or kind.startswith("psycopg"):
        known = getattr(error, "diag", None)
        named = [getattr(known, name, None) for name in ("table_name", "constraint_name")]
        return " ".join([f"{kind}: SQLSTATE {sqlstate}", *(name for name in named if name)])
    if isinstance(error, ValueError):
        return kind  # parsers' errors repeat what they could not read
    return f"{kind}: {error}"
