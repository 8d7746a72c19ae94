"""Matches as the ledger reads them: the match table's items, by boto3's low-level client.

The layout is the one that `pardna.matching.ports` promises to whoever follows the table. The ledger
reads it itself, so that neither capability imports the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ledger.model import COMMITTED, UNMATCHED, MatchedLeg, MatchEvent, MatchState
from pardna.runtime import keys
from pardna.runtime.clock import iso
from pardna.runtime.errors import InvalidInput, Unavailable
from pardna.transactions.model import Kind, Side

LISTING_INDEX = "listing"


class DynamoMatches:
    """`Matches` on the match table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, tenant_id: str, match_id: str) -> MatchEvent | None:
        """See Matches."""
        partition, head_key = keys.match(tenant_id, match_id)
        items = list(
            self._query(
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": partition}},
                ConsistentRead=True,
            )
        )
        head = next((item for item in items if item["sk"]["S"] == head_key), None)
        if head is None or _text(head, "status") not in (COMMITTED, UNMATCHED):
            return None
        members = [item for item in items if _text(item, "kind") == "match_member"]
        return _event(head, members)

    def decided_since(self, tenant_id: str, since: datetime) -> Iterator[MatchState]:
        """See Matches."""
        for status in (COMMITTED, UNMATCHED):
            for shard in range(keys.WRITE_SHARDS):
                listing = keys.listing(tenant_id, "match", f"{status}.{shard:02d}")
                for item in self._query(
                    IndexName=LISTING_INDEX,
                    KeyConditionExpression="list_pk = :pk AND list_sk >= :since",
                    ExpressionAttributeValues={
                        ":pk": {"S": listing},
                        ":since": {"S": iso(since)},
                    },
                    ProjectionExpression="match_id, version",
                ):
                    yield MatchState(_text(item, "match_id"), int(item["version"]["N"]), status)

    def _query(self, **query: Any) -> Iterator[dict[str, Any]]:
        try:
            for page in self._client.get_paginator("query").paginate(
                TableName=self._table, **query
            ):
                yield from page["Items"]
        except (ClientError, BotoCoreError) as error:
            raise Unavailable("matches.unavailable", "the match table did not answer") from error


def _event(head: dict[str, Any], members: list[dict[str, Any]]) -> MatchEvent:
    try:
        return MatchEvent(
            match_id=_text(head, "match_id"),
            version=int(head["version"]["N"]),
            pair=_text(head, "pair"),
            status=_text(head, "status"),
            at=datetime.fromisoformat(_text(head, "decided_at")),
            legs=tuple(
                MatchedLeg(
                    transaction_id=_text(member, "transaction_id"),
                    side=Side(_text(member, "side")),
                    kind=Kind(_text(member, "transaction_kind")),
                    source=_text(member, "source"),
                    amount_minor=int(member["basis_minor"]["N"]),
                    currency=_text(member, "currency"),
                )
                for member in members
            ),
            variance_kind=head.get("variance_kind", {}).get("S", ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput("match.unreadable", f"not a match: {error}") from error


def _text(item: dict[str, Any], name: str) -> str:
    return str(item[name]["S"])
