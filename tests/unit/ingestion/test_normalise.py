"""Normalising: what counts, what is put aside, and a process killed at each write boundary."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import replace
from types import ModuleType

import pytest

from pardna.ingestion import bulk, normalise
from pardna.ingestion.messages import Arrival, each, read_arrival
from pardna.ingestion.model import RawKey, receipt_id
from pardna.ingestion.normalise import NormaliseObject
from pardna.runtime.errors import InvalidInput, Unavailable
from pardna.transactions.ports import DeliveryStatus
from tests.fakes.ingestion import (
    CollectingAnswers,
    CollectingLargeObjects,
    CountingDrain,
    MemoryEventBook,
    MemoryPendingBook,
    MemoryRawStore,
    MemorySources,
)
from tests.fakes.transactions import MemoryTransactionStore
from tests.support.formats import a_camt053, an_entry
from tests.support.ingestion import (
    TENANT,
    a_bank_source,
    a_receipt,
    a_stripe_source,
    keys_of,
)
from tests.unit.formats.test_csv_profile import STATEMENT, a_profile
from tests.unit.formats.test_pain002 import REPORT
from tests.unit.formats.test_stripe import event

GOOD = a_camt053(an_entry())


class Home:
    """Ingestion on fakes."""

    def __init__(self, **bank: str) -> None:
        self.raw = MemoryRawStore()
        self.store = MemoryTransactionStore()
        self.answers = CollectingAnswers()
        self.relay = CountingDrain()
        self.events = MemoryEventBook()
        sources = MemorySources(a_bank_source(**bank), a_stripe_source())
        self.pending = MemoryPendingBook(
            lambda key: not self.store.undelivered(key.tenant_id, [key.raw_sha256])
        )
        self.normaliser = NormaliseObject(
            self.raw,
            sources,
            self.store,
            self.answers,
            self.relay,
            events=self.events,
            pending=self.pending,
        )

    def keep(self, data: bytes, name: str = "a.xml", source_id: str = "ncb") -> RawKey:
        kept = self.raw.put_named(TENANT, data, a_receipt(source_id, name))
        return RawKey(TENANT, kept.raw_sha256)

    def bring(self, data: bytes, **how: str) -> DeliveryStatus:
        return self.normaliser.normalise(self.keep(data, **how), "c-1").status

    @property
    def said(self) -> list[tuple[str, int, int]]:
        """Every head: external id, amount, version."""
        return sorted(
            (r.transaction.external_id, r.transaction.amount_minor, r.version)
            for r in self.store.heads.values()
        )


def a_file(*statements: bytes) -> bytes:
    """Several statements in one camt.053."""
    inner = b"".join(s[s.index(b"<Stmt>") : s.index(b"</BkToCstmrStmt>")] for s in statements)
    head = statements[0][: statements[0].index(b"<Stmt>")]
    return head + inner + b"</BkToCstmrStmt></Document>"


def test_a_good_statement_is_recorded_and_its_news_leave() -> None:
    home = Home()
    assert home.bring(GOOD) is DeliveryStatus.ACCEPTED
    assert home.said == [("NCB-1|2026-01-31|500000", 500_000, 1)]
    assert home.relay.drained == [TENANT]
    (statement,) = home.store.statements.values()
    assert statement.ties
    (delivery,) = home.store.deliveries(TENANT, home.keep(GOOD).raw_sha256)
    assert (delivery.format, delivery.entries_count) == ("camt.053.001.08", 1)


def test_a_source_with_a_layout_is_read_by_it() -> None:
    home = Home(layout=a_profile().model_dump_json())
    assert home.bring(STATEMENT.encode(), name="a.csv") is DeliveryStatus.ACCEPTED
    assert sorted(amount for _, amount, _ in home.said) == [-15_000, 500_000]
    assert home.bring(GOOD) is DeliveryStatus.REFUSED


def test_a_statement_that_does_not_add_up_is_named_and_the_others_go_on() -> None:
    home = Home()
    wrong = a_camt053(an_entry(reference="BAD"), closing="5100.01", statement_id="S-BAD")
    before, after = (
        a_camt053(an_entry(reference=r), statement_id=f"S-{r}") for r in ("BEFORE", "AFTER")
    )
    assert home.bring(a_file(before, wrong, after)) is DeliveryStatus.ACCEPTED_WITH_WARNINGS
    assert sorted(external_id for external_id, _, _ in home.said) == [
        "AFTER|2026-01-31|500000",
        "BEFORE|2026-01-31|500000",
    ]
    (rejected,) = home.store.rejected.values()
    assert rejected.code == "statement.does_not_tie"
    assert rejected.position == "statement 2"
    assert "S-BAD" in rejected.reason
    assert "1 minor units" in rejected.reason
    assert sorted(s.ties for s in home.store.statements.values()) == [False, True, True]


def test_a_file_whose_only_statement_does_not_add_up_is_quarantined_whole() -> None:
    home = Home()
    assert home.bring(a_camt053(an_entry(), closing="1.00")) is DeliveryStatus.QUARANTINED
    assert home.said == []
    assert home.store.announced == {}


def test_a_bad_row_makes_a_statement_that_still_adds_up_count_without_it() -> None:
    home = Home()
    entries = an_entry(), an_entry("0.005", reference="ODD")
    assert home.bring(a_camt053(*entries)) is DeliveryStatus.ACCEPTED_WITH_WARNINGS
    assert len(home.said) == 1
    assert [r.code for r in home.store.rejected.values()] == ["entry.amount"]


def test_a_statement_in_a_foreign_currency_is_put_aside() -> None:
    home = Home()
    assert home.bring(GOOD.replace(b"JMD", b"USD")) is DeliveryStatus.QUARANTINED
    assert [r.code for r in home.store.rejected.values()] == ["statement.currency"]


def a_day(day: int, opening: str, closing: str) -> bytes:
    data = a_camt053(an_entry(reference=f"D{day}"), opening=opening, closing=closing)
    dates = f"<FrToDt><FrDtTm>2026-02-{day:02d}T00:00:00Z</FrDtTm><ToDtTm>2026-02-{day:02d}T23:00:00Z</ToDtTm></FrToDt>"
    return data.replace(b"</Id><Acct>", f"</Id>{dates}<Acct>".encode(), 1)


def test_a_statement_that_is_missing_between_two_is_told_and_both_count() -> None:
    home = Home()
    assert home.bring(a_day(2, "0.00", "5000.00"), name="2.xml") is DeliveryStatus.ACCEPTED
    assert home.bring(a_day(3, "5000.00", "10000.00"), name="3.xml") is DeliveryStatus.ACCEPTED
    gap = home.bring(a_day(5, "15000.00", "20000.00"), name="5.xml")
    assert gap is DeliveryStatus.ACCEPTED_WITH_WARNINGS
    assert len(home.said) == 3
    late = home.bring(a_day(4, "10000.00", "15000.00"), name="4.xml")
    assert late is DeliveryStatus.ACCEPTED
    codes = {p["code"] for d in home.store.received.values() for p in d.problems}
    assert codes == {"statement.gap"}


def test_every_write_of_normalising_is_on_the_list() -> None:
    """A write that is added must be added to the numbered boundaries, and be safe to repeat."""
    writes: list[str] = []
    home = Home()

    def noted(name: str, port: object, method: str) -> object:
        class Noting:
            def __getattr__(self, asked: str) -> object:
                found = getattr(port, asked)
                if callable(found) and asked == method:
                    writes.append(name)
                return found

        return Noting()

    home.normaliser = NormaliseObject(
        home.raw,
        MemorySources(a_bank_source()),
        noted("2 store", home.store, "record"),  # type: ignore[arg-type]
        noted("1 answers", home.answers, "apply"),  # type: ignore[arg-type]
        noted("3 relay", home.relay, "drain"),  # type: ignore[arg-type]
        pending=noted("6 pending", home.pending, "begin"),  # type: ignore[arg-type]
    )
    home.bring(REPORT.format(version="03").encode())
    assert writes == ["6 pending", "1 answers", "2 store", "3 relay"]
    listed = normalise.__doc__ or ""
    assert all(f"{n.split()[0]}. " in listed for n in writes)
    home.normaliser = replace(home.normaliser, large=CollectingLargeObjects())
    assert numbered(normalise) == {1, 2, 3, 4, 5, 6}
    assert all(f"{n}. " in listed for n in numbered(normalise))
    assert numbered(bulk) == {1, 2, 3, 4}
    assert all((bulk.__doc__ or "").count(f"\n{n}. ") == 2 for n in (1, 2, 3))


def numbered(module: ModuleType) -> set[int]:
    """The boundaries that a module's source marks."""
    return {int(n) for n in re.findall(r"# boundary (\d)", inspect.getsource(module))}


