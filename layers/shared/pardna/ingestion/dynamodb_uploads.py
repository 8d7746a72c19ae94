"""Uploads in the workflow table: one item each, which the table forgets after a year and more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ingestion.upload_model import Upload, UploadState
from pardna.runtime import keys
from pardna.runtime.clock import iso
from pardna.runtime.errors import Conflict, NotFound, Unavailable

_KEPT_SECONDS = 400 * 24 * 3600


class DynamoUploads:
    """`Uploads` on the workflow table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def announce(self, upload: Upload) -> None:
        """See `Uploads`."""
        if not self._put(upload, "attribute_not_exists(pk)", {}):
            raise Conflict("upload.exists", "this upload was announced before")

    def get(self, tenant_id: str, upload_id: str) -> Upload:
        """See `Uploads`."""
        pk, sk = keys.upload(tenant_id, upload_id)
        with _answers():
            answer = self._client.get_item(
                TableName=self._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
            )
        if "Item" not in answer:
            raise NotFound("upload.not_found", "there is no such upload")
        return _upload(json.loads(answer["Item"]["upload"]["S"]))

    def settle(self, upload: Upload) -> Upload:
        """See `Uploads`."""
        if self._put(
            upload, "#state = :awaiting", {":awaiting": {"S": UploadState.AWAITING.value}}
        ):
            return upload
        return self.get(upload.tenant_id, upload.upload_id)

    def _put(self, upload: Upload, condition: str, values: dict[str, Any]) -> bool:
        pk, sk = keys.upload(upload.tenant_id, upload.upload_id)
        forgotten = int(upload.expires_at.timestamp()) + _KEPT_SECONDS
        named = {"ExpressionAttributeNames": {"#state": "state"}} if values else {}
        given = {"ExpressionAttributeValues": values} if values else {}
        with _answers():
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item={
                        "pk": {"S": pk},
                        "sk": {"S": sk},
                        "kind": {"S": "upload"},
                        "tenant_id": {"S": upload.tenant_id},
                        "state": {"S": upload.state.value},
                        "upload": {"S": json.dumps(_plain(upload), sort_keys=True)},
                        "expires_at": {"N": str(forgotten)},
                    },
                    ConditionExpression=condition,
                    **named,
                    **given,
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True


def _plain(upload: Upload) -> dict[str, Any]:
    received = {"received_at": iso(upload.received_at)} if upload.received_at else {}
    return asdict(upload) | {"expires_at": iso(upload.expires_at)} | received


def _upload(plain: dict[str, Any]) -> Upload:
    received = plain["received_at"]
    changes = {
        "state": UploadState(plain["state"]),
        "expires_at": datetime.fromisoformat(plain["expires_at"]),
        "received_at": datetime.fromisoformat(received) if received else None,
    }
    return Upload(**plain | changes)


@contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise Unavailable("uploads.unavailable", "the list of uploads did not answer") from error
