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

#: What people switch, apart from what a source is.
_SWITCHES = ("enabled", "schedules")
_CONDITION = "ConditionalCheckFailedException"


class DynamoSources:
    """`Sources` on the directory table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, tenant_id: str, source_id: str) -> SourceProfile:
        """See `Sources`."""
        return _profile(self._item(tenant_id, source_id))

    def put(self, profile: SourceProfile) -> None:
        """See `Sources`. Switches are an attribute of their own: registering again keeps them."""
        plain = profile.to_dict()
        for switch in _SWITCHES:
            del plain[switch]
        self._update(
            profile.tenant_id,
            profile.source_id,
            "SET kind = :kind, tenant_id = :tenant, source_id = :source, profile = :profile",
            {
                ":kind": "source",
                ":tenant": profile.tenant_id,
                ":source": profile.source_id,
                ":profile": json.dumps(plain, sort_keys=True),
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
        using = [
            p for p in found if p.enabled and channel in p.channels and channel not in p.schedules
        ]
        return sorted(using, key=lambda p: (p.tenant_id, p.source_id))

    def of_tenant(self, tenant_id: str, after: str, limit: int) -> list[SourceProfile]:
        """See `Sources`."""
        pk, first = keys.source(tenant_id, "")
        found: list[SourceProfile] = []
        start = {"ExclusiveStartKey": _key(tenant_id, after)} if after else {}
        while len(found) < limit:
            with _answers():
                answer = self._client.query(
                    TableName=self._table,
                    KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                    ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": first}},
                    Limit=limit - len(found),
                    ConsistentRead=True,
                    **start,
                )
            found += [p for item in answer["Items"] if (p := _readable(item)) is not None]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return found

    def switch(self, profile: SourceProfile) -> None:
        """See `Sources`."""
        switches = {name: profile.to_dict()[name] for name in _SWITCHES}
        try:
            self._update(
                profile.tenant_id,
                profile.source_id,
                "SET switches = :switches",
                {":switches": json.dumps(switches, sort_keys=True)},
                ConditionExpression="attribute_exists(pk)",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise NotFound("source.not_found", "there is no such source") from None

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
        self,
        tenant_id: str,
        source_id: str,
        expression: str,
        values: dict[str, str],
        **more: Any,
    ) -> None:
        if "#" in expression:
            more["ExpressionAttributeNames"] = {"#cursor": "cursor"}
        with _answers():
            self._client.update_item(
                TableName=self._table,
                Key=_key(tenant_id, source_id),
                UpdateExpression=expression,
                ExpressionAttributeValues={n: {"S": v} for n, v in values.items()},
                **more,
            )


def _key(tenant_id: str, source_id: str) -> dict[str, Any]:
    pk, sk = keys.source(tenant_id, source_id)
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _profile(item: dict[str, Any]) -> SourceProfile:
    switches = json.loads(item["switches"]["S"]) if "switches" in item else {}
    return SourceProfile.from_dict(json.loads(item["profile"]["S"]) | switches)


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
        if getattr(error, "response", {}).get("Error", {}).get("Code") == _CONDITION:
            raise
        raise Unavailable("directory.unavailable", "the directory did not answer") from error
