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
from pydantic import ValidationError

from functions.ledger import archive_months, close_day, keep_books
from pardna.ledger import wiring
from pardna.ledger.anchor import Anchor
from pardna.ledger.archive import months_before
from pardna.ledger.export import export_lines
from pardna.ledger.verify import main
from pardna.runtime import clients
from pardna.runtime.errors import Conflict
from pardna.runtime.settings import settings
from tests.support.handlers import Context
from tests.support.ledger import (
    TENANT,
    age,
    assert_sound,
    document,
    entered,
    open_accounts,
    post,
    rows,
)
from tests.support.postgres import TestDatabase

EVENTS = Path(__file__).parents[3] / "events" / "ledger"
CACHES = (settings, clients.client, wiring.minute_upkeep, wiring.day_upkeep, wiring._archive)


def sample(name: str) -> dict[str, Any]:
    loaded = json.loads((EVENTS / f"{name}.json").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def s3(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("DATABASE_URL", database.runtime_conninfo)
    monkeypatch.setenv("RAW_BUCKET", "raw")
    monkeypatch.setenv("LAKE_BUCKET", "lake")
    with mock_aws():
        for cache in CACHES:
            cache.cache_clear()
        client = boto3.client("s3")
        client.create_bucket(Bucket="raw")
        client.create_bucket(Bucket="lake")
        open_accounts(database.runtime_conninfo, "a", "b")
        with entered(database.runtime_conninfo) as connection:
            post(connection, [document("1", "a", "b", 5)])
        yield client
        for kept in (wiring.minute_upkeep(), wiring.day_upkeep()[0], wiring._archive()[1]):
            kept._database.close()  # type: ignore[attr-defined]
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


def test_months_leave_only_where_somebody_said_how_many_stay(
    s3: Any, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = database.runtime_conninfo
    today = datetime.now(UTC).date()
    old = months_before(today, 2)
    age(database, days=(today - old).days - 5)
    sealed_by_schedule()
    close_day.handler({}, Context())
    event = sample("archive_months.schedule")
    nothing = {"months_detached_count": 0, "tenants_archived_count": 0, "waiting_count": 0}
    assert archive_months.handler(event, Context()) == nothing

    monkeypatch.setenv("LEDGER_MONTHS_KEPT", "1")
    settings.cache_clear()
    assert archive_months.handler(event, Context()) == nothing | {"waiting_count": 1}
    with entered(runtime) as connection:
        connection.execute("SELECT ledger.close_period(%s)", (months_before(today, 1),))
    done = archive_months.handler(event, Context())
    assert done == {"months_detached_count": 1, "tenants_archived_count": 1, "waiting_count": 0}
    assert len(s3.list_objects_v2(Bucket="lake")["Contents"]) == 3
    assert rows(runtime, "SELECT count(*) FROM ledger.journals") == [(0,)]
    assert_sound(runtime)

    with pytest.raises(Conflict, match="archive_order"):
        archive_months.handler(sample("archive_months.restore"), Context())
    back = {"restore": f"{old:%Y-%m}"}
    assert archive_months.handler(back, Context()) == {"restored": f"{old:%Y-%m}"}
    assert rows(runtime, "SELECT count(*) FROM ledger.journals") == [(1,)]
    with pytest.raises(ValidationError):
        archive_months.handler({"restore": "January"}, Context())
