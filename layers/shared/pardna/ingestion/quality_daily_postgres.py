"""What PostgreSQL knows of a tenant's day."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pardna.database.session import Database
from pardna.ingestion.quality_report import HISTORY_DAYS, SourceDay

_PRINCIPAL = "system:quality"
# Constants of this module; every value is a parameter.
_TODAY = "tenant_id = %(tenant)s AND received_at >= %(first)s AND received_at < %(end)s"
_DELIVERIES = (
    "SELECT source_id, status, count(*), coalesce(sum(entries_count), 0)"  # noqa: S608
    f" FROM platform.deliveries WHERE {_TODAY} GROUP BY source_id, status"
)
_PROBLEMS = (
    "SELECT source_id, p ->> 'code', count(*) FROM platform.deliveries,"  # noqa: S608
    f" jsonb_array_elements(problems) AS p WHERE {_TODAY} GROUP BY source_id, p ->> 'code'"
)
_STATEMENTS = (
    "SELECT d.source_id, count(*), count(*) FILTER (WHERE NOT s.ties AND s.opening_minor IS NOT NULL"  # noqa: S608
    " AND s.closing_minor IS NOT NULL)"
    " FROM (SELECT DISTINCT source_id, raw_sha256 FROM platform.deliveries"
    f"  WHERE {_TODAY} AND status <> 'duplicate') AS d"
    " JOIN platform.statements AS s ON s.tenant_id = %(tenant)s AND s.raw_sha256 = d.raw_sha256"
    " GROUP BY d.source_id"
)
_OPEN = (
    "SELECT source_id, count(*) FROM platform.quarantine"
    " WHERE tenant_id = %(tenant)s AND status IN ('open', 'proposed') GROUP BY source_id"
)
_DAYS = (
    "SELECT DISTINCT source_id, (received_at AT TIME ZONE 'UTC')::date FROM platform.deliveries"
    " WHERE tenant_id = %(tenant)s AND received_at >= %(history)s AND received_at < %(end)s"
)


class PostgresQualityFacts:
    """`QualityFacts` on the schema ``platform``; days are days in UTC."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_day(self, tenant_id: str, day: date) -> list[SourceDay]:
        """See `QualityFacts`."""
        first = datetime.combine(day, time(), UTC)
        values = {
            "tenant": tenant_id,
            "first": first,
            "end": first + timedelta(days=1),
            "history": first - timedelta(days=HISTORY_DAYS),
        }
        found: dict[str, dict[str, Any]] = defaultdict(
            lambda: {"deliveries": {}, "problems": {}, "days": set(), "rows": 0}
        )
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            for source, status, times, rows in connection.execute(_DELIVERIES, values):
                found[source]["deliveries"][status] = times
                found[source]["rows"] += int(rows)
            for source, code, times in connection.execute(_PROBLEMS, values):
                found[source]["problems"][code or "unknown"] = times
            for source, times, untied in connection.execute(_STATEMENTS, values):
                found[source] |= {"statements": times, "untied": untied}
            for source, times in connection.execute(_OPEN, values):
                found[source]["open"] = times
            for source, on in connection.execute(_DAYS, values):
                found[source]["days"].add(on)
        return [
            SourceDay(
                source_id=source,
                deliveries=one["deliveries"],
                rows_count=one["rows"],
                problems=one["problems"],
                statements_count=one.get("statements", 0),
                statements_untied_count=one.get("untied", 0),
                quarantine_open_count=one.get("open", 0),
                days_with_deliveries=frozenset(one["days"]),
            )
            for source, one in sorted(found.items())
        ]
