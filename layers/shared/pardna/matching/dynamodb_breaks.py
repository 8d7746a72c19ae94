"""Breaks in the match table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from pardna.matching.breaks import updated
from pardna.matching.dynamodb_table import MatchTable, put_if
from pardna.matching.items import break_attributes, break_of
from pardna.matching.model import Break
from pardna.runtime import keys
from pardna.runtime.errors import Unavailable

_ATTEMPTS = 8


class DynamoBreakBook:
    """`ports.BreakBook`."""

    def __init__(self, table: MatchTable) -> None:
        self._table = table

    def put(self, break_: Break) -> bool:
        """See `BreakBook`. Merged by `breaks.updated`; repeated when somebody wrote in between."""
        return self._change(break_.tenant_id, break_.break_id, lambda old: updated(old, break_))

    def get(self, tenant_id: str, break_id: str) -> Break | None:
        """See `BreakBook`."""
        item = self._table.get(keys.break_(tenant_id, break_id))
        return None if item is None else break_of(item)

    def listed(self, tenant_id: str, status: str) -> Iterator[Break]:
        """See `BreakBook`."""
        for _, one in self.after(tenant_id, status, ""):
            yield one

    def after(self, tenant_id: str, status: str, position: str) -> Iterator[tuple[str, Break]]:
        """See `BreakBook`."""
        listing = self._table.item.listing
        later: Any = self._table.item.list_sk > position if position else None
        for item in listing.query(keys.listing(tenant_id, "break", status), later):
            yield item.list_sk or "", break_of(item)

    def resolve(self, tenant_id: str, break_id: str, resolution: str, at: str) -> bool:
        """See `BreakBook`."""

        def resolved(old: Break | None) -> Break | None:
            if old is None or old.status != "open":
                return None
            return replace(old, status="resolved", resolution=resolution, resolved_on=at)

        return self._change(tenant_id, break_id, resolved)

    def _change(
        self, tenant_id: str, break_id: str, change: Callable[[Break | None], Break | None]
    ) -> bool:
        """Read, change, write if nobody wrote in between; False when nothing is to be written."""
        item = self._table.item
        for _ in range(_ATTEMPTS):
            key = keys.break_(tenant_id, break_id)
            seen = self._table.get(key)
            new = change(None if seen is None else break_of(seen))
            if new is None:
                return False
            condition = item.pk.does_not_exist() if seen is None else item.body == seen.body
            if put_if(item(*key, **break_attributes(new)), condition):
                return True
        raise Unavailable("matching.contended", "the break is busy; try again")
