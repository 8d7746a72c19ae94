"""Match state for the shards of split pairs: parts of the open legs, and claims of legs in the lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pynamodb.transactions import TransactWrite

from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.dynamodb_table import MatchTable, leg_key, opened, reference_key
from pardna.matching.items import leg_attributes
from pardna.matching.model import Leg, Pair, identities
from pardna.runtime import keys


class ClaimingTable(MatchTable):
    """Takes a leg that has no item by writing it, taken.

    The claim of a leg from the lake is one conditional write: it holds when nobody has written the
    leg (then it is written now, closed), or when the leg is there, free, and of this version.
    """

    def take(self, writing: TransactWrite, leg: Leg, identifier: str, status: str) -> None:
        """See `MatchTable`."""
        item = self.item
        free = item.match_id.does_not_exist() | (item.match_id == identifier)
        new = item.pk.does_not_exist()
        for one, said in (
            (leg, status),
            *((_in(leg, pair), "elsewhere") for pair in leg.exclusive),
        ):
            values = leg_attributes(one) | {"kind": "leg", "status": said, "match_id": identifier}
            # What is only claimed stays in the index: that is where a dead writer's legs are found.
            closing = {"open_pk": None, "open_sk": None}
            values |= closing if status == "matched" else opened(one)
            writing.update(
                item(*leg_key(one)),
                actions=self.set_of(values),
                condition=new | (free & (item.version == leg.version)),
            )


class DynamoSplitState(DynamoMatchState):
    """`ports.SplitState`; made with a `ClaimingTable`."""

    def open_part(self, tenant_id: str, pair: Pair, currency: str, part: int) -> Iterator[Leg]:
        """See `SplitState`."""
        return self._open(tenant_id, pair, currency, [part])

    def open_count(self, tenant_id: str, pair: Pair, currency: str, enough: int) -> int:
        """See `SplitState`."""
        found = 0
        for part in range(keys.WRITE_SHARDS):
            partition = keys.open_leg_shard(tenant_id, pair.value, currency, part)
            found += self._table.item.open.count(partition)
            if found > enough:
                break
        return found

    def keep_references(self, legs: Sequence[Leg]) -> None:
        """See `SplitState`."""
        item = self._table.item
        with item.batch_write() as batch:
            for leg in legs:
                for reference in identities(leg):
                    batch.save(item(*reference_key(leg, reference), kind="reference", **leg_attributes(leg)))  # fmt: skip


def _in(leg: Leg, pair: Pair) -> Leg:
    """The same transaction as a leg of another of its pairs."""
    others = tuple(p for p in (leg.pair, *leg.exclusive) if p is not pair)
    return replace(leg, pair=pair, exclusive=others)
