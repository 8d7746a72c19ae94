"""The match table's items as pynamodb models, and their mapping to the domain's words.

One table holds them all; `models(table, region)` makes the classes for one table's name.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from datetime import date, datetime
from functools import cache
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from pardna.matching.acts import Act, act_from_plain, act_to_plain
from pardna.matching.codec import explanation_to_plain
from pardna.matching.model import Break, BreakClass, Leg, Match, Pair, Status
from pardna.matching.ports import Member, StoredMatch
from pardna.runtime import keys
from pardna.runtime.clock import iso
from pardna.transactions.model import Kind, Reference, Side, Strength

OPEN_INDEX = "open"
LISTING_INDEX = "listing"
_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode


class OpenIndex(GlobalSecondaryIndex["Item"]):  # type: ignore[no-untyped-call]
    """Sparse: legs still open, by tenant, pair, currency and write shard."""

    class Meta:
        index_name = OPEN_INDEX
        projection = AllProjection()

    open_pk = UnicodeAttribute(hash_key=True)
    open_sk = UnicodeAttribute(range_key=True)


class ListingIndex(GlobalSecondaryIndex["Item"]):  # type: ignore[no-untyped-call]
    """Matches and breaks by status, runs by day."""

    class Meta:
        index_name = LISTING_INDEX
        projection = AllProjection()

    list_pk = UnicodeAttribute(hash_key=True)
    list_sk = UnicodeAttribute(range_key=True)


class Item(Model):
    """Any item: attributes that are absent stay absent. `body` is JSON text of what nobody
    conditions on or indexes."""

    class Meta:
        table_name = ""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    tenant_id = UnicodeAttribute()
    kind = UnicodeAttribute()
    open_pk = UnicodeAttribute(null=True)
    open_sk = UnicodeAttribute(null=True)
    list_pk = UnicodeAttribute(null=True)
    list_sk = UnicodeAttribute(null=True)
    pair = UnicodeAttribute(null=True)
    status = UnicodeAttribute(null=True)
    currency = UnicodeAttribute(null=True)
    version = NumberAttribute(null=True)
    transaction_id = UnicodeAttribute(null=True)
    match_id = UnicodeAttribute(null=True)
    claim = UnicodeAttribute(null=True)
    refused_by = UnicodeAttribute(null=True)
    level = NumberAttribute(null=True)
    rule_id = UnicodeAttribute(null=True)
    rule_version = NumberAttribute(null=True)
    confidence_bp = NumberAttribute(null=True)
    shape = UnicodeAttribute(null=True)
    members_count = NumberAttribute(null=True)
    variance_minor = NumberAttribute(null=True)
    variance_kind = UnicodeAttribute(null=True)
    explanation = UnicodeAttribute(null=True)
    run_id = UnicodeAttribute(null=True)
    decided_at = UnicodeAttribute(null=True)
    side = UnicodeAttribute(null=True)
    source = UnicodeAttribute(null=True)
    external_id = UnicodeAttribute(null=True)
    transaction_kind = UnicodeAttribute(null=True)
    transaction_version = NumberAttribute(null=True)
    amount_minor = NumberAttribute(null=True)
    basis_minor = NumberAttribute(null=True)
    gross_minor = NumberAttribute(null=True)
    fee_minor = NumberAttribute(null=True)
    net_minor = NumberAttribute(null=True)
    occurred_at = UnicodeAttribute(null=True)
    body = UnicodeAttribute(null=True)

    open = OpenIndex()
    listing = ListingIndex()


@cache
def item_class(table: str, region: str) -> type[Item]:
    """The `Item` class of one table; the endpoint comes from the environment, as botocore has it."""

    class Bound(Item):
        class Meta:
            table_name = table
            max_retry_attempts = 8
            connect_timeout_seconds = 3
            read_timeout_seconds = 20

        open = OpenIndex()
        listing = ListingIndex()

    # Set afterwards: a class body sees no enclosing function's `region` under that name.
    setattr(Bound.Meta, "region", region)  # noqa: B010
    return Bound


def leg_attributes(leg: Leg) -> dict[str, Any]:
    """What a leg's item carries beside its keys; everything that the engine reads."""
    return {
        "tenant_id": leg.tenant_id,
        "pair": leg.pair.value,
        "version": leg.version,
        "transaction_id": leg.transaction_id,
        "side": leg.side.value,
        "source": leg.source,
        "external_id": leg.external_id,
        "transaction_kind": leg.kind.value,
        "amount_minor": leg.amount_minor,
        "basis_minor": leg.basis_minor,
        "gross_minor": leg.gross_minor,
        "fee_minor": leg.fee_minor,
        "net_minor": leg.net_minor,
        "currency": leg.currency,
        "occurred_at": leg.occurred_at.isoformat(),
        "body": _canonical(
            {
                "value_date": leg.value_date.isoformat() if leg.value_date else "",
                "batch_id": leg.batch_id,
                "account": leg.account,
                "name": leg.name,
                "description": leg.description,
                "references": [[r.type, r.value, r.strength.value] for r in leg.references],
                "exclusive": [p.value for p in leg.exclusive],
            }
        ),
    }


