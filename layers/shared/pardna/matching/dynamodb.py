"""Match state in DynamoDB: open legs, and commits that at most one match of a leg can win.

**How a commit wins.** Each leg's item carries `match_id` once it is taken. Up to `GROUP_MAX` legs
are taken in one transaction with the header and the members, each on the condition that nobody has
taken the leg and that its version is the one the engine saw. A leg that is exclusive in another
pair is taken there by the same transaction.

**Larger groups** cannot be one transaction. The header is written as ``claiming`` with a token;
chunks take legs under the match id, each chunk on the condition that the header still has this
token; then one conditional write flips the header to ``committed``: that is the commit. Readers
resolve through the header, so they see all or nothing. A writer that died leaves a ``claiming``
header: whoever next reads open legs gives it up (new status, so the dead writer's token no longer
opens anything) and frees its legs, or, if the flip had happened, finishes the tidying.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from pardna.matching.items import (
    Item,
    header_attributes,
    item_class,
    leg_attributes,
    leg_of,
    match_listing,
    match_listing_shard,
    member_attributes,
    stored_match,
)
from pardna.matching.model import Leg, Match, Pair, Status, identities
from pardna.matching.ports import Committed, LegState, StoredMatch
from pardna.runtime import keys
from pardna.runtime.clock import Clock, Ids, iso
from pardna.runtime.errors import Unavailable
from pardna.transactions.model import Reference

#: Legs that are committed in one transaction: each may cost three items (itself, its exclusive
#: pair, its member), and the header one more; DynamoDB takes 100.
GROUP_MAX = 32
#: More legs than this behind one strong reference: it is nobody's identity.
CANDIDATES_MAX = 10
_ATTEMPTS = 8


class Lost(Exception):
    """A condition did not hold: somebody else was first. Never leaves this module's classes."""


class MatchTable:
    """The table's models and the one way to write transactions on it."""

    def __init__(self, table: str, region: str) -> None:
        self.item = item_class(table, region)
        self._connection = Connection(region=region, max_retry_attempts=8)

    def transact(self, fill: Callable[[TransactWrite], None]) -> None:
        """Write a transaction; contention is tried again. Raises Lost, or Unavailable at the end."""
        for attempt in range(_ATTEMPTS):
            try:
                with TransactWrite(connection=self._connection) as writing:
                    fill(writing)
                return
            except TransactWriteError as error:
                codes = {r.code for r in error.cancellation_reasons if r is not None}
                if "ConditionalCheckFailed" in codes:
                    raise Lost from None
                if not codes and error.cause_response_code not in (
                    "TransactionInProgressException",
                    "TransactionCanceledException",
                ):
                    raise
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311  (spreads contention)
        raise Unavailable("matching.contended", "the match table is busy; try again")

    def get(self, key: tuple[str, str]) -> Item | None:
        """One item, consistently read, or None."""
        try:
            return self.item.get(*key, consistent_read=True)
        except DoesNotExist:
            return None

    def set_of(self, values: dict[str, Any]) -> list[Action]:
        """Update actions that make an item say `values`; None removes the attribute."""
        return [
            getattr(self.item, name).remove()
            if value is None
            else getattr(self.item, name).set(value)
            for name, value in values.items()
        ]


