"""Forms that let a browser or a script send one file straight to S3 (presigned POST)."""

from __future__ import annotations

from typing import Any

from pardna.ingestion.upload_model import UploadLink


class S3UploadLinks:
    """`UploadLinks`. S3 itself holds senders to key, size and time, before it stores anything."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def link(self, key: str, size: int, seconds: int) -> UploadLink:
        """See `UploadLinks`. No network: signed here, with this function's own permission."""
        form = self._client.generate_presigned_post(
            Bucket=self._bucket,
            Key=key,
            Conditions=[["content-length-range", size, size]],
            ExpiresIn=seconds,
        )
        return UploadLink(form["url"], dict(form["fields"]))
