"""Sources' profiles in the directory table: one item each, the profile as JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ingestion.model import SourceProfile
from pardna.runtime import keys
from pardna.runtime.errors import NotFound, PardnaError, Unavailable
from pardna.runtime.observability import count, logger


class DynamoSources:
    """`Sources` on the directory table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, tenant_id: str, source_id: str) -> SourceProfile:
        """See `Sources`."""
        return _profile(self._item(tenant_id, source_id))

    def put(self, profile: SourceProfile) -> None:
        """See `Sources`."""
        self._update(
            profile.tenant_id,
            profile.source_id,
            "SET kind = :kind, tenant_id = :tenant, source_id = :source, profile = :profile",
            {
                ":kind": "source",
                ":tenant": profile.tenant_id,
                ":source": profile.source_id,
                ":profile": json.dumps(profile.to_dict(), sort_keys=True),
            },
        )

    def by_channel(self, channel: str) -> list[SourceProfile]:
        """See `Sources`. A scan: the directory is small and only schedules ask."""
        found, start = [], dict[str, Any]()
        while True:
            with _answers():
                answer = self._client.scan(
                    TableName=self._table,
                    FilterExpression="kind = :kind",
                    ExpressionAttributeValues={":kind": {"S": "source"}},
                    **start,
                )
            found += [p for item in answer["Items"] if (p := _readable(item)) is not None]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        using = [p for p in found if channel in p.channels]
        return sorted(using, key=lambda p: (p.tenant_id, p.source_id))

    def cursor(self, tenant_id: str, source_id: str) -> str:
        """See `Sources`."""
        return str(self._item(tenant_id, source_id).get("cursor", {}).get("S", ""))

    def set_cursor(self, tenant_id: str, source_id: str, cursor: str) -> None:
        """See `Sources`."""
        self._update(tenant_id, source_id, "SET #cursor = :cursor", {":cursor": cursor})

    def _item(self, tenant_id: str, source_id: str) -> dict[str, Any]:
        with _answers():
            answer = self._client.get_item(
                TableName=self._table, Key=_key(tenant_id, source_id), ConsistentRead=True
            )
        if "Item" not in answer:
            raise NotFound("source.not_found", "there is no such source")
        item: dict[str, Any] = answer["Item"]
        return item

    def _update(
        self, tenant_id: str, source_id: str, expression: str, values: dict[str, str]
    ) -> None:
        names = {"ExpressionAttributeNames": {"#cursor": "cursor"}} if "#" in expression else {}
        with _answers():
            self._client.update_item(
                TableName=self._table,
                Key=_key(tenant_id, source_id),
                UpdateExpression=expression,
                ExpressionAttributeValues={n: {"S": v} for n, v in values.items()},
                **names,
            )


def _key(tenant_id: str, source_id: str) -> dict[str, Any]:
    pk, sk = keys.source(tenant_id, source_id)
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _profile(item: dict[str, Any]) -> SourceProfile:
    return SourceProfile.from_dict(json.loads(item["profile"]["S"]))


def _readable(item: dict[str, Any]) -> SourceProfile | None:
    """One source that cannot be read must not stop the others; it is counted."""
    try:
        return _profile(item)
    except (PardnaError, KeyError, ValueError):
        logger.error("Source unreadable", source=item.get("sk", {}).get("S", ""))
        count("SourceUnreadable")
        return None


@contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise Unavailable("directory.unavailable", "the directory did not answer") from error
