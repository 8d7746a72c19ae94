"""Large deliveries in the lake: what came in one file, in parts of rows. Layout, names and messages.

A file of more than `ROWS_ONLINE` rows does not take the stream's road, record by record. Its rows
stand in the lake bucket, in parts of at most `PART_ROWS`, numbered from one and named by the
SHA-256 of the file's bytes:

    staged/{tenant}/{raw_sha256}/part-00001.jsonl.gz               as read, before it is recorded
    staged/{tenant}/{raw_sha256}/{replay_id}/part-00001.jsonl.gz   as read again, for a replay
    lake/transactions/{tenant}/{raw_sha256}/part-00001.parquet     as recorded

When all parts are recorded, one event ``delivery.recorded`` says so; the ledger then gets one
message for each part (`PartMessage`), in any order, perhaps twice. Matching finds the parts here.

Columns of the Parquet parts (`COLUMNS`) are the fields of `Transaction`, flat, with its id and the
version that stood when the part was recorded. Instants are UTC without a zone. ``refs`` is a list
of ``{type, value, strength}``. A transaction may have advanced since: the version tells.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pardna.runtime.errors import InvalidInput

#: Up to so many rows a file's transactions are announced one by one.
ROWS_ONLINE = 5_000
PART_ROWS = 10_000

#: Name and DuckDB type of each column of a Parquet part, in order.
COLUMNS: Mapping[str, str] = {
    "tenant_id": "VARCHAR",
    "transaction_id": "VARCHAR",
    "version": "INTEGER",
    "source": "VARCHAR",
    "external_id": "VARCHAR",
    "side": "VARCHAR",
    "kind": "VARCHAR",
    "amount_minor": "BIGINT",
    "currency": "VARCHAR",
    "occurred_at": "TIMESTAMP",
    "value_date": "DATE",
    "account": "VARCHAR",
    "gross_minor": "BIGINT",
    "fee_minor": "BIGINT",
    "net_minor": "BIGINT",
    "counterparty_name": "VARCHAR",
    "counterparty_account": "VARCHAR",
    "description": "VARCHAR",
    "refs": 'STRUCT("type" VARCHAR, "value" VARCHAR, strength VARCHAR)[]',
    "batch_id": "VARCHAR",
    "raw_sha256": "VARCHAR",
    "raw_position": "VARCHAR",
}


def part_key(tenant_id: str, raw_sha256: str, part: int) -> str:
    """Where a part stands once it is recorded."""
    return f"lake/transactions/{tenant_id}/{raw_sha256}/part-{part:05d}.parquet"


def staged_key(tenant_id: str, raw_sha256: str, part: int, replay_id: str = "") -> str:
    """Where a part waits to be recorded; a replay's beside the first reading's."""
    folder = f"{raw_sha256}/{replay_id}" if replay_id else raw_sha256
    return f"staged/{tenant_id}/{folder}/part-{part:05d}.jsonl.gz"


def is_replay_id(text: object) -> bool:
    """Whether this can name a replay; the first reading's name is empty."""
    return isinstance(text, str) and _REPLAY_ID.fullmatch(text) is not None


_REPLAY_ID = re.compile(r"[0-9a-f]{0,64}")


@dataclass(frozen=True, slots=True)
class PartMessage:
    """One part of one delivery, for whoever works on it; `replay_id` names the reading."""

    tenant_id: str
    raw_sha256: str
    part: int
    parts: int
    correlation_id: str
    replay_id: str = ""

    @property
    def key(self) -> str:
        """The Parquet part's key in the lake bucket."""
        return part_key(self.tenant_id, self.raw_sha256, self.part)

    @property
    def staged_key(self) -> str:
        """The staged part's key in the lake bucket."""
        return staged_key(self.tenant_id, self.raw_sha256, self.part, self.replay_id)

    def to_json(self) -> str:
        """A queue's message."""
        return json.dumps(
            {
                "tenant_id": self.tenant_id,
                "raw_sha256": self.raw_sha256,
                "part": self.part,
                "parts": self.parts,
                "correlation_id": self.correlation_id,
                "replay_id": self.replay_id,
            },
            sort_keys=True,
        )

    @classmethod
    def from_json(cls, text: str) -> PartMessage:
        """The inverse; raises InvalidInput ``part.unreadable``."""
        try:
            raw = json.loads(text)
            message = cls(
                str(raw["tenant_id"]),
                str(raw["raw_sha256"]),
                raw["part"],
                raw["parts"],
                str(raw["correlation_id"]),
                raw.get("replay_id", ""),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InvalidInput("part.unreadable", "not a message about a part") from None
        if not is_replay_id(message.replay_id):
            raise InvalidInput("part.unreadable", "not a replay of ours")
        if type(message.part) is not int or type(message.parts) is not int:
            raise InvalidInput("part.unreadable", "a part has a number")
        return message


def body_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A Parquet row as `transactions.model.from_dict` takes it; extra columns are passed over."""
    body = {name: row[name] for name in COLUMNS if name not in _FLAT}
    body["counterparty"] = {
        "name": row["counterparty_name"],
        "account": row["counterparty_account"],
    }
    body["references"] = [dict(r) for r in row["refs"] or ()]
    body["occurred_at"] = f"{row['occurred_at']:%Y-%m-%dT%H:%M:%S.%f}+00:00"
    body["value_date"] = row["value_date"].isoformat() if row["value_date"] else None
    return body


_FLAT = frozenset(
    {"transaction_id", "version", "counterparty_name", "counterparty_account", "refs"}
    | {"occurred_at", "value_date"}
)


class StagedRow(NamedTuple):
    """A row of a staged part. `group` names the statement that it stands or falls with.

    `body` is the JSON of `transactions.model.to_dict`: it is copied on as it is, and never parsed
    on the way.
    """

    transaction_id: str
    content_hash: str
    group: str
    body: str


def to_lines(rows: Iterable[StagedRow]) -> bytes:
    """A staged part: a row a line, tabs between, JSON last; the same rows are the same bytes."""
    return gzip.compress("".join("\t".join(row) + "\n" for row in rows).encode(), 1, mtime=0)


def from_lines(data: bytes) -> list[StagedRow]:
    """The inverse of `to_lines`. Raises InvalidInput ``part.unreadable``."""
    try:
        lines = gzip.decompress(data).decode().split("\n")[:-1]
        return [StagedRow(*line.split("\t", 3)) for line in lines]
    except (OSError, EOFError, ValueError, TypeError):
        raise InvalidInput("part.unreadable", "not the rows of a part") from None
