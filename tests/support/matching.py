"""Builders by intent for matching's tests, and a match table in moto."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import count

import boto3
from moto import mock_aws

from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.dynamodb_groups import GroupCommits
from pardna.matching.dynamodb_table import MatchTable
from pardna.matching.model import Explanation, Leg, Match, Pair, Status, legs_of
from pardna.transactions.model import Kind, Reference, Side, Strength, Transaction

TENANT = "kgn-one"
TABLE = "match-table"
GROUP_MAX = 4
DAY = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday


def strong(type_: str, value: str) -> Reference:
    """A strong reference."""
    return Reference(type_, value, Strength.STRONG)


def weak(type_: str, value: str) -> Reference:
    """A weak reference."""
    return Reference(type_, value, Strength.WEAK)


def a_transaction(
    side: str, kind: str, external_id: str, amount: int, *references: Reference, **more: object
) -> Transaction:
    """A transaction of `side`, on Monday noon, in JMD, unless `more` says otherwise."""
    source = {"internal": "pardna:circle-1", "psp": "stripe:acct_1", "bank": "ncb:001-1"}[side]
    fields: dict[str, object] = {
        "tenant_id": TENANT,
        "source": source,
        "currency": "JMD",
        "occurred_at": DAY,
        "raw_sha256": "0" * 64,
        "raw_position": "",
    }
    return Transaction(
        side=Side(side), kind=Kind(kind), external_id=external_id, amount_minor=amount,
        references=references, **(fields | more),  # type: ignore[arg-type]
    )  # fmt: skip


def contribution(number: int | str, amount: int, rail: str = "card", **more: object) -> Transaction:
    """A contribution that our books expect."""
    references = [strong("contribution", f"con_{number}"), weak("rail", rail)]
    if rail == "bank":
        references.append(strong("end_to_end", f"E2E{number}"))
        references.append(weak("payment_reference", f"PDN-7K3Q-R01-{number}"))
    return a_transaction("internal", "contribution", f"con_{number}", amount, *references, **more)


def charge(number: int | str, gross: int, fee: int | None = None, payout: str = "", **more: object) -> Transaction:  # fmt: skip
    """A card charge; with its fee known, and the payout that settles it, if given."""
    return a_transaction(
        "psp", "charge", f"txn_{number}", gross,
        strong("contribution", f"con_{number}"), strong("charge", f"ch_{number}"),
        gross_minor=gross, fee_minor=fee, net_minor=None if fee is None else gross - fee,
        batch_id=payout, **more,
    )  # fmt: skip


def bank_line(number: int | str, amount: int, *references: Reference, **more: object) -> Transaction:  # fmt: skip
    """A line of the bank's statement."""
    return a_transaction("bank", "transfer", f"line_{number}", amount, *references, **more)


def payout(identifier: str, amount: int, **more: object) -> Transaction:
    """A payout of `amount` (positive) to the bank."""
    return a_transaction(
        "psp", "payout", f"txn_{identifier}", -amount,
        strong("payout", identifier), gross_minor=-amount, fee_minor=0, net_minor=-amount, **more,
    )  # fmt: skip


def legs(*transactions: Transaction, pair: Pair | None = None, version: int = 1) -> list[Leg]:
    """All legs of the transactions, or those of one pair."""
    return [
        leg for t in transactions for leg in legs_of(t, version) if pair is None or leg.pair is pair
    ]


def a_match(*members: Leg, level: int = 1, status: Status = Status.COMMITTED) -> Match:
    """A match of these legs, without much of a story."""
    return Match(
        pair=members[0].pair, currency=members[0].currency, level=level, rule_id="identity",
        rule_version=1, rules_hash="0" * 16, confidence_bp=10_000, status=status,
        explanation=Explanation("because the test says so"), members=tuple(members),
    )  # fmt: skip


def small_groups(table: str, prefix: str) -> DynamoMatchState:
    """Match state whose transactions hold few legs, so that small settlements are large groups."""
    numbers, made = count(), MatchTable(table, "us-east-1")
    groups = GroupCommits(made, lambda: DAY, lambda: f"{prefix}{next(numbers)}", GROUP_MAX)
    return DynamoMatchState(made, groups, lambda: DAY)


def day(iso: str) -> date:
    """A date from text."""
    return date.fromisoformat(iso)


def create_match_table(client: object, name: str = TABLE) -> None:
    """The match table as the template has it: two indexes and a stream."""
    text = [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk", "open_pk", "open_sk", "list_pk", "list_sk")]  # fmt: skip

    def keyed(first: str, second: str) -> list[dict[str, str]]:
        return [
            {"AttributeName": first, "KeyType": "HASH"},
            {"AttributeName": second, "KeyType": "RANGE"},
        ]

    client.create_table(  # type: ignore[attr-defined]
        TableName=name,
        AttributeDefinitions=text,
        KeySchema=keyed("pk", "sk"),
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": keyed(f"{prefix}_pk", f"{prefix}_sk"),
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, prefix in (("open", "open"), ("listing", "list"))
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


@contextmanager
def match_table() -> Iterator[str]:
    """A match table in moto; yields its name."""
    with mock_aws():
        create_match_table(boto3.client("dynamodb", region_name="us-east-1"))
        yield TABLE