def leg_of(item: Item) -> Leg:
    """The inverse of `leg_attributes`."""
    body = json.loads(_text(item.body))
    value_date = body["value_date"]
    return Leg(
        tenant_id=item.tenant_id,
        pair=Pair(_text(item.pair)),
        transaction_id=_text(item.transaction_id),
        version=_int(item.version),
        side=Side(_text(item.side)),
        source=_text(item.source),
        external_id=_text(item.external_id),
        kind=Kind(_text(item.transaction_kind)),
        amount_minor=_int(item.amount_minor),
        currency=_text(item.currency),
        occurred_at=_moment(item.occurred_at),
        value_date=date.fromisoformat(value_date) if value_date else None,
        gross_minor=_maybe(item.gross_minor),
        fee_minor=_maybe(item.fee_minor),
        net_minor=_maybe(item.net_minor),
        batch_id=body["batch_id"],
        account=body["account"],
        name=body["name"],
        description=body["description"],
        references=tuple(Reference(t, v, Strength(s)) for t, v, s in body["references"]),
        exclusive=tuple(Pair(p) for p in body["exclusive"]),
    )


def header_attributes(match: Match, version: int, decided_at: datetime) -> dict[str, Any]:
    """What a match's header carries beside its keys; see `ports`."""
    identifier = match.match_id
    at = iso(decided_at)
    return {
        "tenant_id": match.tenant_id,
        "kind": "match",
        "match_id": identifier,
        "version": version,
        "pair": match.pair.value,
        "currency": match.currency,
        "level": match.level,
        "rule_id": match.rule_id,
        "rule_version": match.rule_version,
        "confidence_bp": match.confidence_bp,
        "shape": match.shape,
        "members_count": len(match.members),
        "variance_minor": match.variance_minor,
        "variance_kind": match.variance_kind,
        "explanation": _canonical(
            explanation_to_plain(match.explanation) | {"rules_hash": match.rules_hash}
        ),
        "run_id": match.run_id,
        "decided_at": at,
        "list_sk": f"{at}#{identifier}",
    }


def match_listing(tenant_id: str, status: Status, identifier: str) -> str:
    """`list_pk` of a match: spread over write shards, because one key would throttle its table."""
    shard = int(identifier[2:10], 16) % keys.WRITE_SHARDS
    return match_listing_shard(tenant_id, status, shard)


def match_listing_shard(tenant_id: str, status: Status, shard: int) -> str:
    """The index partition of one write shard of matches of a status."""
    return keys.listing(tenant_id, "match", f"{status.value}.{shard:02d}")


def member_attributes(match: Match, leg: Leg) -> dict[str, Any]:
    """What a member's item carries beside its keys; see `ports`."""
    return {
        "tenant_id": leg.tenant_id,
        "kind": "match_member",
        "match_id": match.match_id,
        "pair": leg.pair.value,
        "transaction_id": leg.transaction_id,
        "transaction_version": leg.version,
        "side": leg.side.value,
        "source": leg.source,
        "transaction_kind": leg.kind.value,
        "amount_minor": leg.amount_minor,
        "basis_minor": leg.basis_minor if leg.basis_minor is not None else leg.amount_minor,
        "gross_minor": leg.gross_minor,
        "fee_minor": leg.fee_minor,
        "net_minor": leg.net_minor,
        "currency": leg.currency,
        "external_id": leg.external_id,
        "occurred_at": leg.occurred_at.isoformat(),
    }


