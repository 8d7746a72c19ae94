"""Saved profiles in the directory table: one item a version, written once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ingestion.profiles import SavedProfile
from pardna.runtime import keys
from pardna.runtime.clock import iso
from pardna.runtime.errors import Unavailable


class DynamoProfileShelf:
    """`ProfileShelf` on the directory table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def versions(self, tenant_id: str, name: str = "") -> list[SavedProfile]:
        """See `ProfileShelf`."""
        pk, prefix = keys.layouts(tenant_id, name)
        found: list[SavedProfile] = []
        start: dict[str, Any] = {}
        while True:
            try:
                answer = self._client.query(
                    TableName=self._table,
                    KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
                    ExpressionAttributeValues={":pk": {"S": pk}, ":prefix": {"S": prefix}},
                    ConsistentRead=True,
                    **start,
                )
            except (ClientError, BotoCoreError) as error:
                raise _unavailable() from error
            found += [_saved(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return found
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def add(self, tenant_id: str, saved: SavedProfile) -> bool:
        """See `ProfileShelf`."""
        pk, sk = keys.layout(tenant_id, saved.name, saved.version)
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "pk": {"S": pk},
                    "sk": {"S": sk},
                    "kind": {"S": "layout"},
                    "tenant_id": {"S": tenant_id},
                    "name": {"S": saved.name},
                    "version": {"N": str(saved.version)},
                    "document": {"S": saved.document},
                    "saved_by": {"S": saved.saved_by},
                    "saved_at": {"S": iso(saved.saved_at)},
                },
                ConditionExpression="attribute_not_exists(pk)",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        except (ClientError, BotoCoreError) as error:
            raise _unavailable() from error
        return True


def _saved(item: dict[str, Any]) -> SavedProfile:
    return SavedProfile(
        item["name"]["S"],
        int(item["version"]["N"]),
        item["document"]["S"],
        item["saved_by"]["S"],
        datetime.fromisoformat(item["saved_at"]["S"]),
    )


def _unavailable() -> Unavailable:
    return Unavailable("directory.unavailable", "the directory did not answer")
