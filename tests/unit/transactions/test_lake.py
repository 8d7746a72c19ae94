"""Parts of large deliveries: what is written is what is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pardna.runtime.errors import InvalidInput
from pardna.transactions.lake import (
    PartMessage,
    from_lines,
    lake_row,
    part_key,
    staged_key,
    to_lines,
)
from pardna.transactions.model import (
    Counterparty,
    Kind,
    Reference,
    Side,
    Strength,
    Transaction,
    to_dict,
)
from pardna.transactions.parquet import from_parquet, to_parquet

PLAIN = Transaction(
    tenant_id="hand",
    source="stripe:acct_1",
    external_id="txn_1",
    side=Side.PSP,
    kind=Kind.CHARGE,
    amount_minor=-(2**62),
    currency="JMD",
    occurred_at=datetime(2026, 1, 31, 23, 59, 59, 123456, tzinfo=UTC),
    raw_sha256="0" * 64,
    raw_position="line 2",
)
FULL = replace(
    PLAIN,
    external_id="a 'quoted' \\ \"id\"",
    amount_minor=500_000,
    gross_minor=500_000,
    fee_minor=0,
    net_minor=500_000,
    value_date=date(1999, 12, 31),
    counterparty=Counterparty("Aviß 兄\u2028弟", "JM-1"),
    description="commas, and\ttabs",
    references=(
        Reference("charge", "ch_1", Strength.STRONG),
        Reference("text", "it's", Strength.WEAK),
    ),
    batch_id="po_1",
)


def test_a_parquet_part_gives_back_what_was_put_in(tmp_path: Path) -> None:
    rows = [(PLAIN, 1), (FULL, 7)]
    path = tmp_path / "part.parquet"
    path.write_bytes(to_parquet(lake_row(to_dict(t), t.transaction_id, v) for t, v in rows))

    assert [(r.transaction, r.version) for r in from_parquet(path)] == rows


def test_a_part_without_rows_is_a_part(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    path.write_bytes(to_parquet([]))

    assert from_parquet(path) == []


def test_the_same_rows_are_the_same_bytes() -> None:
    assert to_lines(['{"a":1}', '{"a":2}']) == to_lines(['{"a":1}', '{"a":2}'])
    assert from_lines(to_lines(['{"a":1}', '{"a":2}'])) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("data", [b"no gzip", to_lines(["{"])])
def test_what_is_no_part_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="rows of a part"):
        from_lines(data)


def test_a_message_names_its_part() -> None:
    message = PartMessage("hand", "0" * 64, 3, 100, "cause")

    assert PartMessage.from_json(message.to_json()) == message
    assert message.key == part_key("hand", "0" * 64, 3)
    assert message.staged_key == staged_key("hand", "0" * 64, 3)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"tenant_id": "hand"}'])
def test_another_message_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="about a part"):
        PartMessage.from_json(text)
