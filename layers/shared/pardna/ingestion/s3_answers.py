"""What the arrivals bucket answers, as errors that ingestion knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime.errors import NotFound, Unavailable

_MISSING = frozenset({"NoSuchKey", "404", "NotFound", "PreconditionFailed", "412"})


@contextmanager
def arrivals_answers(missing_code: str, missing: str) -> Iterator[None]:
    """Raises NotFound `missing_code` for what is not there, or is other bytes by now; Unavailable."""
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code", "") in _MISSING:
            raise NotFound(missing_code, missing) from None
        raise Unavailable("arrivals.unavailable", "the arrivals bucket refused") from error
    except (BotoCoreError, OSError) as error:
        raise Unavailable("arrivals.unavailable", "the arrivals bucket did not answer") from error
