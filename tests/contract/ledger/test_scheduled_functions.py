"""The functions that run by schedule, on a real PostgreSQL and an emulated S3."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.ledger import close_day, keep_books
from pardna.ledger import wiring
from pardna.ledger.anchor import Anchor
from pardna.ledger.export import export_lines
from pardna.ledger.verify import main
from pardna.runtime import clients
from pardna.runtime.settings import settings
from tests.support.handlers import Context
from tests.support.ledger import TENANT, age, document, entered, open_accounts, post
from tests.support.postgres import TestDatabase

EVENTS = Path(__file__).parents[3] / "events" / "ledger"
CACHES = (settings, clients.client, wiring.minute_upkeep, wiring.day_upkeep)


def sample(name: str) -> dict[str, Any]:
    loaded = json.loads((EVENTS / f"{name}.json").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def s3(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("DATABASE_URL", database.runtime_conninfo)
    monkeypatch.setenv("RAW_BUCKET", "raw")
    with mock_aws():
        for cache in CACHES:
            cache.cache_clear()
        client = boto3.client("s3")
        client.create_bucket(Bucket="raw")
        open_accounts(database.runtime_conninfo, "a", "b")
        with entered(database.runtime_conninfo) as connection:
            post(connection, [document("1", "a", "b", 5)])
        yield client
        for made in (wiring.minute_upkeep, wiring.day_upkeep):
            kept: Any = made()
            (kept[0] if isinstance(kept, tuple) else kept)._database.close()
        for cache in CACHES:
            cache.cache_clear()


def sealed_by_schedule() -> int:
    """Blocks sealed; the server's own housekeeping may hold sealing back for a moment."""
    for _ in range(100):
        answer = keep_books.handler(sample("keep_books.schedule"), Context())
        assert answer["refused_count"] == 0
        if answer["blocks_sealed_count"]:
            return answer["blocks_sealed_count"]
        time.sleep(0.05)
    return 0


def metrics_in(text: str) -> dict[str, float]:
    """Metrics of all lines in CloudWatch's embedded format."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        logged = json.loads(line) if line.startswith("{") else {}
        for group in logged.get("_aws", {}).get("CloudWatchMetrics", []):
            found |= {m["Name"]: logged[m["Name"]][-1] for m in group["Metrics"]}
    return found


@pytest.mark.usefixtures("s3")
def test_books_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert sealed_by_schedule() == 1
    counted = metrics_in(capsys.readouterr().out)
    assert counted["BlocksSealed"] == 1
    assert {"HoldsExpired", "SealLagSeconds", "LedgerUpkeepRefused"} <= set(counted)


def test_a_day_is_closed_and_its_anchor_proves_an_export(
    s3: Any, database: TestDatabase, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    age(database, days=2)
    sealed_by_schedule()
    event = sample("close_day.schedule")
    answer = close_day.handler(event, Context())
    assert answer["snapshots_taken_count"] == 2
    assert (answer["anchors_written_count"], answer["months_ahead_count"]) == (1, 12)
    again = close_day.handler(event, Context())
    assert (again["snapshots_taken_count"], again["anchors_written_count"]) == (0, 0)
    counted = metrics_in(capsys.readouterr().out)
    assert (counted["BalancesDrifted"], counted["AnchorsBroken"]) == (0, 0)

    [kept] = s3.list_objects_v2(Bucket="raw")["Contents"]
    assert kept["Key"] == f"anchors/{TENANT}/{datetime.now(UTC).date()}.json"
    text = s3.get_object(Bucket="raw", Key=kept["Key"])["Body"].read().decode()
    assert Anchor.from_json(text).height == 1
    anchor, export = tmp_path / "anchor.json", tmp_path / "export.jsonl"
    anchor.write_text(text)
    with entered(database.runtime_conninfo) as connection:
        export.write_text("\n".join(export_lines(connection, TENANT)))
    assert main([str(export), "--anchor", str(anchor)]) == 0


def test_an_anchor_that_cannot_be_read_is_refused_aloud(s3: Any) -> None:
    sealed_by_schedule()
    day = datetime.now(UTC).date()
    s3.put_object(Bucket="raw", Key=f"anchors/{TENANT}/{day}.json", Body=b"{}")
    answer = close_day.handler({}, Context())
    assert (answer["refused_count"], answer["anchors_written_count"]) == (1, 0)
