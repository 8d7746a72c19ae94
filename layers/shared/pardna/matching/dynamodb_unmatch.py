"""Taking matches back, rejecting proposals, and what a person's no leaves behind."""

from __future__ import annotations

from pynamodb.transactions import TransactWrite

from pardna.matching.acts import Act, Deed
from pardna.matching.dynamodb_groups import Also, GroupCommits
from pardna.matching.dynamodb_reader import MatchReading
from pardna.matching.dynamodb_table import (
    Lost,
    MatchTable,
    update_if,
)
from pardna.matching.items import (
    match_listing,
)
from pardna.matching.model import Pair, Status
from pardna.runtime import keys
from pardna.runtime.clock import Clock, iso

#: Who did what no person did.
MACHINE = "system:matching"


class Unmatches(MatchReading):
    """The writes that end a match, each with its act."""

    def __init__(self, table: MatchTable, groups: GroupCommits, clock: Clock) -> None:
        super().__init__(table)
        self._groups = groups
        self._clock = clock

    def unmatch(
        self,
        tenant_id: str,
        match_id: str,
        reason: str,
        deed: Deed | None = None,
        also: Also | None = None,
        *,
        refuse: bool = True,
    ) -> bool:
        """See `MatchState`. With a `deed` a person unmatches; if they `refuse` the match, no machine
        makes it again.

        A small match is taken back in one transaction. Of a large one the header's write takes it
        back; opening its legs is repeatable, and whoever needs one of them does the rest.
        """
        item, key = self._table.item, keys.match(tenant_id, match_id)
        head = self._table.get(key)
        if head is None or head.status not in (Status.COMMITTED.value, Status.UNMATCHED.value):
            return False
        if head.status == Status.UNMATCHED.value:
            return self.finish_unmatching(tenant_id, match_id)
        members = self._groups.members(tenant_id, match_id)
        small = len(members) <= self._groups.chunk_legs

        def fill(writing: TransactWrite) -> None:
            at = iso(self._clock())
            values = {
                "status": Status.UNMATCHED.value,
                "claim": None if small else "freeing",
                "decided_at": at,
                "body": reason,
                "list_pk": match_listing(tenant_id, Status.UNMATCHED, match_id),
                "list_sk": f"{at}#{match_id}",
            }
            if deed is not None and refuse:
                values["refused_by"] = deed.asked.principal
            condition = (item.status == Status.COMMITTED.value) & (item.version == head.version)
            writing.update(item(*key), actions=self._table.set_of(values), condition=condition)
            if small:
                self._groups.free_in(writing, members, match_id)
            if deed is None:
                act = self._own_act(tenant_id, match_id, "unmatched", reason)
                self._table.save_act(writing, act, listed=False)
            elif refuse:
                self._refuse(writing, tenant_id, head.pair or "", match_id, deed)
            else:
                self._table.save_deed(writing, deed)
            if also is not None:
                also(writing)

        try:
            self._table.transact(fill)
        except Lost:
            return False
        return small or self._free_rest(tenant_id, match_id)

    def _refuse(
        self, writing: TransactWrite, tenant_id: str, pair: str, match_id: str, deed: Deed
    ) -> None:
        self._table.save_deed(writing, deed)
        key = keys.refused(tenant_id, pair, match_id)
        values = {"tenant_id": tenant_id, "kind": "refusal", "status": "stands"}
        values |= {"match_id": match_id, "refused_by": deed.asked.principal}
        writing.update(self._table.item(*key), actions=self._table.set_of(values))

    def finish_unmatching(self, tenant_id: str, match_id: str) -> bool:
        """Open the legs of a large match whose taker-back died half-way; False when none did."""
        head = self._table.get(keys.match(tenant_id, match_id))
        if head is None or (head.status, head.claim) != (Status.UNMATCHED.value, "freeing"):
            return False
        return self._free_rest(tenant_id, match_id)

    def _free_rest(self, tenant_id: str, match_id: str) -> bool:
        """Open the legs of a match that was taken back, and say that this is done."""
        item = self._table.item
        self._groups.free(self._groups.members(tenant_id, match_id), match_id)
        head = item(*keys.match(tenant_id, match_id))
        update_if(head, [item.claim.remove()], item.status == Status.UNMATCHED.value)
        return True

    def reject(self, tenant_id: str, match_id: str, deed: Deed) -> bool:
        """A person says that a proposal is none; False when it is no proposal (any more)."""
        item, key = self._table.item, keys.match(tenant_id, match_id)
        head = self._table.get(key)
        if head is None:
            return False

        def fill(writing: TransactWrite) -> None:
            at = iso(self._clock())
            values = {
                "status": Status.REJECTED.value,
                "refused_by": deed.asked.principal,
                "decided_at": at,
                "list_pk": match_listing(tenant_id, Status.REJECTED, match_id),
                "list_sk": f"{at}#{match_id}",
            }
            condition = item.status == Status.PROPOSED.value
            writing.update(item(*key), actions=self._table.set_of(values), condition=condition)
            self._refuse(writing, tenant_id, head.pair or "", match_id, deed)

        try:
            self._table.transact(fill)
        except Lost:
            return False
        return True

    def refused(self, tenant_id: str, pair: Pair) -> frozenset[str]:
        """See `ports.Refusals`."""
        partition = keys.refused(tenant_id, pair.value, "")[0]
        found = self._table.item.query(partition, consistent_read=True)
        return frozenset(i.match_id or "" for i in found if i.status == "stands")

    def _own_act(self, tenant_id: str, match_id: str, verb: str, reason: str) -> Act:
        at, subject = iso(self._clock()), f"match:{match_id}"
        return Act(tenant_id, subject, verb, MACHINE, at, reason, act_id=self._groups.new_id())
