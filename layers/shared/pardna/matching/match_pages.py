"""Matches and what was done about them, for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from pardna.matching.acts import act_to_plain, position
from pardna.matching.desk import Desk
from pardna.matching.model import Status
from pardna.matching.ports import StoredMatch
from pardna.runtime.clock import iso
from pardna.runtime.errors import InvalidInput, NotFound
from pardna.runtime.paging import decode_cursor, encode_cursor, page_size

SHOWN = (Status.COMMITTED, Status.PROPOSED, Status.UNMATCHED, Status.REJECTED)
#: Members that are shown; a settlement may have tens of thousands.
MEMBERS_MAX = 500
HISTORY_MAX = 500


class MatchLists(Protocol):
    """Matches of a status, in an order that stays."""

    def page(
        self, tenant_id: str, status: Status, after: tuple[int, str], limit: int
    ) -> tuple[list[StoredMatch], tuple[int, str] | None]:
        """Headers without members, and the place after which the next page begins."""
        ...


@dataclass(frozen=True, slots=True)
class MatchPages:
    """Lists and shows matches, and histories."""

    lists: MatchLists
    desk: Desk

    def page(self, tenant_id: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Matches of a status (default ``proposed``). Raises InvalidInput."""
        named = query.get("status") or Status.PROPOSED.value
        if named not in [s.value for s in SHOWN]:
            raise InvalidInput("matches.status", f"status: one of {', '.join(SHOWN)}")
        place = decode_cursor(query.get("cursor", ""), int, str)
        after = (int(place[0]), position(place[1])) if place else (0, "")
        found, more = self.lists.page(tenant_id, Status(named), after, page_size(query))
        return {
            "matches": [_header(one) for one in found],
            "next": encode_cursor(*more) if more else "",
        }

    def show(self, tenant_id: str, match_id: str) -> dict[str, Any]:
        """A match with members, explanation and history. Raises NotFound."""
        found = self.desk.match(tenant_id, match_id)
        if found is None or found.status not in SHOWN:
            raise NotFound("matching.no_match", "there is no such match here")
        members = [
            {k: v for k, v in asdict(m).items() if k != "occurred_at"}
            | {"occurred_at": m.occurred_at.isoformat()}
            for m in found.members[:MEMBERS_MAX]
        ]
        acts, more = self.desk.history(tenant_id, f"match:{match_id}", "", HISTORY_MAX)
        return _header(found) | {
            "explanation": dict(found.explanation),
            "members_count": len(found.members),
            "members": members,
            "history": [act_to_plain(a) for a in acts],
            "history_continues": bool(more),
        }

    def history(self, tenant_id: str, query: Mapping[str, str]) -> dict[str, Any]:
        """What people did: of a ``subject`` (``break:b_…``), or of everybody in a ``month``."""
        subject = query.get("subject", "") or query.get("month", "")
        if not (subject.isprintable() and 1 <= len(subject) <= 200):
            raise InvalidInput("history.subject", "name a subject (match:m_…, break:b_…, decision:d_…, run:r_…, alias:a_…, rules) or a month (2026-03)")  # fmt: skip
        place = decode_cursor(query.get("cursor", ""), str)
        acts, more = self.desk.history(
            tenant_id, subject, position(place[0] if place else ""), page_size(query)
        )
        shown: dict[str, Any] = {"acts": [act_to_plain(a) for a in acts]}
        if subject.startswith("decision:"):
            found = self.desk.decision(tenant_id, subject.removeprefix("decision:"))
            shown["decision"] = asdict(found) if found else None
        return shown | {"next": encode_cursor(more) if more else ""}


def _header(one: StoredMatch) -> dict[str, Any]:
    return {
        "match_id": one.match_id,
        "version": one.version,
        "status": one.status.value,
        "pair": one.pair.value,
        "currency": one.currency,
        "level": one.level,
        "rule_id": one.rule_id,
        "rule_version": one.rule_version,
        "confidence_bp": one.confidence_bp,
        "variance_minor": one.variance_minor,
        "variance_kind": one.variance_kind,
        "sentence": str(one.explanation.get("sentence", "")),
        "run_id": one.run_id,
        "decided_at": iso(one.decided_at),
    }
