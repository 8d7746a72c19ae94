"""Parts of large deliveries: what is written is what is read."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from pardna.runtime.errors import InvalidInput
from pardna.transactions.lake import (
    PartMessage,
    StagedRow,
    from_lines,
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
    path.write_bytes(to_parquet((t.transaction_id, v, json.dumps(to_dict(t))) for t, v in rows))

    assert [(r.transaction, r.version) for r in from_parquet(path)] == rows


def test_instants_of_any_zone_are_the_same_instants(tmp_path: Path) -> None:
    there = replace(
        PLAIN, occurred_at=datetime(2026, 1, 31, 23, 0, tzinfo=timezone(timedelta(hours=-5)))
    )
    path = tmp_path / "part.parquet"
    path.write_bytes(to_parquet([(there.transaction_id, 1, json.dumps(to_dict(there)))]))

    (back,) = from_parquet(path)
    assert back.transaction.occurred_at == datetime(2026, 2, 1, 4, 0, tzinfo=UTC)


def test_a_part_without_rows_is_a_part(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    path.write_bytes(to_parquet([]))

    assert from_parquet(path) == []


def test_the_same_rows_are_the_same_bytes() -> None:
    rows = [StagedRow("i", "h", "g", json.dumps({"a": "tab\t and \n line"})) for _ in range(2)]

    assert to_lines(rows) == to_lines(rows)
    assert from_lines(to_lines(rows)) == rows
    assert from_lines(to_lines([])) == []


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(b"no row\n", mtime=0)])
def test_what_is_no_part_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="rows of a part"):
        from_lines(data)


def test_a_message_names_its_part() -> None:
    message = PartMessage("hand", "0" * 64, 3, 100, "cause")

    assert PartMessage.from_json(message.to_json()) == message
    assert message.key == part_key("hand", "0" * 64, 3)
    assert message.staged_key == staged_key("hand", "0" * 64, 3)


def test_a_replay_waits_beside_the_first_reading_and_is_kept_in_its_place() -> None:
    message = PartMessage("hand", "0" * 64, 3, 100, "cause", "a" * 32)

    assert PartMessage.from_json(message.to_json()) == message
    assert message.key == part_key("hand", "0" * 64, 3)
    assert message.staged_key != staged_key("hand", "0" * 64, 3)
    older = message.to_json().replace('"replay_id": "' + "a" * 32 + '", ', "")
    assert PartMessage.from_json(older).replay_id == ""


@pytest.mark.parametrize("name", ["../x", "A", "a" * 65, 7, None])
def test_a_replay_that_is_none_of_ours_is_refused(name: object) -> None:
    said = json.loads(PartMessage("hand", "0" * 64, 3, 100, "cause").to_json())
    with pytest.raises(InvalidInput, match="replay"):
        PartMessage.from_json(json.dumps(said | {"replay_id": name}))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"tenant_id": "hand"}'])
def test_another_message_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="about a part"):
        PartMessage.from_json(text)
