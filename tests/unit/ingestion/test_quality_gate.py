"""What the gate leaves behind, in which order, and a process killed at each of its write boundaries."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from pardna.ingestion import quality_daily, quality_gate
from pardna.ingestion.model import RawKey, Receipt
from pardna.ingestion.normalise import NormaliseObject
from pardna.ingestion.quality_daily import ReportQuality
from pardna.ingestion.quality_gate import QualityGate
from pardna.ingestion.quality_report import QualityReport, SourceDay, is_expected, report_key
from pardna.runtime.errors import InvalidInput, Unavailable
from pardna.runtime.events import Envelope
from pardna.transactions.ports import DeliveryStatus
from tests.fakes.ingestion import CollectingAnswers, CountingDrain, MemoryRawStore, MemorySources
from tests.fakes.outbox import FixedTenants
from tests.fakes.quality import MemoryHistory, MemoryRestriction
from tests.fakes.transactions import MemoryTransactionStore
from tests.support.ingestion import NOON, TENANT, a_bank_source, a_stripe_source
from tests.support.quarantine import FILE, LAYOUT
from tests.unit.ingestion.test_normalise import numbered

CARD = "4111111111111111"
WITH_CARD = FILE.replace("Service charge", f"POS {CARD}")
FRIDAY = date(2026, 2, 6)


class Home:
    """Ingestion behind the gate, on fakes."""

    def __init__(self) -> None:
        self.raw = MemoryRawStore()
        self.store = MemoryTransactionStore()
        self.history = MemoryHistory()
        self.restriction = MemoryRestriction()
        self.relay = CountingDrain()
        self.gate = QualityGate(self.store, self.history, self.restriction)
        sources = MemorySources(a_bank_source(layout=json.dumps(LAYOUT)), a_stripe_source())
        self.normaliser = NormaliseObject(
            self.raw, sources, self.store, CollectingAnswers(), self.relay, gate=self.gate
        )

    def bring(
        self,
        text: str,
        name: str = "a.csv",
        source: str = "ncb",
        channel: str = "sftp",
        days: int = 0,
    ) -> DeliveryStatus:
        receipt = Receipt(source, channel, name, NOON + timedelta(days=days))
        kept = self.raw.put_named(TENANT, text.encode(), receipt)
        key = RawKey(TENANT, kept.raw_sha256)
        return self.normaliser.normalise(key, "c-1").status

    @property
    def state(self) -> Any:
        heads = {i: (r.transaction.content_hash, r.version) for i, r in self.store.heads.items()}
        return heads, set(self.store.rejected), set(self.store.received), self.restriction.closed


def test_every_write_of_the_gate_and_of_the_report_is_on_the_list() -> None:
    for module in (quality_gate, quality_daily):
        assert numbered(module) == {1, 2}
        assert all(f"\n{n}. " in (module.__doc__ or "") for n in (1, 2))


@pytest.mark.parametrize("boundary", ["restriction", "history", "store", "relay"])
def test_killed_at_a_boundary_a_second_run_ends_where_an_unharmed_one_does(boundary: str) -> None:
    unharmed, harmed = Home(), Home()
    unharmed.bring(WITH_CARD)
    getattr(harmed, boundary).fail_next = 1
    with pytest.raises(Unavailable):
        harmed.bring(WITH_CARD)
    if boundary != "restriction":
        assert harmed.restriction.closed  # first of all it is closed
    harmed.bring(WITH_CARD)
    assert harmed.state == unharmed.state
    assert harmed.history.known == unharmed.history.known


def test_a_file_with_cards_that_nobody_can_read_is_closed_too() -> None:
    home = Home()
    assert home.bring(f"hello\n{CARD}\n") is DeliveryStatus.REFUSED
    assert len(home.restriction.closed) == 1


def test_a_file_named_by_a_card_is_closed_and_its_rows_count() -> None:
    home = Home()
    assert home.bring(FILE, name=f"{CARD}.csv") is DeliveryStatus.ACCEPTED
    assert len(home.restriction.closed) == 1
    assert CARD not in repr(home.store.received)


def test_a_file_without_cards_stays_open() -> None:
    home = Home()
    assert home.bring(FILE) is DeliveryStatus.ACCEPTED
    assert home.restriction.closed == set()


def test_no_word_of_a_delivery_holds_the_number() -> None:
    home = Home()
    home.bring(WITH_CARD, name=f"{CARD}.csv")
    assert CARD not in repr(home.store.received) + repr(home.store.rejected) + repr(
        home.store.heads
    )


def test_a_new_column_and_an_unusual_volume_are_told_with_the_numbers() -> None:
    home = Home()
    for week in range(6):
        home.bring(FILE.replace("NCB1", f"A{week}"), days=7 * week)
    text = FILE.replace("Debit,Credit,Balance\n", "Debit,Credit,Balance,Branch\n")
    text = text.replace('"6,000.00"\n', '"6,000.00",KGN\n').replace(
        '"5,850.00"\n', '"5,850.00",KGN\n'
    )
    text = text.replace('"4,850.00"\n', '"4,850.00",KGN\n')
    text += "".join(f'06/02/2026,x,R{n},,"1.00","{4851 + n}.00",KGN\n' for n in range(200))
    assert home.bring(text, "b.csv", days=42) is DeliveryStatus.ACCEPTED_WITH_WARNINGS
    (delivery,) = [d for d in home.store.received.values() if d.name == "b.csv"]
    told = {p["code"]: p["reason"] for p in delivery.problems}
    assert told["schema.drift"] == "new since the last delivery: Branch"
    assert "203 rows; the last 6 Saturdays had a median of 3" in told["volume.unusual"]


def test_a_poll_may_bring_any_number_of_rows() -> None:
    home = Home()
    for week in range(8):
        home.bring(FILE.replace("NCB1", f"A{week}"), channel="poll", days=7 * week)
    rows = "".join(f'06/02/2026,x,R{n},,"1.00","{4851 + n}.00"\n' for n in range(200))
    assert home.bring(FILE + rows, channel="poll", days=56) is DeliveryStatus.ACCEPTED


def test_webhooks_are_not_compared() -> None:
    home = Home()
    home.bring('{"object": "event"}', source="stripe", channel="webhook")
    assert home.history.known == {}


class Shelf:
    """`ReportShelf`."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.fail_next = 0

    def put(self, key: str, body: bytes, content_type: str) -> bool:
        if self.fail_next:
            self.fail_next -= 1
            raise Unavailable("packs.unavailable", "told to fail")
        is_new = self.kept.get(key) != body
        self.kept[key] = body
        return is_new


