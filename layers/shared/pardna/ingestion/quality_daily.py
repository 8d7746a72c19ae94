"""Use case of the daily quality report: collect, save, and tell whoever has to look.

Numbered write boundaries, each of which may be the last thing that a process does:
1. the report is saved (the same report writes nothing)
2. the alert is announced in the outbox, once a tenant and day; it leaves by the schedule or here
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Protocol

from pardna.ingestion.large import Outbox
from pardna.ingestion.model import SourceProfile
from pardna.ingestion.ports import Drain, Sources, Tenants
from pardna.ingestion.quality_report import (
    QualityReport,
    SourceDay,
    alert_text,
    report_key,
)
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import InvalidInput, PardnaError
from pardna.runtime.events import ALERT_RAISED, Envelope
from pardna.runtime.observability import count, logger

_PAGE = 100


class QualityFacts(Protocol):
    """What the database knows of a tenant's day."""

    def of_day(self, tenant_id: str, day: date) -> list[SourceDay]:
        """Sources that delivered in the last four weeks, or have rows in quarantine. Unavailable."""
        ...


class ReportShelf(Protocol):
    """Where reports are kept."""

    def put(self, key: str, body: bytes, content_type: str) -> bool:
        """Save a report; False, and nothing is written, for the same again. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class ReportQuality:
    """The use case."""

    facts: QualityFacts
    sources: Sources
    shelf: ReportShelf
    outbox: Outbox
    relay: Drain
    tenants: Tenants
    clock: Clock

    def report(self, correlation_id: str, tenant_id: str = "", day: str = "") -> int:
        """Write the reports of a day (yesterday's, UTC) for one tenant or all; how many need a person.

        One tenant's trouble does not stop the others; the last is raised.
        """
        about = _day(day) if day else (self.clock() - timedelta(days=1)).date()
        needing, trouble = 0, None
        for tenant in [tenant_id] if tenant_id else self.tenants.tenant_ids():
            try:
                needing += bool(self._one(tenant, about, correlation_id))
            except PardnaError as error:
                logger.info("Quality not reported", tenant_id=tenant, error_code=error.code)
                count("QualityReportFailed")
                trouble = error
        if trouble is not None:
            raise trouble
        return needing

    def _one(self, tenant_id: str, day: date, correlation_id: str) -> list[str]:
        report = QualityReport(tenant_id, day, tuple(self._days(tenant_id, day)))
        self.shelf.put(report_key(tenant_id, day, "json"), report.to_json(), "application/json")
        html = "text/html; charset=utf-8"
        self.shelf.put(report_key(tenant_id, day, "html"), report.to_html(), html)  # boundary 1
        lines = report.needs_a_person()
        if silent := sum(s.is_silent(day) for s in report.sources):
            count("SourceSilent", silent)
        if lines:
            count("QualityNeedsAPerson")
            self.outbox.announce(
                tenant_id, [self._alert(report, lines, correlation_id)]
            )  # boundary 2
            self.relay.drain(tenant_id)
        logger.info(
            "Quality reported",
            tenant_id=tenant_id,
            sources_count=len(report.sources),
            lines_count=len(lines),
        )
        return lines

    def _days(self, tenant_id: str, day: date) -> Iterable[SourceDay]:
        """What is known of each source that is registered, and of those that no longer are."""
        known = {s.source_id: s for s in self.facts.of_day(tenant_id, day)}
        for profile in self._profiles(tenant_id):
            found = known.pop(profile.source_id, SourceDay(profile.source_id))
            yield _switched(found, profile)
        yield from (known[name] for name in sorted(known))

    def _profiles(self, tenant_id: str) -> Iterable[SourceProfile]:
        after = ""
        while page := self.sources.of_tenant(tenant_id, after, _PAGE):
            yield from page
            after = page[-1].source_id

    def _alert(self, report: QualityReport, lines: list[str], correlation_id: str) -> Envelope:
        return Envelope(
            event_type=ALERT_RAISED,
            tenant_id=report.tenant_id,
            subject=f"quality:{report.day}",
            key=report.tenant_id,
            occurred_at=iso(self.clock()),
            correlation_id=correlation_id,
            data={
                "subject": f"Pardna: data of {report.tenant_id} needs a person"[:100],
                "message": alert_text(report, lines),
            },
        )


def _switched(found: SourceDay, profile: SourceProfile) -> SourceDay:
    return replace(found, enabled=profile.enabled)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("quality.day", "a day is written as 2026-01-31") from None