def test_one_strong_reference_on_two_entries_is_told_and_both_count() -> None:
    details = "<TxDtls><Refs><EndToEndId>E-1</EndToEndId></Refs></TxDtls>"
    twice = an_entry(reference="A", details=details), an_entry(reference="B", details=details)
    home = Home()
    status = home.bring(a_camt053(*twice, closing="10100.00"))
    assert status is DeliveryStatus.ACCEPTED_WITH_WARNINGS
    assert len(home.said) == 2
    assert home.store.rejected == {}


def test_the_same_bytes_under_another_name_are_a_duplicate_without_effect() -> None:
    home = Home()
    home.bring(GOOD)
    before = dict(home.store.heads), dict(home.store.announced)
    key = home.keep(GOOD, name="b.xml")
    receipt = RawKey(TENANT, key.raw_sha256, receipt_id("ncb", "b.xml"))
    assert home.normaliser.normalise(receipt, "c-2").status is DeliveryStatus.DUPLICATE
    assert (home.store.heads, home.store.announced) == before
    statuses = {d.name: d.status for d in home.store.deliveries(TENANT, key.raw_sha256)}
    assert statuses == {"a.xml": DeliveryStatus.ACCEPTED, "b.xml": DeliveryStatus.DUPLICATE}


def test_the_same_statement_in_other_bytes_changes_nothing() -> None:
    home = Home()
    home.bring(GOOD)
    before = home.said
    assert home.bring(GOOD.replace(b"M-1", b"M-2"), name="c.xml") is DeliveryStatus.ACCEPTED
    assert home.said == before


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"<a/>",
        b"\x00" * 10,
        b'{"object":"event"}',
        b"<!DOCTYPE a []><a/>",
        GOOD[:-9],
    ],
)
def test_what_cannot_be_read_is_refused_and_remembered(data: bytes) -> None:
    home = Home()
    assert home.bring(data) is DeliveryStatus.REFUSED
    assert home.store.undelivered(TENANT, [k.raw_sha256 for k in keys_of(home.raw)]) == set()


