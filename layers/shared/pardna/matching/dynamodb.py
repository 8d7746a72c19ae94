"""Match state in DynamoDB: open legs, and commits that at most one match of a leg can win.

**How a commit wins.** Each leg's item carries `match_id` once it is taken. A few legs (`dynamodb_groups.GROUP_MAX`)
are taken in one transaction with the header and the members, each on the condition that nobody has
taken the leg and that its version is the one the engine saw. A leg that is exclusive in another
pair is taken there by the same transaction.

Larger groups: see `dynamodb_groups`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from pardna.matching.acts import Deed
from pardna.matching.dynamodb_groups import Also, Hand
from pardna.matching.dynamodb_table import (
    ATTEMPTS,
    Lost,
    leg_key,
    opened,
    reference_key,
)
from pardna.matching.dynamodb_unmatch import Unmatches
from pardna.matching.items import (
    Item,
    header_attributes,
    leg_attributes,
    leg_of,
    match_listing,
)
from pardna.matching.model import Leg, Match, Pair, Status, identities
from pardna.matching.ports import Committed, LegState
from pardna.runtime import keys
from pardna.runtime.errors import Unavailable
from pardna.transactions.model import Reference

#: More legs than this behind one strong reference: it is nobody's identity.
CANDIDATES_MAX = 10


class DynamoMatchState(Unmatches):
    """`ports.MatchState` and `ports.MatchReader` on the match table."""

    # ---------------------------------------------------------------- legs

    def record(self, legs: Sequence[Leg]) -> dict[Pair, LegState]:
        """See `MatchState`. One call for what is new; two more when a leg was matched before."""
        try:
            self._table.transact(lambda w: self._upsert(w, legs, {}))
        except Lost:
            return self._record_again(legs)
        return {leg.pair: LegState.OPEN for leg in legs}

    def _record_again(self, legs: Sequence[Leg]) -> dict[Pair, LegState]:
        """Some leg is not new or is taken: look at each, then write what is left to write."""
        for _ in range(ATTEMPTS):
            stored = {leg.pair: self._table.get(leg_key(leg)) for leg in legs}
            states = {leg.pair: self._state(leg, stored[leg.pair]) for leg in legs}
            reopened = False
            for leg in legs:
                item = stored[leg.pair]
                if item is not None and _changed_under_match(leg, item):
                    reopened |= self.unmatch(
                        leg.tenant_id, item.match_id or "", "a new version changed the amount"
                    )
            if reopened:
                states = self._record_again(legs)
                return {
                    p: LegState.REOPENED if s is LegState.OPEN else s for p, s in states.items()
                }
            due = [
                leg
                for leg in legs
                if (found := stored[leg.pair]) is None or int(found.version or 0) < leg.version
            ]
            if not due:
                return states
            try:
                self._table.transact(lambda w, due=due, seen=stored: self._upsert(w, due, seen))  # type: ignore[misc]
            except Lost:
                continue
            return states
        raise Unavailable("matching.contended", "the leg is busy; try again")

    @staticmethod
    def _state(leg: Leg, stored: Item | None) -> LegState:
        if stored is not None and stored.match_id:
            return LegState.MATCHED
        stale = stored is not None and int(stored.version or 0) > leg.version
        return LegState.STALE if stale else LegState.OPEN

    def _upsert(
        self, writing: TransactWrite, legs: Sequence[Leg], stored: dict[Pair, Item | None]
    ) -> None:
        """Legs and their references; a leg that is taken keeps its match and stays closed."""
        table, item = self._table, self._table.item
        for leg in legs:
            values = leg_attributes(leg)
            seen = stored.get(leg.pair)
            taken = next((i for p in leg.exclusive if (i := stored.get(p)) and i.match_id), None)
            if seen is None and taken is not None:
                held: dict[str, Any] = {"kind": "leg", "status": "elsewhere"}
                held["match_id"] = taken.match_id
                writing.save(item(*leg_key(leg), **(values | held)), item.pk.does_not_exist())
                continue
            if seen is not None and seen.match_id:
                writing.update(
                    item(*leg_key(leg)),
                    actions=table.set_of(values),
                    condition=(item.version < leg.version) & (item.match_id == seen.match_id),
                )
                continue
            writing.update(
                item(*leg_key(leg)),
                actions=table.set_of(values | {"kind": "leg", "status": "open"} | opened(leg)),
                condition=item.pk.does_not_exist()
                | ((item.version < leg.version) & item.match_id.does_not_exist()),
            )
            for reference in identities(leg):
                writing.save(item(*reference_key(leg, reference), kind="reference", **values))

    def candidates(self, leg: Leg, reference: Reference) -> list[Leg]:
        """See `MatchState`."""
        found = self._table.item.query(
            reference_key(leg, reference)[0], consistent_read=True, limit=CANDIDATES_MAX + 1
        )
        return [leg_of(item) for item in found]

    def versions(
        self, tenant_id: str, ids: Sequence[tuple[Pair, str]]
    ) -> dict[tuple[Pair, str], int]:
        """See `ports.Projection`."""
        return {
            (Pair(i.pair or ""), i.transaction_id or ""): int(i.version or 0)
            for i in self._legs(tenant_id, ids)
        }

    def taken(self, tenant_id: str, ids: Sequence[tuple[Pair, str]]) -> set[tuple[Pair, str]]:
        """See `ports.Projection`."""
        return {
            (Pair(i.pair or ""), i.transaction_id or "")
            for i in self._legs(tenant_id, ids)
            if i.match_id
        }

    def open_legs(self, tenant_id: str, pair: Pair, currency: str) -> Iterator[Leg]:
        """See `MatchState`. Read from the index, partition by partition of the write shards."""
        return self._open(tenant_id, pair, currency, range(keys.WRITE_SHARDS))

    def _open(
        self, tenant_id: str, pair: Pair, currency: str, shards: Iterable[int]
    ) -> Iterator[Leg]:
        given_up: dict[str, bool] = {}
        for shard in shards:
            partition = keys.open_leg_shard(tenant_id, pair.value, currency, shard)
            for item in self._table.item.open.query(partition):
                if item.match_id:
                    if item.match_id not in given_up:
                        given_up[item.match_id] = self._groups.settle(tenant_id, item.match_id)
                    if not given_up[item.match_id]:
                        continue
                yield leg_of(item)

    # ---------------------------------------------------------------- commits

    def commit(
        self,
        match: Match,
        deed: Deed | None = None,
        also: Also | None = None,
        *,
        confirms: bool = False,
    ) -> Committed:
        """See `MatchState`. With a `deed` a person commits: it is written along, and lifts an
        earlier refusal of the same legs; who `confirms` does so only while it is a proposal. `also`
        is written in the same transaction."""
        hand = Hand(deed is not None, confirms)

        def more(writing: TransactWrite) -> None:
            self._tell(writing, match, deed)
            if also is not None:
                also(writing)

        outcome = self._commit(match, more, hand)
        if outcome is Committed.LOST and self._finish_unmatching(match):
            outcome = self._commit(match, more, hand)
        return outcome

    def _commit(self, match: Match, also: Also, hand: Hand) -> Committed:
        if match.status is Status.COMMITTED and len(match.members) > self._groups.chunk_legs:
            return self._groups.commit(match, also, hand)
        try:
            self._table.transact(lambda w: self._commit_small(w, match, also, hand))
        except Lost:
            head = self._table.get(keys.match(match.tenant_id, match.match_id))
            if head is not None and head.status == match.status.value:
                return Committed.BEFORE
            refused = head is not None and head.refused_by and not hand.by_person
            return Committed.REFUSED if refused else Committed.LOST
        return Committed.NOW

    def _commit_small(self, writing: TransactWrite, match: Match, also: Also, hand: Hand) -> None:
        item, identifier = self._table.item, match.match_id
        takes = match.status is Status.COMMITTED
        for leg in match.members:
            if takes:
                self._table.take(writing, leg, identifier, "matched")
            self._table.save_member(writing, match, leg)
        values = header_attributes(match, 1, self._clock())
        del values["version"]
        values["status"] = match.status.value
        values["list_pk"] = match_listing(match.tenant_id, match.status, identifier)
        settled = [Status.ABANDONED.value]
        if takes:
            settled += [Status.UNMATCHED.value, Status.PROPOSED.value, Status.REJECTED.value]
        free: Condition = item.status.is_in(*settled)
        if hand.confirms:
            free = item.status == Status.PROPOSED.value
        elif hand.by_person:
            values["refused_by"] = None
        else:
            free &= item.refused_by.does_not_exist()
        number = (item.version | 0) + 1 if takes else (item.version | 0) + 0
        writing.update(
            item(*keys.match(match.tenant_id, identifier)),
            actions=[*self._table.set_of(values), item.version.set(number)],
            condition=free if hand.confirms else item.pk.does_not_exist() | free,
        )
        also(writing)

    def _tell(self, writing: TransactWrite, match: Match, deed: Deed | None) -> None:
        """The act that a commit is: a person's deed, or the machine's own."""
        if deed is not None:
            self._table.save_deed(writing, deed)
            refused = keys.refused(match.tenant_id, match.pair.value, match.match_id)
            gone = {"tenant_id": match.tenant_id, "kind": "refusal", "status": "lifted"}
            writing.update(self._table.item(*refused), actions=self._table.set_of(gone))
            return
        verb = "matched" if match.status is Status.COMMITTED else match.status.value
        self._table.save_act(
            writing,
            self._own_act(match.tenant_id, match.match_id, verb, match.run_id),
            listed=False,
        )

    def _finish_unmatching(self, match: Match) -> bool:
        """Whether a leg was held by a match whose taker-back died half-way, and is free now."""
        holders = {
            i.match_id
            for i in self._legs(match.tenant_id, [(match.pair, m.transaction_id) for m in match.members[:100]])
            if i.match_id and i.match_id != match.match_id
        }  # fmt: skip
        found = False
        for holder in sorted(holders):
            found |= self.finish_unmatching(match.tenant_id, holder)
        return found


def _changed_under_match(leg: Leg, stored: Item) -> bool:
    if (
        not stored.match_id
        or stored.status == "elsewhere"
        or int(stored.version or 0) >= leg.version
    ):
        return False
    before = None if stored.basis_minor is None else int(stored.basis_minor)
    return before is not None and before != leg.basis_minor
