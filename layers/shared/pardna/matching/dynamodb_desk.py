"""The desk and the rule book in the match table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pynamodb.transactions import TransactWrite

from pardna.matching.acts import Act, Asked, Deed, canonical
from pardna.matching.aliases import alias_id
from pardna.matching.desk import (
    AliasRemoved,
    AliasTaught,
    BreakChanged,
    Change,
    Decision,
    DecisionAsked,
    DecisionClosed,
    RulesInForce,
    RulesProposed,
    RulesVersion,
    TaughtAlias,
)
from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.dynamodb_table import Lost, MatchTable
from pardna.matching.items import Item, act_of, break_attributes, break_of
from pardna.matching.model import Break, Leg, Match, Pair
from pardna.matching.ports import Committed, StoredMatch
from pardna.matching.rules import Alias, default_rules
from pardna.matching.tenant_rules import from_plain, to_plain
from pardna.runtime import keys
from pardna.runtime.errors import Conflict

Key = tuple[str, str]


class DynamoDesk:
    """`desk.Desk`."""

    def __init__(self, table: MatchTable, state: DynamoMatchState) -> None:
        self._table = table
        self._state = state

    def answered(self, by: Asked) -> Mapping[str, Any] | None:
        """See `Desk`."""
        item = self._table.get(keys.once(by.tenant_id, by.principal, by.key))
        if item is None:
            return None
        said = _plain(item)
        if said["request_hash"] != by.request_hash:
            raise Conflict(
                "request.key_reused",
                "this Idempotency-Key was used for another request; take a new one for a new request",
            )
        answer: Mapping[str, Any] = said["answer"]
        return answer

    def write(self, deed: Deed, *changes: Change) -> bool:
        """See `Desk`."""
        also = self._changes(changes)

        def fill(writing: TransactWrite) -> None:
            self._table.save_deed(writing, deed)
            also(writing)

        try:
            self._table.transact(fill)
        except Lost:
            return False
        return True

    def commit(
        self, match: Match, deed: Deed, *changes: Change, confirms: bool = False
    ) -> Committed:
        """See `Desk`."""
        return self._state.commit(match, deed, self._changes(changes), confirms=confirms)

    def unmatch(
        self, tenant_id: str, match_id: str, deed: Deed, *changes: Change, refuse: bool = True
    ) -> bool:
        """See `Desk`."""
        also = self._changes(changes)
        reason = deed.acts[0].reason
        return self._state.unmatch(tenant_id, match_id, reason, deed, also, refuse=refuse)

    def finish(self, tenant_id: str, match_id: str) -> None:
        """See `Desk`."""
        self._state.finish_unmatching(tenant_id, match_id)

    def reject(self, tenant_id: str, match_id: str, deed: Deed) -> bool:
        """See `Desk`."""
        return self._state.reject(tenant_id, match_id, deed)

    # ---------------------------------------------------------------- reading

    def legs(self, tenant_id: str, pair: Pair, ids: Sequence[str]) -> list[Leg]:
        """See `Desk`."""
        return self._state.legs(tenant_id, pair, ids)

    def holders(self, tenant_id: str, pair: Pair, ids: Sequence[str]) -> dict[str, str]:
        """See `Desk`."""
        return self._state.holders(tenant_id, pair, ids)

    def match(self, tenant_id: str, match_id: str) -> StoredMatch | None:
        """See `Desk`."""
        return self._state.get(tenant_id, match_id)

    def breaks(self, tenant_id: str, ids: Sequence[str]) -> list[Break]:
        """See `Desk`."""
        found: list[Break] = []
        wanted = sorted({keys.break_(tenant_id, one) for one in ids})
        for start in range(0, len(wanted), 100):
            some = self._table.item.batch_get(wanted[start : start + 100], consistent_read=True)
            found += [break_of(item) for item in some]
        return found

    def decision(self, tenant_id: str, decision_id: str) -> Decision | None:
        """See `Desk`."""
        item = self._table.get(keys.decision(tenant_id, decision_id))
        return None if item is None else Decision(tenant_id=tenant_id, **_plain(item))

    def waiting(self, tenant_id: str) -> Iterator[Decision]:
        """See `Desk`."""
        partition = keys.listing(tenant_id, "decision", "waiting")
        for item in self._table.item.listing.query(partition):
            yield Decision(tenant_id=tenant_id, **_plain(item))

    def history(self, tenant_id: str, subject: str, after: str, limit: int) -> tuple[list[Act], str]:  # fmt: skip
        """See `Desk`."""
        item = self._table.item
        found: list[Item]
        if ":" in subject or subject == "rules":
            partition = keys.history(tenant_id, subject, "", "")[0]
            newer: Any = item.sk > after if after else None
            found = list(item.query(partition, newer, consistent_read=True, limit=limit + 1))
        else:
            newer = item.list_sk > after if after else None
            partition = keys.listing(tenant_id, "act", subject)
            found = list(item.listing.query(partition, newer, limit=limit + 1))
        page = found[:limit]
        last = (page[-1].list_sk if ":" not in subject and subject != "rules" else page[-1].sk) if page else ""  # fmt: skip
        return [act_of(i) for i in page], (last or "") if len(found) > limit else ""

    # ---------------------------------------------------------------- changes

    def _changes(self, changes: Sequence[Change]) -> Callable[[TransactWrite], None]:
        def fill(writing: TransactWrite) -> None:
            for change in changes:
                self._change(writing, change)

        return fill

    def _change(self, writing: TransactWrite, change: Change) -> None:
        item = self._table.item
        absent = item.pk.does_not_exist()
        match change:
            case RulesProposed(made):
                self._number(writing, made.tenant_id, last=made.version, after=made.version - 1)
                key = keys.rules_version(made.tenant_id, made.version)
                writing.save(self._item(key, made.tenant_id, "rules", _rules_body(made)), absent)
            case RulesInForce(tenant_id, version, base):
                head = item(*keys.rules(tenant_id))
                first = item.version.does_not_exist() if base == 1 else item.version == base
                named = {"tenant_id": tenant_id, "kind": "rules_head", "version": version}
                writing.update(
                    head, actions=self._table.set_of(named), condition=first | (item.version == base)
                )  # fmt: skip
            case AliasTaught(taught):
                key = keys.alias(taught.tenant_id, taught.alias_id)
                used = self._item(key, taught.tenant_id, "alias", _alias_body(taught))
                used.status = "used"
                writing.save(used, absent | (item.status == "removed"))
            case AliasRemoved(taught):
                key = keys.alias(taught.tenant_id, taught.alias_id)
                condition = (item.status == "used") & (item.body == _alias_body(taught))
                writing.update(
                    item(*key), actions=[item.status.set("removed")], condition=condition
                )
            case BreakChanged(seen, new):
                key = keys.break_(new.tenant_id, new.break_id)
                stands = self._table.get(key)
                if stands is None or break_of(stands) != seen:
                    raise Lost
                writing.save(item(*key, **break_attributes(new)), item.body == stands.body)
            case DecisionAsked(decision):
                key = keys.decision(decision.tenant_id, decision.decision_id)
                waits = self._item(key, decision.tenant_id, "decision", _decision_body(decision))
                waits.status = decision.status
                waits.list_pk = keys.listing(decision.tenant_id, "decision", "waiting")
                waits.list_sk = f"{decision.requested_at}#{decision.decision_id}"
                writing.save(waits, absent)
            case DecisionClosed(seen, status, code):
                key = keys.decision(seen.tenant_id, seen.decision_id)
                plain = json.loads(_decision_body(seen)) | {"status": status, "code": code}
                values = {
                    "status": status,
                    "body": canonical(plain),
                    "list_pk": None,
                    "list_sk": None,
                }
                writing.update(
                    item(*key),
                    actions=self._table.set_of(values),
                    condition=item.status == "waiting",
                )

    def _number(self, writing: TransactWrite, tenant_id: str, *, last: int, after: int) -> None:
        """Give out the next number of a version; `transaction_version` of the head counts them."""
        item = self._table.item
        counted = item.transaction_version
        first = counted.does_not_exist() if after == 1 else counted == after
        values = {"tenant_id": tenant_id, "kind": "rules_head", "transaction_version": last}
        writing.update(
            item(*keys.rules(tenant_id)), actions=self._table.set_of(values), condition=first
        )

    def _item(self, key: Key, tenant_id: str, kind: str, body: str) -> Item:
        return self._table.item(*key, tenant_id=tenant_id, kind=kind, body=body)


class DynamoRuleBook:
    """`desk.RuleBook`."""

    def __init__(self, table: MatchTable) -> None:
        self._table = table

    def numbers(self, tenant_id: str) -> tuple[int, int]:
        """See `RuleBook`."""
        head = self._table.get(keys.rules(tenant_id))
        if head is None:
            return 1, 1
        return int(head.version or 1), int(head.transaction_version or 1)

    def version(self, tenant_id: str, number: int) -> RulesVersion | None:
        """See `RuleBook`. Version 1 is what a tenant has that has said nothing."""
        if number == 1:
            return RulesVersion(
                tenant_id, default_rules(), 0, "system:matching", "", "as delivered"
            )
        item = self._table.get(keys.rules_version(tenant_id, number))
        return None if item is None else _rules(item)

    def versions(self, tenant_id: str) -> list[RulesVersion]:
        """See `RuleBook`."""
        found = self._table.item.query(keys.rules(tenant_id)[0], consistent_read=True)
        return [_rules(item) for item in found if item.kind == "rules"]

    def aliases(self, tenant_id: str) -> list[TaughtAlias]:
        """See `RuleBook`."""
        partition = keys.alias(tenant_id, "")[0]
        found = self._table.item.query(partition, consistent_read=True)
        return [_alias(item) for item in found if item.status == "used"]


def _plain(item: Item) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(item.body or "{}")
    return body


def _rules_body(made: RulesVersion) -> str:
    plain = {"rules": to_plain(made.rules), "base": made.base, "made_by": made.made_by}
    return canonical(plain | {"made_at": made.made_at, "note": made.note})


def _rules(item: Item) -> RulesVersion:
    plain = _plain(item)
    return RulesVersion(item.tenant_id, **plain | {"rules": from_plain(plain["rules"])})


def _alias_body(taught: TaughtAlias) -> str:
    return canonical(
        {"alias": asdict(taught.alias), "made_by": taught.made_by, "made_at": taught.made_at}
    )


def _alias(item: Item) -> TaughtAlias:
    plain = _plain(item)
    alias = Alias(**plain["alias"])
    identifier = alias_id(alias.kind, alias.value)
    return TaughtAlias(item.tenant_id, identifier, alias, plain["made_by"], plain["made_at"])


def _decision_body(decision: Decision) -> str:
    plain = asdict(decision)
    del plain["tenant_id"]
    return canonical(plain)
