"""Breaks, runs and shards in the match table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pynamodb.exceptions import PutError

from pardna.matching.breaks import updated
from pardna.matching.dynamodb_table import MatchTable
from pardna.matching.items import Item, break_attributes, break_of
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
        listing = self._table.item.listing
        for item in listing.query(keys.listing(tenant_id, "break", status)):
            yield break_of(item)

    def resolve(self, tenant_id: str, break_id: str, resolution: str, at: str) -> bool:
        """See `BreakBook`. `at` is written beside the resolution, in the owner's words' place."""

        def resolved(old: Break | None) -> Break | None:
            if old is None or old.status != "open":
                return None
            return replace(old, status="resolved", resolution=resolution, due_at=at)

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
            if _put(item(*key, **break_attributes(new)), condition):
                return True
        raise Unavailable("matching.contended", "the break is busy; try again")


class DynamoRunBook:
    """`ports.RunBook`: headers and shards as JSON bodies."""

    def __init__(self, table: MatchTable) -> None:
        self._table = table

    def begin(self, tenant_id: str, run_id: str, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `RunBook`."""
        item = self._table.item
        made = self._header(tenant_id, run_id, header)
        if _put(made, item.pk.does_not_exist()):
            return header
        return self.get(tenant_id, run_id) or header

    def get(self, tenant_id: str, run_id: str) -> Mapping[str, Any] | None:
        """See `RunBook`."""
        item = self._table.get(keys.run(tenant_id, run_id))
        return None if item is None else _plain(item)

    def update(self, tenant_id: str, run_id: str, values: Mapping[str, Any]) -> None:
        """See `RunBook`. A run's states come one after the other, so nobody writes in between."""
        header = {**(self.get(tenant_id, run_id) or {}), **values}
        self._header(tenant_id, run_id, header).save()

    def put_shard(self, tenant_id: str, run_id: str, shard: int, values: Mapping[str, Any]) -> None:
        """See `RunBook`."""
        key = keys.run_shard(tenant_id, run_id, shard)
        seen = self._table.get(key)
        body = {**(_plain(seen) if seen else {}), "shard": shard, **values}
        self._table.item(
            *key, tenant_id=tenant_id, kind="run_shard", run_id=run_id, body=_text(body)
        ).save()

    def shards(self, tenant_id: str, run_id: str) -> list[Mapping[str, Any]]:
        """See `RunBook`."""
        partition = keys.run(tenant_id, run_id)[0]
        items = self._table.item.query(partition, consistent_read=True)
        return [_plain(item) for item in items if item.kind == "run_shard"]

    def _header(self, tenant_id: str, run_id: str, header: Mapping[str, Any]) -> Item:
        return self._table.item(
            *keys.run(tenant_id, run_id),
            tenant_id=tenant_id,
            kind="run",
            run_id=run_id,
            status=str(header.get("status", "")),
            body=_text(header),
            list_pk=keys.listing(tenant_id, "run", "any"),
            list_sk=f"{header.get('reference_date', '')}#{run_id}",
        )


def _put(item: Item, condition: Any) -> bool:
    """Put on a condition; False when it does not hold."""
    try:
        item.save(condition)
    except PutError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, ensure_ascii=False)


def _plain(item: Item) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(item.body or "{}")
    return body
