"""Doubles at the edge of the quality gate."""

from __future__ import annotations

from datetime import date, datetime

from pardna.ingestion.model import RawKey
from pardna.ingestion.quality_history import Facts, Past
from pardna.runtime.errors import Unavailable


class MemoryHistory:
    """`SourceHistory`; held to the same contract tests as PostgreSQL's."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], Past] = {}
        self.sequences: dict[tuple[str, str], str] = {}
        self.fail_next = 0

    def past(self, tenant_id: str, source_id: str, raw_sha256: str, most: int) -> list[Past]:
        found = [
            past
            for (tenant, source, raw), past in self.known.items()
            if (tenant, source) == (tenant_id, source_id) and raw != raw_sha256
        ]
        return sorted(found, key=lambda p: p.received_at, reverse=True)[:most]

    def last_sequence(
        self, tenant_id: str, source: str, currency: str, day: date, raw_sha256: str
    ) -> str:
        return self.sequences.get((source, currency), "")

    def remember(
        self,
        tenant_id: str,
        source_id: str,
        raw_sha256: str,
        received_at: datetime,
        format_name: str,
        facts: Facts,
    ) -> None:
        if self.fail_next:
            self.fail_next -= 1
            raise Unavailable("database.unavailable", "told to fail")
        self.known.setdefault(
            (tenant_id, source_id, raw_sha256), Past(received_at, format_name, facts)
        )


class MemoryRestriction:
    """`RawRestriction`; fails while `fail_next` lasts."""

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.fail_next = 0

    def restrict(self, key: RawKey) -> None:
        if self.fail_next:
            self.fail_next -= 1
            raise Unavailable("raw.unavailable", "told to fail")
        self.closed.add(str(key.object))
