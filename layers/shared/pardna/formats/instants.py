"""Moments as senders write them, in UTC. The calendar ends: a zone may lead out of it."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


def in_utc(moment: datetime, zone: tzinfo = UTC) -> datetime:
    """The moment in UTC; one that names no zone is in `zone`.

    Raises ValueError for one that is in year 0 or 10000 there (``0001-01-01T00:00:00+14:00``).
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the moment is outside of the calendar") from None


def from_iso(text: str) -> datetime:
    """The moment that ISO 8601 text names, in UTC; raises ValueError for anything else."""
    return in_utc(datetime.fromisoformat(text.strip()))
