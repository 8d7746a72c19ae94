"""Departures in DynamoDB: one item an event, put once, listed in a sparse index until published.

boto3's low-level client, not an object mapper: these few calls stand in several hot functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime import keys
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import InvalidInput, Unavailable
from pardna.runtime.events import Envelope

#: A published event is kept this long, to be looked at.
_KEPT = timedelta(days=7)
_WORKERS = 8
T = TypeVar("T")


@contextmanager
def aws_answers(what: str) -> Iterator[None]:
    """Turn an error of AWS or of the way to it into Unavailable, whose caller tries again."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise Unavailable("aws.unavailable", f"{what} did not answer") from error


class DynamoDepartures:
    """`Departures` on the outbox table."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def depart(self, envelopes: Sequence[Envelope]) -> int:
        """See `Departures`. Conditional puts, a few at a time."""
        with aws_answers("the outbox table"):
            return sum(_a_few_at_a_time(self._put, envelopes))

    def mark_published(self, envelopes: Sequence[Envelope]) -> None:
        """See `Departures`. Updates, a few at a time."""
        with aws_answers("the outbox table"):
            _a_few_at_a_time(self._mark, envelopes)

    def waiting(self, before: datetime, limit: int) -> list[Envelope]:
        """See `Departures`. Asks each write shard of the index in turn."""
        found: list[Envelope] = []
        for shard in range(keys.WRITE_SHARDS):
            if len(found) >= limit:
                break
            with aws_answers("the outbox table"):
                answer = self._client.query(
                    TableName=self._table,
                    IndexName="unsent",
                    KeyConditionExpression="unsent_pk = :pk AND unsent_sk < :before",
                    ExpressionAttributeValues={
                        ":pk": {"S": keys.unsent_shard(shard)},
                        ":before": {"S": iso(before)},
                    },
                    Limit=limit - len(found),
                )
            found += [Envelope.from_json(item["envelope"]["S"]) for item in answer["Items"]]
        return found

    def _mark(self, envelope: Envelope) -> None:
        now = self._clock()
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(envelope),
                UpdateExpression="SET published_at = :at, expires_at = :until"
                " REMOVE unsent_pk, unsent_sk",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={
                    ":at": {"S": iso(now)},
                    ":until": {"N": str(int((now + _KEPT).timestamp()))},
                },
            )
        except ClientError as error:
            # It expired, or somebody removed it: nothing is left to mark.
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise

    def _put(self, envelope: Envelope) -> int:
        item = {
            **_key(envelope),
            "tenant_id": {"S": envelope.tenant_id},
            "kind": {"S": "departure"},
            "event_id": {"S": envelope.event_id},
            "event_type": {"S": envelope.event_type},
            "envelope": {"S": envelope.to_json()},
            "unsent_pk": {"S": keys.unsent(envelope.event_id)},
            "unsent_sk": {"S": f"{iso(self._clock())}#{envelope.event_id}"},
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return 0
            raise
        return 1


class DynamoTenants:
    """`Tenants` on the directory table.

    A scan: the directory is small (a tenant, its members and its sources) and only schedules ask.
    """

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def tenant_ids(self) -> Iterable[str]:
        """See `Tenants`."""
        start: dict[str, Any] = {}
        while True:
            with aws_answers("the directory table"):
                answer = self._client.scan(
                    TableName=self._table,
                    FilterExpression="sk = :head AND begins_with(pk, :tenant)",
                    ExpressionAttributeValues={
                        ":head": {"S": keys.HEAD},
                        ":tenant": {"S": "TENANT#"},
                    },
                    ProjectionExpression="tenant_id",
                    **start,
                )
            yield from (item["tenant_id"]["S"] for item in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def envelopes_of(records: Iterable[Any], unreadable: Callable[[], None]) -> list[Envelope]:
    """The new departures in a batch of the table's stream; calls `unreadable` for each other thing.

    Items that changed or expired are not new departures and are passed over.
    """
    found = []
    for record in records:
        if record.get("eventName") != "INSERT":
            continue
        try:
            found.append(Envelope.from_json(record["dynamodb"]["NewImage"]["envelope"]["S"]))
        except (KeyError, TypeError, InvalidInput):
            unreadable()
    return found


def _a_few_at_a_time(action: Callable[[Envelope], T], envelopes: Sequence[Envelope]) -> list[T]:
    """The action's results, in order; the first error once all have been tried."""
    if len(envelopes) <= 1:
        return [action(e) for e in envelopes]
    with ThreadPoolExecutor(min(_WORKERS, len(envelopes))) as pool:
        return list(pool.map(action, envelopes))


def _key(envelope: Envelope) -> dict[str, Any]:
    pk, sk = keys.departure(envelope.tenant_id, envelope.event_id)
    return {"pk": {"S": pk}, "sk": {"S": sk}}
