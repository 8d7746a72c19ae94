"""Parts of large deliveries in the lake bucket, as legs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pardna.matching.model import Leg, Pair, legs_of
from pardna.matching.ports import LakePart, RunFiles

_PARTS = "lake/transactions/"


class S3LakeLegs:
    """`ports.LakeLegs`. A part that was worked through has a marker among the runs' files."""

    def __init__(self, client: Any, bucket: str, files: RunFiles) -> None:
        self._client = client
        self._bucket = bucket
        self._files = files

    def pending(self, tenant_id: str) -> list[LakePart]:
        """See `LakeLegs`."""
        done = {
            key.removeprefix(_marker(tenant_id, "")) for key in self._keys(_marker(tenant_id, ""))
        }
        prefix = f"{_PARTS}{tenant_id}/"
        names = [key.removeprefix(prefix) for key in self._keys(prefix)]
        return [
            LakePart(prefix + name, name.partition("/")[0])
            for name in sorted(names)
            if name.endswith(".parquet") and name not in done
        ]

    def legs(self, part: LakePart, pair: Pair | None = None, currency: str = "") -> Iterator[Leg]:
        """See `LakeLegs`."""
        from pardna.transactions.parquet import from_parquet

        body = self._client.get_object(Bucket=self._bucket, Key=part.key)["Body"].read()
        with tempfile.TemporaryDirectory(prefix="part-") as folder:
            path = Path(folder) / "part.parquet"
            path.write_bytes(body)
            of = (pair.left.value, pair.right.value) if pair else ()
            recorded = from_parquet(path, of, currency if pair else "")
        for one in recorded:
            for leg in legs_of(one.transaction, one.version):
                if pair is None or leg.pair is pair:
                    yield leg

    def absorbed(self, tenant_id: str, part: LakePart) -> None:
        """See `LakeLegs`."""
        name = part.key.removeprefix(f"{_PARTS}{tenant_id}/")
        self._files.put_once(_marker(tenant_id, name), b"{}")

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            yield from (found["Key"] for found in page.get("Contents", ()))


def _marker(tenant_id: str, name: str) -> str:
    return f"runs/{tenant_id}/absorbed/{name}"
