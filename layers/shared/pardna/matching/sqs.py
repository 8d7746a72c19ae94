"""Where records go that a consumer cannot process: whole, on a queue of their own."""

from __future__ import annotations

import base64
import json
from typing import Any

from pardna.runtime.limits import SQS_MESSAGE_BYTES_MAX

#: Room for the envelope around the record.
_DATA_MAX = SQS_MESSAGE_BYTES_MAX - 4_096


class PoisonQueue:
    """Keeps poison records so that they can be sent again after the stream has forgotten them."""

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._url = queue_url

    def put(self, data: bytes, error_code: str, sequence_number: str) -> None:
        """Keep one record whole; one that no message can hold is compressed."""
        text, encoding = base64.b64encode(data).decode(), "base64"
        if len(text) > _DATA_MAX:
            import zlib  # only for records far above the usual size

            text, encoding = base64.b64encode(zlib.compress(data, 9)).decode(), "base64+zlib"
        body = {
            "consumer": "match_online",
            "data": text,
            "encoding": encoding,
            "error_code": error_code,
            "sequence_number": sequence_number,
        }
        self._client.send_message(QueueUrl=self._url, MessageBody=json.dumps(body, sort_keys=True))
