"""Runs and shards in the match table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from pardna.matching.acts import Act
from pardna.matching.dynamodb_table import Lost, MatchTable, put_if
from pardna.matching.items import Item
from pardna.runtime import keys
from pardna.runtime.errors import NotFound, Unavailable

_ATTEMPTS = 8


class DynamoRunBook:
    """`ports.RunBook`: headers and shards as JSON bodies."""

    def __init__(self, table: MatchTable) -> None:
        self._table = table

    def begin(self, tenant_id: str, run_id: str, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `RunBook`."""
        item = self._table.item
        made = self._header(tenant_id, run_id, header)
        if put_if(made, item.pk.does_not_exist()):
            return header
        return self.get(tenant_id, run_id) or header

    def get(self, tenant_id: str, run_id: str) -> Mapping[str, Any] | None:
        """See `RunBook`."""
        item = self._table.get(keys.run(tenant_id, run_id))
        return None if item is None else _plain(item)

    def change(
        self,
        tenant_id: str,
        run_id: str,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        told: Act | None = None,
    ) -> Mapping[str, Any]:
        """See `RunBook`. People stop runs while their states write: each write sees the last one."""
        item = self._table.item
        for _ in range(_ATTEMPTS):
            seen = self._table.get(keys.run(tenant_id, run_id))
            if seen is None:
                raise NotFound("reconciliation.no_run", "there is no such run")
            header = _plain(seen)
            new = {**header, **change(header)}
            if new == header:
                return header
            made, unchanged = self._header(tenant_id, run_id, new), item.body == seen.body
            if self._put_told(made, unchanged, told) if told else put_if(made, unchanged):
                return new
        raise Unavailable("matching.contended", "the run is busy; try again")

    def _put_told(self, made: Item, unchanged: Condition, told: Act) -> bool:
        """The header together with the act that changed it."""

        def fill(writing: TransactWrite) -> None:
            writing.save(made, unchanged)
            self._table.save_act(writing, told, listed=True)

        try:
            self._table.transact(fill)
        except Lost:
            return False
        return True

    def tell(self, told: Act) -> None:
        """See `RunBook`."""
        self._table.transact(lambda writing: self._table.save_act(writing, told, listed=True))

    def name(self, tenant_id: str, execution: str, run_id: str) -> None:
        """See `RunBook`."""
        key = keys.run_name(tenant_id, execution)
        self._table.item(*key, tenant_id=tenant_id, kind="run_name", run_id=run_id).save()

    def named(self, tenant_id: str, execution: str) -> str:
        """See `RunBook`."""
        item = self._table.get(keys.run_name(tenant_id, execution))
        return (item.run_id or "") if item else ""

    def put_shard(self, tenant_id: str, run_id: str, shard: int, values: Mapping[str, Any]) -> None:
        """See `RunBook`."""
        key = keys.run_shard(tenant_id, run_id, shard)
        seen = self._table.get(key)
        body = {**(_plain(seen) if seen else {}), "shard": shard, **values}
        self._table.item(
            *key, tenant_id=tenant_id, kind="run_shard", run_id=run_id, body=_text(body)
        ).save()

    def shard(self, tenant_id: str, run_id: str, shard: int) -> Mapping[str, Any] | None:
        """See `RunBook`."""
        item = self._table.get(keys.run_shard(tenant_id, run_id, shard))
        return None if item is None else _plain(item)

    def shards(self, tenant_id: str, run_id: str) -> list[Mapping[str, Any]]:
        """See `RunBook`."""
        partition = keys.run(tenant_id, run_id)[0]
        items = self._table.item.query(partition, consistent_read=True)
        return [_plain(item) for item in items if item.kind == "run_shard"]

    def latest(self, tenant_id: str) -> str:
        """The run of the latest day; "" when there is none."""
        partition = keys.listing(tenant_id, "run", "any")
        found = self._table.item.listing.query(partition, scan_index_forward=False, limit=1)
        return next((item.run_id or "" for item in found), "")

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


def _text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, ensure_ascii=False)


def _plain(item: Item) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(item.body or "{}")
    return body
