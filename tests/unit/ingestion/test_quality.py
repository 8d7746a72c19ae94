"""The gate: what keeps a row, a statement or a file out, and what is only told."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.formats import csv_profile
from pardna.formats.items import Item
from pardna.formats.model import Parsed, Problem, Severity, Statement
from pardna.formats.streaming import items_of
from pardna.ingestion.card_numbers import in_file
from pardna.ingestion.quality import REJECTED_MAX, Expected, Gate, Verdict, judge_expected
from pardna.ingestion.quality_history import Facts, Past, drifted, unusual
from pardna.ingestion.quality_schema import columns_of
from pardna.transactions.model import Counterparty, Reference, Strength, Transaction
from pardna.transactions.ports import DeliveryStatus
from tests.support.formats import BANK
from tests.unit.formats.test_csv_profile import STATEMENT, a_profile

NOON = datetime(2026, 2, 6, 12, tzinfo=UTC)
CARD = "4111111111111111"
#: A clean statement: one account, two rows.
CLEAN = csv_profile.read(STATEMENT.encode(), BANK, a_profile())
ROW = CLEAN.statements[0].transactions[0]


def expected(**known: Any) -> Expected:
    return Expected("ncb", "a" * 64, received_at=NOON, **known)


def seen(items: list[Item], **known: Any) -> Verdict:
    gate = Gate(expected(**known), "test")
    for item in items:
        gate.see(item)
    return gate.verdict()


def codes(verdict: Verdict) -> list[str]:
    return [p.code for p in verdict.problems]


def a_row(number: int = 0, **changes: Any) -> Transaction:
    fields = {"external_id": f"x-{number}", "raw_position": f"line {number + 1}", "references": ()}
    return replace(ROW, **(fields | changes))


def a_statement(**changes: Any) -> Statement:
    return replace(CLEAN.statements[0], transactions=(), problems=(), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"description": f"POS {CARD} KGN"},
        {"counterparty": Counterparty(f"card {CARD}")},
        {"counterparty": Counterparty("x", CARD)},
        {"external_id": CARD},
        {"account": "5555555555554444"},
        {"batch_id": "378282246310005"},
        {"references": (Reference("text", "4111-1111-1111-1111"),)},
    ],
)
def test_a_card_number_in_any_field_keeps_the_row_out(changes: dict[str, Any]) -> None:
    verdict = seen([a_row(0), a_row(1, **changes), a_row(2)])
    (rejected,) = verdict.rejected
    assert (rejected.code, rejected.position) == ("card.number", "line 2")
    assert verdict.good_count == 2
    assert verdict.status is DeliveryStatus.ACCEPTED_WITH_WARNINGS
    assert not any(n in repr(verdict) for n in (CARD, "5555555555554444", "378282246310005"))


def test_a_card_in_the_text_that_no_row_carries_keeps_the_file_out() -> None:
    raw = in_file(io.BytesIO(f"Card holder\n{CARD}\nrow\n".encode()))
    verdict = seen([a_row(9)], cards=raw)
    assert (verdict.whole, verdict.good_count, verdict.status) == (
        False,
        0,
        DeliveryStatus.QUARANTINED,
    )
    assert verdict.rejected[0].position == "line 2"
    held = seen([a_row(9)], cards=raw, released=True)
    assert not held.whole  # two people cannot release a card either


def test_a_card_on_a_rows_line_is_that_rows() -> None:
    raw = in_file(io.BytesIO(f"a,{CARD}\nb,-\n".encode()))
    verdict = seen([a_row(0), a_row(1)], cards=raw)
    assert [r.position for r in verdict.rejected] == ["line 1"]
    assert verdict.good_count == 1
    unread = Problem("row.amount", "line 1", "cannot be read", "amount")
    assert seen([unread, a_row(1)], cards=raw).good_count == 1


def test_a_statement_named_by_a_card_is_not_kept() -> None:
    verdict = seen([a_row(0), a_statement(account=CARD, source=f"ncb:{CARD}")])
    assert verdict.statements == ()
    assert {r.code for r in verdict.rejected} == {"card.number"}


def test_references_that_pass_by_chance_stay_when_the_file_shows_it() -> None:
    references = [str(4 * 10**15 + n * 7919) for n in range(300)]
    raw = in_file(io.BytesIO("\n".join(references).encode()))
    rows: list[Item] = [a_row(n, external_id=r) for n, r in enumerate(references)]
    assert seen(rows, cards=raw).good_count == 300


@pytest.mark.parametrize(
    ("days", "code", "good"),
    [
        (500, "row.date_impossible", 0),
        (40, "row.date_ahead", 1),
        (5, None, 1),
        (-700, None, 1),
        (-800, "row.date_old", 1),
        (-21_000, "row.date_impossible", 0),
    ],
)
def test_days_that_cannot_be(days: int, code: str | None, good: int) -> None:
    at = NOON + timedelta(days=days)
    verdict = seen([a_row(0, occurred_at=at, value_date=at.date())])
    assert codes(verdict) == ([code] if code else [])
    assert verdict.good_count == good


def test_a_warning_of_many_rows_is_told_once() -> None:
    rows: list[Item] = [a_row(n, currency="USD") for n in range(500)]
    verdict = seen(rows, currency="JMD")
    (problem,) = verdict.problems
    assert (problem.code, problem.severity) == ("row.other_currency", Severity.WARNING)
    assert "first of 500" in problem.reason
    assert verdict.good_count == 500


def test_one_strong_reference_twice_is_told_and_both_count() -> None:
    twice = (Reference("end_to_end", "E1", Strength.STRONG),)
    verdict = seen([a_row(0, references=twice), a_row(1, references=twice)])
    assert codes(verdict) == ["entry.duplicate_reference"]
    assert verdict.good_count == 2


@pytest.mark.parametrize(
    ("numbers", "last", "gaps"),
    [
        (["1", "2", "3"], "", 0),
        (["00012/001", "00012/002", "00013/001"], "11", 0),
        (["12", "15"], "", 1),
        (["15"], "12", 1),
        (["1"], "365", 0),  # a new year
        (["A1", ""], "12", 0),
        (["17501", "17601"], "", 0),  # day of the year, and page
    ],
)
def test_statement_numbers_that_skip(numbers: list[str], last: str, gaps: int) -> None:
    items: list[Item] = [
        a_statement(
            sequence_number=n,
            statement_id=f"s{i}",
            opening_minor=0,
            closing_minor=0,
            entries_minor=0,
            entries_count=0,
        )
        for i, n in enumerate(numbers)
    ]
    verdict = seen(items, last_sequence=lambda _: last)
    assert codes(verdict).count("statement.sequence_gap") == gaps
    if gaps:
        assert "2 are missing" in verdict.problems[0].reason


def test_statements_stand_or_fall_by_account_in_a_stream() -> None:
    """Rows of two accounts pass in turn; the statement of one of them does not tie."""
    good, bad = "ncb:1", "ncb:2"
    rows = [a_row(n, source=good if n % 2 else bad) for n in range(10)]
    own = sum(r.amount_minor for r in rows if r.source == good)
    fine = a_statement(
        source=good,
        statement_id="g",
        opening_minor=0,
        entries_minor=own,
        closing_minor=own,
        entries_count=5,
    )
    gate = Gate(expected(), "test")
    groups = [gate.see(row) for row in rows]
    gate.see(fine)
    gate.see(replace(fine, source=bad, statement_id="b", closing_minor=own + 1))
    late = gate.see(a_row(99, source=bad))
    verdict = gate.verdict()
    assert [verdict.counts(g) for g in groups] == [r.source == good for r in rows]
    assert verdict.counts(late)
    assert (verdict.good_count, verdict.entries_count) == (6, 11)


def test_a_file_wrong_throughout_waits_whole_and_its_list_ends() -> None:
    wrong = [Problem("row.amount", f"line {n}", "no", "amount") for n in range(REJECTED_MAX + 5)]
    verdict = seen([a_row(0), *wrong])
    assert verdict.status is DeliveryStatus.QUARANTINED
    assert len(verdict.rejected) == REJECTED_MAX
    assert not verdict.whole


def test_memory_does_not_grow_with_good_rows() -> None:
    import tracemalloc

    def peak(count: int) -> int:
        gate = Gate(expected(), "test")
        tracemalloc.start()
        for n in range(count):
            gate.see(a_row(n, description=f"row {n}"))
        gate.verdict()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(8_000) < peak(1_000) + 100_000


@given(st.permutations(range(6)))
def test_the_order_of_rows_changes_nothing_but_places(order: list[int]) -> None:
    rows = [a_row(n, description=f"POS {CARD}" if n == 3 else "x") for n in range(6)]
    verdict = seen([rows[n] for n in order])
    assert verdict.good_count == 5
    assert [r.position for r in verdict.rejected] == ["line 4"]


def test_whole_and_streamed_are_judged_alike() -> None:
    text = STATEMENT.replace("Service charge", f"POS {CARD}").encode()
    parsed = csv_profile.read(text, BANK, a_profile())
    cards = in_file(io.BytesIO(text))
    judged = judge_expected(parsed, expected(cards=cards))
    gate = Gate(expected(cards=cards), parsed.format)
    passed = [(gate.see(item), item) for item in items_of(parsed)]
    verdict = gate.verdict()
    kept = [i for g, i in passed if g and isinstance(i, Transaction) and verdict.counts(g)]
    assert (list(judged.transactions), judged.rejected) == (kept, verdict.rejected)


def history(*rows: int, value: int = 100, step: int = 7) -> list[Past]:
    """Deliveries, newest first, `step` days apart."""
    return [
        Past(NOON - timedelta(days=step * (n + 1)), "f", Facts(r, {"JMD": value * r}))
        for n, r in enumerate(rows)
    ]


def told(rows: int, past: list[Past], value: int = 100) -> list[str]:
    facts = Facts(rows, {"JMD": value * rows})
    return [p.code for p in unusual(facts, "f", NOON, past)]


def test_volume_and_value_against_the_same_weekday() -> None:
    past = history(100, 104, 98, 101, 97, 103)
    assert told(99, past) == []
    assert told(1_000, past) == ["volume.unusual", "value.unusual"]
    assert told(3, past) == ["volume.unusual", "value.unusual"]
    assert told(100, past, value=100_000) == ["value.unusual"]
    (problem, *_) = unusual(Facts(1_000), "f", NOON, past)
    assert "1000 rows; the last 6 Fridays had a median of 100" in problem.reason
    assert problem.severity is Severity.WARNING


def test_one_wild_delivery_in_the_past_moves_nothing() -> None:
    assert told(1_000, history(100, 50_000, 98, 101, 97, 103))[0] == "volume.unusual"
    assert told(100, history(100, 50_000, 98, 101, 97, 103)) == []


def test_a_short_history_says_nothing() -> None:
    assert told(1_000, history(100, 100, 100)) == []
    assert told(1_000, history(100, 100, 100, 100, 100, step=1)) == []
    assert told(1_000, history(*[100] * 6, step=1)) != []
    assert told(1_000, [replace(p, format="other") for p in history(*[100] * 8)]) == []


def columns(*names: str, kind: str = "csv:x") -> Facts:
    return Facts(1, {}, names, kind)


def drift(now: Facts, *past: Facts) -> list[str]:
    return [p.reason for p in drifted(now, [Past(NOON, "f", f) for f in past])]


def test_columns_that_came_and_went_are_named() -> None:
    assert drift(columns("Date", "Amount"), columns("Date", "Amount")) == []
    assert drift(columns("Date", "Amt"), columns("Date", "Amount")) == [
        "new since the last delivery: Amt",
        "vanished since the last delivery: Amount",
    ]
    assert drift(columns("a"), columns("b", kind="csv:other")) == []
    assert drift(columns("a")) == []


def test_a_key_of_json_is_missed_only_when_it_was_always_there() -> None:
    always, sometimes = columns("id", "amount", kind="json:x"), columns("id", kind="json:x")
    assert drift(sometimes, *[always] * 6) == ["vanished since the last delivery: amount"]
    assert drift(sometimes, *[always] * 3, sometimes, *[always] * 3) == []
    assert drift(always, *[sometimes] * 6) == ["new since the last delivery: amount"]
    assert drift(always, sometimes) == []


@pytest.mark.parametrize(
    ("text", "profile", "kind", "names"),
    [
        (
            STATEMENT,
            True,
            "csv:bank-download",
            ["Date", "Narrative", "Ref", "Debit", "Credit", "Balance"],
        ),
        (
            '{"object": "event", "id": "e", "data": {"object": {"x": 1}}}',
            False,
            "json:event",
            ["data", "data.object", "id", "object"],
        ),
        ('{"type": "t", "metadata": {"customer": 1}}', False, "json:t", ["metadata", "type"]),
        ('[{"a": 1}]', False, "json:", ["a"]),
        ("<Document/>", False, "", []),
        ("{broken", False, "", []),
        ("", False, "", []),
    ],
)
def test_which_columns_a_file_has(text: str, profile: bool, kind: str, names: list[str]) -> None:
    file = io.BytesIO(text.encode())
    assert columns_of(file, a_profile() if profile else None) == (kind, names)
    assert file.tell() == 0


@given(st.binary(max_size=300))
def test_no_bytes_make_the_schema_fail(data: bytes) -> None:
    columns_of(io.BytesIO(data), None)
    columns_of(io.BytesIO(data), a_profile())


def test_a_clean_file_is_accepted_without_a_word() -> None:
    judged = judge_expected(CLEAN, expected())
    assert (judged.status, judged.problems) == (DeliveryStatus.ACCEPTED, ())
    assert judged.facts.rows == 2
    assert judged.facts.value_minor == {"JMD": 515_000}


def test_a_file_without_anything_is_judged_too() -> None:
    judged = judge_expected(Parsed("empty"), expected())
    assert judged.status is DeliveryStatus.ACCEPTED
