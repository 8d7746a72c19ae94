"""Breaks, for people: listed in pages, shown with their history, and counted by age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pardna.matching.acts import act_to_plain, position
from pardna.matching.breaks import age_bucket
from pardna.matching.current_rules import RulesOf
from pardna.matching.desk import Desk
from pardna.matching.model import Break, BreakClass, Pair
from pardna.matching.ports import BreakBook
from pardna.matching.rules import BusinessDays
from pardna.runtime.clock import Clock
from pardna.runtime.errors import InvalidInput, NotFound
from pardna.runtime.paging import decode_cursor, encode_cursor, page_size

STATUSES = ("open", "resolved")
#: Breaks that are looked through for one page; a rarer kind takes more pages, some of them short.
SCANNED_MAX = 2_000
#: Open breaks that an ageing counts; more are said, never silently left out.
COUNTED_MAX = 100_000
HISTORY_MAX = 500
_FILTERS = ("class", "severity", "pair", "currency", "owner", "overdue", "needs_approval")


@dataclass(frozen=True, slots=True)
class BreakPages:
    """Lists, shows and counts breaks."""

    breaks: BreakBook
    desk: Desk
    rules_of: RulesOf
    clock: Clock

    def page(self, tenant_id: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The breaks of a status, earliest deadline first (resolved: by day), that pass the filters
        ``class, severity, pair, currency, owner, overdue, needs_approval``. Raises InvalidInput."""
        status, limit = query.get("status") or "open", page_size(query)
        if status not in STATUSES:
            raise InvalidInput("breaks.status", "status: open or resolved")
        wanted = _filters(query)
        place = decode_cursor(query.get("cursor", ""), str)
        after, today = position(place[0] if place else ""), self.clock().date().isoformat()
        shown: list[dict[str, Any]] = []
        scanned, following = 0, ""
        for at, one in self.breaks.after(tenant_id, status, after):
            if len(shown) == limit or scanned == SCANNED_MAX:
                following = after
                break
            scanned, after = scanned + 1, at
            plain = break_body(one, today)
            if all(plain[name] == value for name, value in wanted.items()):
                shown.append(plain)
        return {"breaks": shown, "next": encode_cursor(following) if following else ""}

    def show(self, tenant_id: str, break_id: str) -> dict[str, Any]:
        """A break with all that was done about it, oldest first. Raises NotFound."""
        found = self.desk.breaks(tenant_id, [break_id])
        if not found:
            raise NotFound("break.not_found", "there is no such break here")
        acts, more = self.desk.history(tenant_id, f"break:{break_id}", "", HISTORY_MAX)
        plain = break_body(found[0], self.clock().date().isoformat())
        return plain | {"history": [act_to_plain(a) for a in acts], "history_continues": bool(more)}

    def ageing(self, tenant_id: str) -> dict[str, Any]:
        """Open breaks by age (business days), severity, class and currency: counts and amounts."""
        today = self.clock().date()
        calendar = BusinessDays(self.rules_of(tenant_id).closed_days)
        counts: Counter[tuple[str, ...]] = Counter()
        amounts: Counter[tuple[str, ...]] = Counter()
        overdue, counted, complete = 0, 0, True
        for _, one in self.breaks.after(tenant_id, "open", ""):
            if counted == COUNTED_MAX:
                complete = False
                break
            counted += 1
            age = age_bucket(one.opened_on, today, calendar)
            key = (age, one.severity, one.class_.value, one.currency)
            counts[key] += 1
            amounts[key] += one.amount_minor
            overdue += one.due_at < today.isoformat()
        names = ("age_days", "severity", "class", "currency")
        return {
            "as_of": today.isoformat(),
            "breaks_count": counted,
            "overdue_count": overdue,
            "complete": complete,
            "buckets": [
                dict(zip(names, key, strict=True)) | {"count": counts[key], "amount_minor": amounts[key]}
                for key in sorted(counts, key=lambda k: (int(k[0].rstrip("+").split("-")[0]), k))
            ],
        }  # fmt: skip


def break_body(one: Break, today: str) -> dict[str, Any]:
    """A break as the API shows it."""
    plain = {"break_id": one.break_id, "class": one.class_.value, **asdict(one)}
    del plain["class_"]
    plain["pair"] = one.pair.value
    plain["overdue"] = one.status == "open" and one.due_at < today
    return plain


def _filters(query: Mapping[str, str]) -> dict[str, Any]:
    wanted: dict[str, Any] = {n: v for n in _FILTERS if (v := query.get(n, ""))}
    known = {"class": {c.value for c in BreakClass}, "pair": {p.value for p in Pair}}
    for name, values in known.items():
        if name in wanted and wanted[name] not in values:
            raise InvalidInput("breaks.filter", f"{name}: one of {', '.join(sorted(values))}")
    for name in ("overdue", "needs_approval"):
        if name in wanted:
            if wanted[name] not in ("true", "false"):
                raise InvalidInput("breaks.filter", f"{name}: true or false")
            wanted[name] = wanted[name] == "true"
    return wanted