def test_a_banks_answer_goes_to_whoever_asked() -> None:
    home = Home()
    data = REPORT.format(version="03").encode()
    assert home.bring(data) is DeliveryStatus.ACCEPTED
    ((tenant, statuses),) = home.answers.applied
    assert tenant == TENANT
    assert [s.status for s in statuses] == ["PART", "ACSC", "RJCT"]


EVENT = json.loads(event("charge.succeeded", {"object": "charge"}, "evt_1"))
POLLED = json.dumps({"object": "list", "url": "/v1/events", "data": [EVENT]}).encode()


@pytest.mark.parametrize("boundary", ["answers", "store", "relay", "events", "pending"])
def test_killed_at_a_write_boundary_a_second_run_ends_where_an_unharmed_one_does(
    boundary: str,
) -> None:
    data = REPORT.format(version="03").encode()
    unharmed, harmed = Home(), Home()
    for home in (unharmed, harmed):
        for content in (GOOD, data):
            home.keep(content)
        home.raw.put_once(TENANT, POLLED, a_receipt("stripe", "events/2026-11-21/evt_1", "poll"))
    for key in keys_of(unharmed.raw):
        unharmed.normaliser.normalise(key, "c-1")
    for key in keys_of(harmed.raw):
        failing = getattr(harmed, boundary)
        failing.fail_next = 1
        try:
            harmed.normaliser.normalise(key, "c-1")
        except Unavailable:
            harmed.normaliser.normalise(key, "c-1")
        failing.fail_next = 0
    assert harmed.said == unharmed.said
    assert harmed.store.announced.keys() == unharmed.store.announced.keys()
    assert harmed.store.received.keys() == unharmed.store.received.keys()
    assert set(harmed.answers.applied) == set(unharmed.answers.applied)
    assert [*harmed.events.polled[TENANT, "stripe"]] == ["evt_1"]


def message(key: str, message_id: str = "m-1") -> dict[str, str]:
    body = {"id": "e-1", "detail": {"bucket": {"name": "raw"}, "object": {"key": key}}}
    return {"messageId": message_id, "body": json.dumps(body)}


def test_only_messages_that_fail_come_again() -> None:
    home = Home()
    good = home.keep(GOOD)
    records = [
        message(str(good), "good"),
        message(f"raw/{TENANT}/{'0' * 64}", "missing"),
        message("other/key", "foreign"),
        {"messageId": "garbled", "body": "{"},
        {"messageId": "empty"},
    ]
    failed = each(records, lambda a, cause: home.normaliser.normalise(a.key, cause), read_arrival)
    assert failed == ["missing", "foreign", "garbled", "empty"]
    assert len(home.said) == 1


def test_an_unexpected_error_fails_its_message_only() -> None:
    def act(arrival: Arrival, cause: str) -> None:
        raise ZeroDivisionError

    assert each([message(f"raw/{TENANT}/{'0' * 64}")], act, read_arrival) == ["m-1"]
    with pytest.raises(InvalidInput):
        RawKey.parse("x")