class DynamoMatchState:
    """`ports.MatchState` and `ports.MatchReader` on the match table."""

    def __init__(
        self, table: MatchTable, clock: Clock, ids: Ids, group_max: int = GROUP_MAX
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._group_max = group_max

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
        for _ in range(_ATTEMPTS):
            stored = {leg.pair: self._table.get(_leg_key(leg)) for leg in legs}
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
                writing.save(item(*_leg_key(leg), **(values | held)), item.pk.does_not_exist())
                continue
            if seen is not None and seen.match_id:
                writing.update(
                    item(*_leg_key(leg)),
                    actions=table.set_of(values),
                    condition=(item.version < leg.version) & (item.match_id == seen.match_id),
                )
                continue
            writing.update(
                item(*_leg_key(leg)),
                actions=table.set_of(values | {"kind": "leg", "status": "open"} | _opened(leg)),
                condition=item.pk.does_not_exist()
                | ((item.version < leg.version) & item.match_id.does_not_exist()),
            )
            for reference in identities(leg):
                writing.save(item(*_reference_key(leg, reference), kind="reference", **values))

    def candidates(self, leg: Leg, reference: Reference) -> list[Leg]:
        """See `MatchState`."""
        found = self._table.item.query(
            _reference_key(leg, reference)[0], consistent_read=True, limit=CANDIDATES_MAX + 1
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

    def _legs(self, tenant_id: str, ids: Sequence[tuple[Pair, str]]) -> Iterator[Item]:
        wanted = {keys.leg(tenant_id, pair.value, identifier) for pair, identifier in ids}
        return self._table.item.batch_get(sorted(wanted), consistent_read=True)

    def open_legs(self, tenant_id: str, pair: Pair, currency: str) -> Iterator[Leg]:
        """See `MatchState`. Read from the index, partition by partition of the write shards."""
        given_up: dict[str, bool] = {}
        for shard in range(keys.WRITE_SHARDS):
            partition = keys.open_leg_shard(tenant_id, pair.value, currency, shard)
            for item in self._table.item.open.query(partition):
                if item.match_id:
                    if item.match_id not in given_up:
                        given_up[item.match_id] = self._settle_claim(tenant_id, item.match_id)
                    if not given_up[item.match_id]:
                        continue
                yield leg_of(item)

    # ---------------------------------------------------------------- commits

    def commit(self, match: Match) -> Committed:
        """See `MatchState`."""
        if match.status is Status.COMMITTED and len(match.members) > self._group_max:
            return self._commit_group(match)
        try:
            self._table.transact(lambda writing: self._commit_small(writing, match))
        except Lost:
            head = self._table.get(keys.match(match.tenant_id, match.match_id))
            same = head is not None and head.status == match.status.value
            return Committed.BEFORE if same else Committed.LOST
        return Committed.NOW

    def _commit_small(self, writing: TransactWrite, match: Match) -> None:
        item, identifier = self._table.item, match.match_id
        takes = match.status is Status.COMMITTED
        for leg in match.members:
            if takes:
                self._take(writing, leg, identifier, "matched")
            self._save_member(writing, match, leg)
        values = header_attributes(match, 1, self._clock())
        del values["version"]
        values["status"] = match.status.value
        values["list_pk"] = match_listing(match.tenant_id, match.status, identifier)
        settled = [Status.UNMATCHED.value, Status.ABANDONED.value]
        if takes:
            settled.append(Status.PROPOSED.value)
        number = (item.version | 0) + 1 if takes else (item.version | 0) + 0
        writing.update(
            item(*keys.match(match.tenant_id, identifier)),
            actions=[*self._table.set_of(values), item.version.set(number)],
            condition=item.pk.does_not_exist()
            | item.status.is_in(*(settled if takes else settled[1:])),
        )

    def _take(self, writing: TransactWrite, leg: Leg, identifier: str, status: str) -> None:
        """Take a leg, and close it in the pairs where it must not be matched as well."""
        item = self._table.item
        free = item.match_id.does_not_exist() | (item.match_id == identifier)
        closing = {"open_pk": None, "open_sk": None} if status == "matched" else {}
        writing.update(
            item(*_leg_key(leg)),
            actions=self._table.set_of({"status": status, "match_id": identifier, **closing}),
            condition=free & (item.version == leg.version),
        )
        for other in leg.exclusive:
            writing.update(
                item(*keys.leg(leg.tenant_id, other.value, leg.transaction_id)),
                actions=self._table.set_of(
                    {"status": "elsewhere", "match_id": identifier, **closing}
                ),
                condition=free & item.pk.exists(),
            )

    def _save_member(self, writing: TransactWrite, match: Match, leg: Leg) -> None:
        key = keys.match_member(leg.tenant_id, match.match_id, leg.transaction_id)
        writing.save(self._table.item(*key, **member_attributes(match, leg)))

    def _commit_group(self, match: Match) -> Committed:
        """Take in chunks under the match id, then flip the header; see the module's first lines."""
        identifier, token = match.match_id, self._ids()
        head = self._table.get(keys.match(match.tenant_id, identifier))
        if head is not None and head.status == Status.COMMITTED.value:
            return Committed.BEFORE
        version = int(head.version or 0) if head else 0
        if head is None or head.status != Status.CLAIMING.value:
            version += 1
        try:
            self._write_head(match, version, token, head)
            for start in range(0, len(match.members), self._group_max):
                chunk = match.members[start : start + self._group_max]
                self._table.transact(lambda w, c=chunk: self._take_chunk(w, match, c, token))  # type: ignore[misc]
            self._flip(match, token)
        except Lost:
            self._settle_claim(match.tenant_id, identifier, token)
            return Committed.LOST
        self._tidy(match.members, identifier)
        return Committed.NOW

    def _write_head(self, match: Match, version: int, token: str, seen: Item | None) -> None:
        item = self._table.item
        values = header_attributes(match, version, self._clock())
        values |= {"status": Status.CLAIMING.value, "claim": token, "list_pk": None}
        values["list_sk"] = None
        condition: Condition = item.pk.does_not_exist()
        if seen is not None:
            condition = (item.status == seen.status) & (item.version == seen.version)
        _update(item(*keys.match(match.tenant_id, match.match_id)), self._table.set_of(values), condition)  # fmt: skip

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
            self._take(writing, leg, match.match_id, "claimed")
            self._save_member(writing, match, leg)

    def _flip(self, match: Match, token: str) -> None:
        """The commit of a large group: one conditional write."""
        item, at = self._table.item, iso(self._clock())
        values = {
            "status": Status.COMMITTED.value,
            "claim": None,
            "decided_at": at,
            "list_pk": match_listing(match.tenant_id, Status.COMMITTED, match.match_id),
            "list_sk": f"{at}#{match.match_id}",
        }
        condition = (item.claim == token) & (item.status == Status.CLAIMING.value)
        _update(item(*keys.match(match.tenant_id, match.match_id)), self._table.set_of(values), condition)  # fmt: skip

    def _tidy(self, legs: Sequence[Leg], identifier: str) -> None:
        """After the flip: close the legs in the index. Repeatable, nothing depends on it."""
        item = self._table.item
        for leg in legs:
            for pair, status in _places(leg, "matched"):
                values = {"status": status, "open_pk": None, "open_sk": None}
                key = keys.leg(leg.tenant_id, pair.value, leg.transaction_id)
                _update_if(item(*key), self._table.set_of(values), item.match_id == identifier)

    def _settle_claim(self, tenant_id: str, identifier: str, token: str = "") -> bool:
        """A leg is taken by a match that is not tidied: finish it, or give it up and free its legs.

        True when the legs are free now. With a `token`, gives up only what that token began.
        """
        item = self._table.item
        head = self._table.get(keys.match(tenant_id, identifier))
        members = self._members(tenant_id, identifier)
        if head is not None and head.status == Status.COMMITTED.value:
            self._tidy(members, identifier)
            return False
        if head is not None and head.status == Status.CLAIMING.value:
            condition = (item.claim == (token or head.claim)) & (
                item.status == Status.CLAIMING.value
            )
            values = {"status": Status.ABANDONED.value, "claim": None}
            if not _update_if(
                item(*keys.match(tenant_id, identifier)), self._table.set_of(values), condition
            ):
                return False
        self._free(members, identifier)
        return True

    def _members(self, tenant_id: str, identifier: str) -> list[Leg]:
        """The legs that a match's member items name, as their own items stand."""
        partition = keys.match(tenant_id, identifier)[0]
        wanted = [
            keys.leg(tenant_id, item.pair or "", item.transaction_id or "")
            for item in self._table.item.query(partition, consistent_read=True)
            if item.kind == "match_member"
        ]
        return [leg_of(i) for i in self._table.item.batch_get(wanted, consistent_read=True)]

    def _free(self, legs: Sequence[Leg], identifier: str) -> None:
        """Open legs that a match holds, in every pair; one that somebody else holds stays his."""
        item = self._table.item
        for leg in legs:
            for pair, _ in _places(leg, "open"):
                key = keys.leg(leg.tenant_id, pair.value, leg.transaction_id)
                values = {"status": "open", "match_id": None, **_opened(leg, pair)}
                _update_if(item(*key), self._table.set_of(values), item.match_id == identifier)

    def unmatch(self, tenant_id: str, match_id: str, reason: str) -> bool:
        """See `MatchState`. The header's write takes the match back; opening legs is repeatable."""
        item, key = self._table.item, keys.match(tenant_id, match_id)
        head = self._table.get(key)
        if head is None or head.status not in (Status.COMMITTED.value, Status.UNMATCHED.value):
            return False
        if head.status == Status.COMMITTED.value:
            at = iso(self._clock())
            values = {
                "status": Status.UNMATCHED.value,
                "claim": "freeing",
                "decided_at": at,
                "body": reason,
                "list_pk": match_listing(tenant_id, Status.UNMATCHED, match_id),
                "list_sk": f"{at}#{match_id}",
            }
            condition = (item.status == Status.COMMITTED.value) & (item.version == head.version)
            if not _update_if(item(*key), self._table.set_of(values), condition):
                return False
        elif head.claim != "freeing":
            return False
        self._free(self._members(tenant_id, match_id), match_id)
        _update_if(item(*key), [item.claim.remove()], item.status == Status.UNMATCHED.value)
        return True

    # ---------------------------------------------------------------- readers

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
        after: Any = item.listing.list_sk >= iso(since) if since else None
        for shard in range(keys.WRITE_SHARDS):
            partition = match_listing_shard(tenant_id, status, shard)
            for found in item.listing.query(partition, range_key_condition=after):
                yield found.match_id or ""

    def of_transaction(self, tenant_id: str, pair: Pair, transaction_id: str) -> str:
        """See `MatchReader`."""
        leg = self._table.get(keys.leg(tenant_id, pair.value, transaction_id))
        if leg is None or not leg.match_id or leg.status == "elsewhere":
            return ""
        head = self._table.get(keys.match(tenant_id, leg.match_id))
        committed = head is not None and head.status == Status.COMMITTED.value
        return leg.match_id if committed else ""


def _leg_key(leg: Leg) -> tuple[str, str]:
    return keys.leg(leg.tenant_id, leg.pair.value, leg.transaction_id)


def _reference_key(leg: Leg, reference: Reference) -> tuple[str, str]:
    return keys.reference(
        leg.tenant_id,
        leg.pair.value,
        leg.currency,
        reference.type,
        reference.value,
        leg.side.value,
        leg.transaction_id,
    )


def _opened(leg: Leg, pair: Pair | None = None) -> dict[str, Any]:
    """The index attributes of an open leg."""
    at = (pair or leg.pair).value
    return {
        "open_pk": keys.open_leg_index(leg.tenant_id, at, leg.currency, leg.transaction_id),
        "open_sk": leg.transaction_id,
    }


def _places(leg: Leg, status: str) -> list[tuple[Pair, str]]:
    """Where a leg has items: its own pair, and those that its match closes."""
    return [(leg.pair, status), *((pair, "elsewhere") for pair in leg.exclusive)]


def _changed_under_match(leg: Leg, stored: Item) -> bool:
    if (
        not stored.match_id
        or stored.status == "elsewhere"
        or int(stored.version or 0) >= leg.version
    ):
        return False
    before = None if stored.basis_minor is None else int(stored.basis_minor)
    return before is not None and before != leg.basis_minor


def _update(target: Item, actions: list[Action], condition: Condition) -> None:
    """A conditional update; raises Lost when the condition does not hold."""
    try:
        target.update(actions=actions, condition=condition)
    except UpdateError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            raise Lost from None
        raise


def _update_if(target: Item, actions: list[Action], condition: Condition) -> bool:
    """Like `_update`; False instead of raising."""
    try:
        _update(target, actions, condition)
    except Lost:
        return False
    return True
