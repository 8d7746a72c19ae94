"""What a finding becomes: how grave, due when, by whose leave it may be written off."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from pardna.matching.breaks import break_of_finding, severity_of, updated
from pardna.matching.codec import Finding
from pardna.matching.model import BreakClass, Pair
from pardna.matching.rules import Rules, Severity
from tests.support.matching import bank_line, charge, contribution, day, legs

SEVERITIES = (
    Severity("low", 0, 0, 10), Severity("medium", 1_000, 5, 5), Severity("high", 50_000, 10, 2),
)  # fmt: skip
#: Friday the sixth is a holiday.
RULES = Rules(severities=SEVERITIES, closed_days=(date(2026, 3, 6),), write_off_approval_minor=999)


@pytest.mark.parametrize(
    ("amount", "age", "name"),
    [
        (0, 0, "low"), (999, 4, "low"), (1_000, 0, "medium"), (0, 5, "medium"), (49_999, 9, "medium"),
        (50_000, 0, "high"), (0, 10, "high"), (10**15, 400, "high"), (0, -3, "low"),
    ],
)  # fmt: skip
def test_the_gravest_that_amount_or_age_reaches(amount: int, age: int, name: str) -> None:
    assert severity_of(amount, age, RULES).name == name


def missing(amount: int) -> Finding:
    [leg] = legs(contribution(1, amount), pair=Pair.INTERNAL_PSP)  # Monday, the second
    return Finding("MISSING_PSP", "missing", (leg,), (leg,))


@pytest.mark.parametrize(
    ("amount", "on", "severity", "due"),
    [
        (500, "2026-03-04", "low", "2026-03-19"),  # ten business days, without the holiday
        (500, "2026-03-09", "low", "2026-03-23"),  # four business days old, not five
        (500, "2026-03-10", "medium", "2026-03-17"),
        (50_000, "2026-03-05", "high", "2026-03-10"),  # two, over the holiday and a weekend
    ],
)
def test_deadlines_and_ages_count_business_days(
    amount: int, on: str, severity: str, due: str
) -> None:
    made = break_of_finding(missing(amount), 1, RULES, day(on), "r_1")
    assert (made.severity, made.due_at, made.opened_on) == (severity, due, on)
    assert made.class_ is BreakClass.MISSING_PSP


@pytest.mark.parametrize(("amount", "approval"), [(999, False), (1_000, True), (-1_000, True)])
def test_what_is_above_the_limit_needs_a_second_person(amount: int, approval: bool) -> None:
    made = break_of_finding(missing(amount), 1, RULES, day("2026-03-04"), "r_1")
    assert (made.needs_approval, made.amount_minor) == (approval, abs(amount))


def test_only_the_difference_is_unexplained_where_both_sides_speak() -> None:
    both = legs(contribution(1, 500), charge(1, 470), pair=Pair.INTERNAL_PSP)
    finding = Finding(
        "AMOUNT_MISMATCH", "amounts_differ", tuple(both), tuple(both), "contribution con_1", 30
    )
    made = break_of_finding(finding, 2, RULES, day("2026-03-04"), "r_1")
    assert made.amount_minor == 30
    assert made.reason == "Both sides carry contribution con_1, but their amounts differ by J$0.30."


def test_found_again_it_keeps_its_owner_its_age_and_the_earlier_deadline() -> None:
    first = break_of_finding(missing(500), 1, RULES, day("2026-03-04"), "r_1")
    owned = replace(first, owner="ann")
    later = break_of_finding(missing(500), 1, RULES, day("2026-03-16"), "r_2")
    kept = updated(owned, later)
    assert kept is not None
    assert (kept.owner, kept.opened_on, kept.severity) == ("ann", "2026-03-04", "medium")
    assert kept.due_at == first.due_at, "what was promised is not put off"
    assert updated(kept, replace(later, run_id="r_3")) is None, "nothing new is nothing written"


def test_a_line_that_nothing_explains_says_what_it_is() -> None:
    [line] = legs(bank_line(1, 500), pair=Pair.INTERNAL_BANK)
    made = break_of_finding(
        Finding("MISSING_INTERNAL", "missing", (line,), (line,)), 1, RULES, day("2026-03-04"), "r_1"
    )
    assert (
        made.reason == "Nothing on the internal side explains the bank transfer line_1 of J$5.00."
    )
