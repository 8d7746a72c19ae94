"""Match state for the shards of split pairs: parts of the open legs, and claims of legs in the lake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from pynamodb.transactions import TransactWrite

from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.dynamodb_table import MatchTable, leg_key, opened, reference_key
from pardna.matching.dynamodb_wire import Wire, attributes_text, in_threads, item_text, packed
from pardna.matching.items import (
    act_attributes,
    header_attributes,
    leg_attributes,
    match_listing,
    member_attributes,
)
from pardna.matching.model import Leg, Match, Pair, Status, identities
from pardna.matching.ports import Committed, Identified, LegTexts
from pardna.runtime import keys

#: Rendered conditions: nobody has written the item; the leg is new, or free and of this version.
_NEW = ',"ConditionExpression":"attribute_not_exists(pk)"'
_FREE = (
    ',"ConditionExpression":"attribute_not_exists(pk) OR'
    ' ((attribute_not_exists(match_id) OR match_id = :m) AND #v = :v)"'
    ',"ExpressionAttributeNames":{"#v":"version"}'
    ',"ExpressionAttributeValues":{":m":{"S":"%s"},":v":{"N":"%d"}}'
)


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
        for one, said in _claims(leg, status):
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
    """`ports.SplitState`; made with a `ClaimingTable`.

    Many matches, or many open legs, go into one transaction, as `dynamodb_wire` sends them. When a
    condition in it does not hold, nothing of it is written: what it concerns is then done by itself,
    as anywhere else, and the others are sent again.
    """

    @cached_property
    def _wire(self) -> Wire:
        return Wire(self._table.name, self._table.region)

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

    def versions(
        self, tenant_id: str, ids: Sequence[tuple[Pair, str]]
    ) -> dict[tuple[Pair, str], int]:
        """See `SplitState`; as many ids as there are."""
        places = {keys.leg(tenant_id, pair.value, one): (pair, one) for pair, one in ids}
        found = self._wire.versions(list(places))
        return {places[key]: version for key, version in found.items()}

    def commit_all(self, matches: Sequence[Match], texts: LegTexts) -> list[Committed]:
        """See `SplitState`."""
        outcomes: dict[int, Committed] = {}
        units: list[list[str]] = []
        places: list[int] = []
        seen: set[str] = set()
        for place, match in enumerate(matches):
            identifier = match.match_id
            mine = {identifier, *[m.transaction_id for m in match.members]}
            large = len(match.members) > self._groups.chunk_legs
            if large or not seen.isdisjoint(mine):
                continue  # alone, after the others: a transaction names an item once
            seen |= mine
            units.append(self._writes(match, identifier, texts))
            places.append(place)

        def alone(unit: int) -> None:
            outcomes[places[unit]] = self.commit(matches[places[unit]])

        self._write_packs(units, alone)
        for place in places:
            outcomes.setdefault(place, Committed.NOW)
        return [
            outcomes[place] if place in outcomes else self.commit(match)
            for place, match in enumerate(matches)
        ]

    def record_all(self, groups: Sequence[Sequence[Leg]], texts: LegTexts) -> None:
        """See `SplitState`."""
        units = [
            [
                self._wire.put(item_text(key, values, text), condition)
                for leg in group
                for text in [_leg_text(leg, texts)]
                for key, values, condition in _opening(leg)
            ]
            for group in groups
        ]
        self._write_packs(units, lambda unit: self.record(groups[unit]))

    def keep_references(self, legs: Iterable[Identified]) -> None:
        """See `SplitState`."""
        items: dict[tuple[str, str], str] = {}
        for leg in legs:
            for type_, value in leg.references:
                key = keys.reference(
                    leg.tenant_id, leg.pair.value, leg.currency, type_, value, leg.told_by,
                    leg.transaction_id,
                )  # fmt: skip
                items[key] = item_text(key, {"kind": "reference"}, leg.text)
        self._wire.put_all(list(items.values()))

    def _write_packs(self, units: Sequence[Sequence[str]], alone: Callable[[int], object]) -> None:
        """Write units, each all or nothing; `alone` does those whose conditions do not hold."""

        def write(pack: list[int]) -> None:
            while pack:
                failed = self._wire.transact([w for unit in pack for w in units[unit]])
                if not failed:
                    return
                left, at = [], 0
                for unit in pack:
                    end = at + len(units[unit])
                    if any(failed[at:end]):
                        alone(unit)
                    else:
                        left.append(unit)
                    at = end
                pack = left

        in_threads(write, list(packed(units)))

    def _writes(self, match: Match, identifier: str, texts: LegTexts) -> list[str]:
        """A small match that nobody has seen yet: what `commit` would write."""
        tenant = match.tenant_id
        takes = match.status is Status.COMMITTED
        put, writes = self._wire.put, []
        for leg in match.members:
            for one, said in _claims(leg, "matched") if takes else ():
                taken = {"kind": "leg", "status": said, "match_id": identifier}
                text = item_text(leg_key(one), taken, _leg_text(one, texts))
                writes.append(put(text, _FREE % (identifier, leg.version)))
            key = keys.match_member(tenant, identifier, leg.transaction_id)
            known = texts.get((leg.pair.value, leg.transaction_id))
            if known:
                about = {"kind": "match_member", "match_id": identifier}
                writes.append(put(item_text(key, about, known[1])))
            else:
                writes.append(put(item_text(key, member_attributes(match, leg))))
        values = header_attributes(match, 1 if takes else 0, self._clock())
        values["status"] = match.status.value
        values["list_pk"] = match_listing(tenant, match.status, identifier)
        writes.append(put(item_text(keys.match(tenant, identifier), values), _NEW))
        act = self._own_act(
            tenant, identifier, "matched" if takes else match.status.value, match.run_id
        )
        key = keys.history(tenant, act.subject, act.at, act.act_id)
        writes.append(put(item_text(key, act_attributes(act, listed=False)), _NEW))
        return writes


def _leg_text(leg: Leg, texts: LegTexts) -> str:
    """What a leg's item says of the leg alone, as it was read or rendered now."""
    known = texts.get((leg.pair.value, leg.transaction_id))
    return known[0] if known else attributes_text(leg_attributes(leg))


def _claims(leg: Leg, status: str) -> list[tuple[Leg, str]]:
    """A leg and what is said of it, and the same in the pairs where it must not be matched as well."""
    return [(leg, status), *((_in(leg, pair), "elsewhere") for pair in leg.exclusive)]


def _opening(leg: Leg) -> Iterator[tuple[tuple[str, str], dict[str, Any], str]]:
    """The items of an open leg that nobody has seen yet: keys, what they say beside the leg,
    rendered conditions."""
    yield leg_key(leg), {"kind": "leg", "status": "open"} | opened(leg), _NEW
    for reference in identities(leg):
        yield reference_key(leg, reference), {"kind": "reference"}, ""


def _in(leg: Leg, pair: Pair) -> Leg:
    """The same transaction as a leg of another of its pairs."""
    others = tuple(p for p in (leg.pair, *leg.exclusive) if p is not pair)
    return replace(leg, pair=pair, exclusive=others)
