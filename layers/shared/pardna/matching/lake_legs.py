# ruff: noqa: S608  (statements are built from names and paths of ours; values are parameters)
"""Parts of large deliveries in the lake bucket, as legs: column by column, no row becomes an object.

The statements say what `model.pairs_of` and `model.legs_of` say of one transaction;
`tests/unit/matching/test_legs_wire.py` holds them to each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pardna.matching.model import Pair
from pardna.matching.ports import LakePart, RunFiles

_PARTS = "lake/transactions/"

#: Rows with what decides in which pairs they are legs.
_ROWS = """CREATE VIEW rows AS SELECT *,
 list_contains(list_transform(refs, lambda r: r.type), 'payout') AS names_payout,
 list_distinct([r.value FOR r IN refs IF r.type = 'rail']) AS rails
FROM read_parquet($paths)"""
_CARD = "('charge', 'refund', 'contribution')"
_SETTLED = "('charge', 'refund', 'fee', 'dispute', 'dispute_reversal', 'adjustment', 'transfer')"
#: Each transaction with its pairs.
_PAIRED = f"""CREATE VIEW paired AS SELECT *, CASE side
 WHEN 'internal' THEN CASE
  WHEN kind = 'draw' THEN ['internal~bank']
  WHEN rails = ['card'] THEN ['internal~psp']
  WHEN len(rails) > 0 AND NOT list_contains(rails, 'card') THEN ['internal~bank']
  ELSE ['internal~psp', 'internal~bank'] END
 WHEN 'bank' THEN CASE
  WHEN kind <> 'fee' AND (amount_minor > 0 OR names_payout) THEN ['internal~bank', 'psp~bank']
  ELSE ['internal~bank'] END
 ELSE list_concat(
  CASE WHEN kind IN {_CARD} THEN ['internal~psp'] ELSE [] END,
  CASE WHEN kind = 'payout' OR (batch_id <> '' AND kind IN {_SETTLED}) THEN ['psp~bank'] ELSE [] END)
 END AS pairs FROM rows"""
#: The columns of `legs_file`; of a transaction that came twice, the later version.
_LEGS = """CREATE TABLE legs AS SELECT
 transaction_id AS id, CASE WHEN starts_with(pair, side) THEN 'l' ELSE 'r' END AS side, kind,
 CASE WHEN side <> 'psp' THEN amount_minor
  WHEN pair = 'internal~psp' THEN coalesce(gross_minor, amount_minor)
  WHEN kind = 'payout' THEN coalesce(net_minor, amount_minor) ELSE net_minor END AS basis,
 currency, batch_id AS batch, counterparty_name AS name,
 [{'type': r.type, 'value': r.value, 'strong': r.strength = 'strong'}
  FOR r IN list_sort(coalesce(refs, []))] AS refs,
 true AS lake, source, coalesce(value_date, occurred_at::DATE) AS day, account, tenant_id, pair,
 version, side AS told_by, external_id, amount_minor AS amount,
 strftime(occurred_at, '%Y-%m-%dT%H:%M:%S') || CASE WHEN date_part('microsecond', occurred_at) % 1000000 <> 0
  THEN strftime(occurred_at, '.%f') ELSE '' END || '+00:00' AS occurred_at,
 value_date, gross_minor AS gross, fee_minor AS fee, net_minor AS net, description,
 CASE WHEN side = 'psp' THEN [] ELSE list_filter(pairs, lambda p: p <> pair) END AS exclusive,
 NULL::VARCHAR AS said_name, NULL::STRUCT(type VARCHAR, value VARCHAR, strong BOOLEAN)[] AS said_refs
FROM (SELECT *, unnest(pairs) AS pair FROM paired WHERE $currency = '' OR currency = $currency)
WHERE $pair = '' OR pair = $pair
QUALIFY row_number() OVER (PARTITION BY pair, id ORDER BY version DESC, raw_sha256, raw_position) = 1"""


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

    def file(
        self, parts: Sequence[LakePart], pair: Pair | None = None, currency: str = ""
    ) -> bytes:
        """See `LakeLegs`."""
        from pardna.matching.legs_file import copied, workspace

        with workspace() as (con, folder):
            paths = []
            for number, part in enumerate(parts):
                answer = self._client.get_object(Bucket=self._bucket, Key=part.key)
                paths.append(folder / f"part-{number}.parquet")
                paths[-1].write_bytes(answer["Body"].read())
            con.execute(_ROWS.replace("$paths", str([str(path) for path in paths])))
            con.execute(_PAIRED)
            con.execute(_LEGS, {"pair": pair.value if pair else "", "currency": currency})
            return copied(con, "legs", folder / "legs.parquet")

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
