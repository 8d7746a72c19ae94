"""Large groups in the match table: claimed in chunks, committed by one write.

A group that does not fit into one transaction is written as a header ``claiming`` with a token;
chunks take legs under the match id, each chunk on the condition that the header still has this
token; then one conditional write flips the header to ``committed``: that is the commit. Readers
resolve through the header, so they see all or nothing. A writer that died leaves a ``claiming``
header: whoever next reads open legs gives it up (new status, so the dead writer's token no longer
opens anything) and frees its legs, or, if the flip had happened, finishes the tidying.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from pardna.matching.dynamodb_table import Lost, MatchTable, opened, places, update, update_if
from pardna.matching.items import Item, header_attributes, leg_of, match_listing
from pardna.matching.model import Leg, Match, Status
from pardna.matching.ports import Committed
from pardna.runtime import keys
from pardna.runtime.clock import Clock, Ids, iso

#: Legs that are committed in one transaction: each may cost three items (itself, its exclusive
#: pair, its member), and header, refusal, break, answer and acts up to seven more; DynamoDB takes 100.
GROUP_MAX = 31
#: What is written in the same transaction as a commit or an unmatch.
Also = Callable[[TransactWrite], None]


@dataclass(frozen=True, slots=True)
class Hand:
    """Whose hand commits: a machine's, or a person's, perhaps one who `confirms` a proposal."""

    by_person: bool = False
    confirms: bool = False


class GroupCommits:
    """Commits of more legs than a transaction takes, and what is left of those that died."""

    def __init__(
        self, table: MatchTable, clock: Clock, ids: Ids, chunk_legs: int = GROUP_MAX
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self.chunk_legs = chunk_legs

    def new_id(self) -> str:
        """An id that nothing else has."""
        return self._ids()

    def commit(self, match: Match, also: Also, hand: Hand) -> Committed:
        """Take in chunks under the match id, then flip the header; see the module's first lines.

        `also` is written with the flip. What a person refused is committed by a person only.
        """
        identifier, token = match.match_id, self._ids()
        head = self._table.get(keys.match(match.tenant_id, identifier))
        if head is not None and head.status == Status.COMMITTED.value:
            return Committed.BEFORE
        if head is not None and head.refused_by and not hand.by_person:
            return Committed.REFUSED
        if hand.confirms and (head is None or head.status != Status.PROPOSED.value):
            return Committed.LOST
        version = int(head.version or 0) if head else 0
        if head is None or head.status != Status.CLAIMING.value:
            version += 1
        try:
            self._write_head(match, version, token, head, hand)
            for start in range(0, len(match.members), self.chunk_legs):
                chunk = match.members[start : start + self.chunk_legs]
                self._table.transact(lambda w, c=chunk: self._take_chunk(w, match, c, token))  # type: ignore[misc]
            self._flip(match, token, also)
        except Lost:
            self.settle(match.tenant_id, identifier, token)
            return Committed.LOST
        self._tidy(match.members, identifier)
        return Committed.NOW

    def _write_head(
        self, match: Match, version: int, token: str, seen: Item | None, hand: Hand
    ) -> None:
        item = self._table.item
        values = header_attributes(match, version, self._clock())
        values |= {"status": Status.CLAIMING.value, "claim": token, "list_pk": None}
        values["list_sk"] = None
        condition: Condition = item.pk.does_not_exist()
        if seen is not None:
            condition = (item.status == seen.status) & (item.version == seen.version)
            if not hand.by_person:
                condition &= item.refused_by.does_not_exist()
        update(item(*keys.match(match.tenant_id, match.match_id)), self._table.set_of(values), condition)  # fmt: skip

    def _take_chunk(
        self, writing: TransactWrite, match: Match, legs: Sequence[Leg], token: str
    ) -> None:
        item = self._table.item
        writing.condition_check(
            item,
            *keys.match(match.tenant_id, match.match_id),
            condition=(item.claim == token) & (item.status == Status.CLAIMING.value),
        )
        for leg in legs:
            self._table.take(writing, leg, match.match_id, "claimed")
            self._table.save_member(writing, match, leg)

    def _flip(self, match: Match, token: str, also: Also) -> None:
        """The commit of a large group: one conditional write, and what goes with it."""
        item, at = self._table.item, iso(self._clock())
        values = {
            "status": Status.COMMITTED.value,
            "claim": None,
            "refused_by": None,
            "decided_at": at,
            "list_pk": match_listing(match.tenant_id, Status.COMMITTED, match.match_id),
            "list_sk": f"{at}#{match.match_id}",
        }
        condition = (item.claim == token) & (item.status == Status.CLAIMING.value)

        def fill(writing: TransactWrite) -> None:
            head = item(*keys.match(match.tenant_id, match.match_id))
            writing.update(head, actions=self._table.set_of(values), condition=condition)
            also(writing)

        self._table.transact(fill)

    def _tidy(self, legs: Sequence[Leg], identifier: str) -> None:
        """After the flip: close the legs in the index. Repeatable, nothing depends on it."""
        item = self._table.item
        for leg in legs:
            for pair, status in places(leg, "matched"):
                values = {"status": status, "open_pk": None, "open_sk": None}
                key = keys.leg(leg.tenant_id, pair.value, leg.transaction_id)
                update_if(item(*key), self._table.set_of(values), item.match_id == identifier)

    def settle(self, tenant_id: str, identifier: str, token: str = "") -> bool:
        """A leg is taken by a match that is not tidied: finish it, or give it up and free its legs.

        True when the legs are free now. With a `token`, gives up only what that token began.
        """
        item = self._table.item
        head = self._table.get(keys.match(tenant_id, identifier))
        members = self.members(tenant_id, identifier)
        if head is not None and head.status == Status.COMMITTED.value:
            self._tidy(members, identifier)
            return False
        if head is not None and head.status == Status.CLAIMING.value:
            condition = (item.claim == (token or head.claim)) & (
                item.status == Status.CLAIMING.value
            )
            values = {"status": Status.ABANDONED.value, "claim": None}
            if not update_if(
                item(*keys.match(tenant_id, identifier)), self._table.set_of(values), condition
            ):
                return False
        self.free(members, identifier)
        return True

    def members(self, tenant_id: str, identifier: str) -> list[Leg]:
        """The legs that a match's member items name, as their own items stand."""
        partition = keys.match(tenant_id, identifier)[0]
        wanted = [
            keys.leg(tenant_id, item.pair or "", item.transaction_id or "")
            for item in self._table.item.query(partition, consistent_read=True)
            if item.kind == "match_member"
        ]
        return [leg_of(i) for i in self._table.item.batch_get(wanted, consistent_read=True)]

    def free_in(self, writing: TransactWrite, legs: Sequence[Leg], identifier: str) -> None:
        """Open the legs of a small match in the transaction that takes it back."""
        item = self._table.item
        for leg in legs:
            for pair, _ in places(leg, "open"):
                key = keys.leg(leg.tenant_id, pair.value, leg.transaction_id)
                values = {"status": "open", "match_id": None, **opened(leg, pair)}
                writing.update(
                    item(*key),
                    actions=self._table.set_of(values),
                    condition=item.match_id == identifier,
                )

    def free(self, legs: Sequence[Leg], identifier: str) -> None:
        """Open legs that a match holds, in every pair; one that somebody else holds stays his."""
        item = self._table.item
        for leg in legs:
            for pair, _ in places(leg, "open"):
                key = keys.leg(leg.tenant_id, pair.value, leg.transaction_id)
                values = {"status": "open", "match_id": None, **opened(leg, pair)}
                update_if(item(*key), self._table.set_of(values), item.match_id == identifier)