def stored_match(head: Item, members: list[Item]) -> StoredMatch:
    """A match as read back."""
    return StoredMatch(
        tenant_id=head.tenant_id,
        match_id=_text(head.match_id),
        version=_int(head.version),
        pair=Pair(_text(head.pair)),
        currency=_text(head.currency),
        status=Status(_text(head.status)),
        level=_int(head.level),
        rule_id=_text(head.rule_id),
        rule_version=_int(head.rule_version),
        confidence_bp=_int(head.confidence_bp),
        variance_minor=_int(head.variance_minor),
        variance_kind=head.variance_kind or "",
        explanation=json.loads(_text(head.explanation)),
        run_id=head.run_id or "",
        decided_at=_moment(head.decided_at),
        members=tuple(_member(item) for item in members),
    )


def _member(item: Item) -> Member:
    return Member(
        transaction_id=_text(item.transaction_id),
        transaction_version=_int(item.transaction_version),
        side=Side(_text(item.side)),
        source=_text(item.source),
        kind=Kind(_text(item.transaction_kind)),
        amount_minor=_int(item.amount_minor),
        basis_minor=_int(item.basis_minor),
        currency=_text(item.currency),
        external_id=_text(item.external_id),
        occurred_at=_moment(item.occurred_at),
        gross_minor=_maybe(item.gross_minor),
        fee_minor=_maybe(item.fee_minor),
        net_minor=_maybe(item.net_minor),
    )


def act_attributes(one: Act, *, listed: bool) -> dict[str, Any]:
    """What an act's item carries beside its keys; `listed`: it is also found by its month."""
    found = {
        "tenant_id": one.tenant_id,
        "kind": "act",
        "body": _canonical(act_to_plain(one)),
    }
    if listed:
        found["list_pk"] = keys.listing(one.tenant_id, "act", one.at[:7])
        found["list_sk"] = f"{one.at}#{one.act_id}"
    return found


def act_of(item: Item) -> Act:
    """The inverse of `act_attributes`."""
    return act_from_plain(item.tenant_id, json.loads(_text(item.body)))


def break_attributes(break_: Break) -> dict[str, Any]:
    """What a break's item carries beside its keys."""
    plain = asdict(break_)
    plain["pair"], plain["class_"] = break_.pair.value, break_.class_.value
    identifier = break_.break_id
    return {
        "tenant_id": break_.tenant_id,
        "kind": "break",
        "pair": break_.pair.value,
        "currency": break_.currency,
        "status": break_.status,
        "run_id": break_.run_id,
        "body": json.dumps(plain, sort_keys=True, ensure_ascii=False),
        "list_pk": keys.listing(break_.tenant_id, "break", break_.status),
        "list_sk": f"{break_.resolved_on or break_.due_at}#{identifier}",
    }


def break_of(item: Item) -> Break:
    """The inverse of `break_attributes`."""
    known = {f.name for f in fields(Break)}
    plain = {k: v for k, v in json.loads(_text(item.body)).items() if k in known}
    return Break(
        **{
            **plain,
            "pair": Pair(plain["pair"]),
            "class_": BreakClass(plain["class_"]),
            "transaction_ids": tuple(plain["transaction_ids"]),
        }
    )


def _text(value: str | None) -> str:
    if value is None:
        raise ValueError("an item of the match table lacks what its kind always has")
    return value


def _int(value: float | None) -> int:
    if value is None:
        raise ValueError("an item of the match table lacks a number that its kind always has")
    return int(value)


def _maybe(value: float | None) -> int | None:
    return None if value is None else int(value)


def _moment(value: str | None) -> datetime:
    return datetime.fromisoformat(_text(value).replace("Z", "+00:00"))
