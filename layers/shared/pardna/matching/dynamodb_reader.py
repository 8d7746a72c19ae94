"""Matches and legs, as they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pardna.matching.dynamodb_table import (
    MatchTable,
    update_if,
)
from pardna.matching.items import (
    Item,
    leg_of,
    match_listing_shard,
    stored_match,
)
from pardna.matching.model import Leg, Pair, Status
from pardna.matching.ports import StoredMatch
from pardna.runtime import keys
from pardna.runtime.clock import iso


class MatchReading:
    """`ports.MatchReader`, and what else is read of matches and legs."""

    def __init__(self, table: MatchTable) -> None:
        self._table = table

    def holders(self, tenant_id: str, pair: Pair, ids: Sequence[str]) -> dict[str, str]:
        """Which match holds each of the legs that one holds, in this pair or another."""
        found: dict[str, str] = {}
        for start in range(0, len(ids), 100):
            some = self._legs(tenant_id, [(pair, one) for one in ids[start : start + 100]])
            found |= {i.transaction_id or "": i.match_id for i in some if i.match_id}
        return found

    def legs(self, tenant_id: str, pair: Pair, ids: Sequence[str]) -> list[Leg]:
        """Legs of a pair by their transactions, free or not; those that do not exist are left out."""
        found: list[Leg] = []
        for start in range(0, len(ids), 100):
            some = [(pair, one) for one in ids[start : start + 100]]
            found += [leg_of(item) for item in self._legs(tenant_id, some)]
        return found

    def _legs(self, tenant_id: str, ids: Sequence[tuple[Pair, str]]) -> Iterator[Item]:
        wanted = {keys.leg(tenant_id, pair.value, identifier) for pair, identifier in ids}
        return self._table.item.batch_get(sorted(wanted), consistent_read=True)

    def get(self, tenant_id: str, match_id: str) -> StoredMatch | None:
        """See `MatchReader`."""
        items = list(
            self._table.item.query(keys.match(tenant_id, match_id)[0], consistent_read=True)
        )
        head = next((i for i in items if i.kind == "match"), None)
        if head is None:
            return None
        return stored_match(head, [i for i in items if i.kind == "match_member"])

    def of_status(
        self, tenant_id: str, status: Status, since: datetime | None = None
    ) -> Iterator[str]:
        """See `MatchReader`."""
        item = self._table.item
        after: Any = item.list_sk >= iso(since) if since else None
        for shard in range(keys.WRITE_SHARDS):
            partition = match_listing_shard(tenant_id, status, shard)
            for found in item.listing.query(partition, range_key_condition=after):
                yield found.match_id or ""

    def page(
        self, tenant_id: str, status: Status, after: tuple[int, str], limit: int
    ) -> tuple[list[StoredMatch], tuple[int, str] | None]:
        """See `match_pages.MatchLists`. Write shard by write shard, each by time."""
        item, found = self._table.item, list[StoredMatch]()
        first, position = after
        for shard in range(first, keys.WRITE_SHARDS):
            later: Any = item.list_sk > position if position else None
            partition = match_listing_shard(tenant_id, status, shard)
            for one in item.listing.query(partition, later, limit=limit + 1 - len(found)):
                if len(found) == limit:
                    return found, (shard, position)
                found.append(stored_match(one, []))
                position = one.list_sk or ""
            if len(found) == limit and shard + 1 < keys.WRITE_SHARDS:
                return found, (shard + 1, "")
            position = ""
        return found, None

    def proposed(self, tenant_id: str) -> Iterator[StoredMatch]:
        """See `ports.Proposals`."""
        for match_id in self.of_status(tenant_id, Status.PROPOSED):
            stored = self.get(tenant_id, match_id)
            if stored is not None and stored.status is Status.PROPOSED:
                yield stored

    def withdraw(self, tenant_id: str, match_id: str) -> bool:
        """See `ports.Proposals`."""
        item = self._table.item
        values = {"status": Status.ABANDONED.value, "list_pk": None, "list_sk": None}
        return update_if(
            item(*keys.match(tenant_id, match_id)),
            self._table.set_of(values),
            item.status == Status.PROPOSED.value,
        )

    def of_transaction(self, tenant_id: str, pair: Pair, transaction_id: str) -> str:
        """See `MatchReader`."""
        leg = self._table.get(keys.leg(tenant_id, pair.value, transaction_id))
        if leg is None or not leg.match_id or leg.status == "elsewhere":
            return ""
        head = self._table.get(keys.match(tenant_id, leg.match_id))
        committed = head is not None and head.status == Status.COMMITTED.value
        return leg.match_id if committed else ""