class Outbox:
    """`Outbox`: events by id."""

    def __init__(self) -> None:
        self.said: dict[str, Envelope] = {}
        self.fail_next = 0

    def announce(self, tenant_id: str, envelopes: list[Envelope]) -> None:
        if self.fail_next:
            self.fail_next -= 1
            raise Unavailable("database.unavailable", "told to fail")
        self.said |= {e.event_id: e for e in envelopes}


class Days:
    """`QualityFacts`: what was put in."""

    def __init__(self, *found: SourceDay, broken: str = "") -> None:
        self.found = list(found)
        self.broken = broken

    def of_day(self, tenant_id: str, day: date) -> list[SourceDay]:
        if tenant_id == self.broken:
            raise Unavailable("database.unavailable", "told to fail")
        return self.found


def a_report(days: Days, *tenants: str) -> tuple[ReportQuality, Shelf, Outbox, CountingDrain]:
    shelf, outbox, relay = Shelf(), Outbox(), CountingDrain()
    sources = MemorySources(a_bank_source(), a_stripe_source(enabled=False))
    found = FixedTenants(*(tenants or (TENANT,)))
    report = ReportQuality(days, sources, shelf, outbox, relay, found, lambda: NOON)
    return report, shelf, outbox, relay


SILENT = SourceDay(
    "ncb", days_with_deliveries=frozenset(FRIDAY - timedelta(n) for n in range(1, 8))
)


def test_a_silent_source_is_told_and_one_that_is_switched_off_is_not() -> None:
    off = SourceDay("stripe", days_with_deliveries=SILENT.days_with_deliveries)
    report, shelf, outbox, relay = a_report(Days(SILENT, off))
    assert report.report("c-1", TENANT, FRIDAY.isoformat()) == 1
    (alert,) = outbox.said.values()
    assert alert.data["message"].count("expected") == 1
    assert "ncb: nothing came" in alert.data["message"]
    document = json.loads(shelf.kept[report_key(TENANT, FRIDAY, "json")])
    assert {s["source_id"]: s["silent"] for s in document["sources"]} == {
        "ncb": True,
        "stripe": False,
    }
    assert relay.drained == [TENANT]


@pytest.mark.parametrize("boundary", ["shelf", "outbox", "relay"])
def test_a_report_killed_at_a_boundary_tells_once_in_the_end(boundary: str) -> None:
    report, shelf, outbox, relay = a_report(Days(SILENT))
    {"shelf": shelf, "outbox": outbox, "relay": relay}[boundary].fail_next = 1
    with pytest.raises(Unavailable):
        report.report("c-1", TENANT, FRIDAY.isoformat())
    for _ in range(2):
        assert report.report("c-2", TENANT, FRIDAY.isoformat()) == 1
    assert len(outbox.said) == 1
    assert len(shelf.kept) == 2


def test_one_tenants_trouble_does_not_stop_the_others() -> None:
    report, shelf, _, _ = a_report(Days(broken="a-one"), "a-one", TENANT)
    with pytest.raises(Unavailable):
        report.report("c-1")
    yesterday = (NOON - timedelta(days=1)).date()
    assert report_key(TENANT, yesterday, "html") in shelf.kept
    with pytest.raises(InvalidInput):
        report.report("c-1", TENANT, "yesterday")


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        ([7, 14, 21, 28], True),
        ([7, 14, 28], True),
        ([7, 14], False),
        ([1, 2, 3, 4, 5], True),
        ([1, 2, 3, 4], False),
        ([6, 13, 20, 27], False),  # it delivers on Saturdays
        ([], False),
    ],
)
def test_when_a_source_is_expected(ago: list[int], expected: bool) -> None:
    assert is_expected({FRIDAY - timedelta(days=n) for n in ago}, FRIDAY) is expected


def test_nothing_in_the_page_is_markup_but_ours() -> None:
    evil = SourceDay("<script>x</script>", problems={"<b>": 1}, deliveries={"refused": 1})
    page = QualityReport(TENANT, FRIDAY, (evil,)).to_html().decode()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page
