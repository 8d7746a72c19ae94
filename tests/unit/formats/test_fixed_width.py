"""Fixed-width files by a profile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from pardna.formats import fixed_width
from pardna.formats.profile import Profile
from tests.support.formats import BANK

PROFILE = Profile.model_validate(
    {
        "name": "clearing",
        "kind": "fixed_width",
        "currency": "JMD",
        "detail": {"marker": "D", "states": {}},
        "amounts": {
            "amount": {"start": 10, "length": 12},
            "direction": {"start": 22, "length": 1},
            "minor_units": True,
        },
        "dates": {"occurred": {"start": 2, "length": 8}, "formats": ["%Y%m%d"]},
        "description_columns": [{"start": 23, "length": 20}],
        "references": [{"column": {"start": 43, "length": 10}}],
        "marked": [
            {"marker": "H", "states": {"account": {"start": 2, "length": 10}}},
            {
                "marker": "T",
                "footer": True,
                "states": {
                    "count": {"start": 2, "length": 6},
                    "total": {"start": 8, "length": 13},
                },
            },
        ],
    }
)
FILE = (
    "H001-12345 \n"
    "D20260203000000500000CPDN-7K3Q-R01-04     NCB0000001\n"
    "D20260204000000015000DCharge              NCB0000002\n"
    "T0000020000000485000\n"
)


def test_lines_are_read_by_their_places() -> None:
    parsed = fixed_width.read(FILE.encode(), BANK, PROFILE)
    assert parsed.problems == ()
    (statement,) = parsed.statements
    assert statement.problems == ()
    assert statement.account == "001-12345"
    assert [t.amount_minor for t in statement.transactions] == [500_000, -15_000]


def test_unknown_and_short_lines_and_wrong_totals_are_named() -> None:
    broken = FILE.replace("D20260204", "X20260204").replace("NCB0000001", "")[:-1] + "9\nD2026\n"
    parsed = fixed_width.read(broken.encode(), BANK, PROFILE)
    codes = {
        p.code for p in (*parsed.problems, *(q for s in parsed.statements for q in s.problems))
    }
    assert {"row.kind", "row.short", "control.total"} <= codes


def changed(**changes: Any) -> Profile:
    """`PROFILE` with parts changed, validated again."""
    whole = json.loads(PROFILE.model_dump_json())
    for name, change in changes.items():
        whole[name] = {**(whole[name] or {}), **change} if isinstance(change, dict) else change
    return Profile.model_validate(whole)


def span(start: int, length: int) -> dict[str, int]:
    return {"start": start, "length": length}


@pytest.mark.parametrize(
    "changes",
    [
        {"description_columns": [span(15, 20)]},  # begins within the amount
        {"amounts": {"fee": span(20, 1)}},  # within the amount
        {"amounts": {"balance": span(10, 12)}},  # the amount itself
        {"amounts": {"amount": span(9, 13)}},  # takes the date's last digit
        {"dates": {"value": span(5, 8)}},  # crosses the other date
        {"marked": [{"marker": "H", "states": {"account": 2}}]},
        {"marked": [{"marker": "H", "at": 3, "states": {"account": span(1, 2)}}]},
        {"detail": {"marker": "D", "at": 2, "states": {}}},
        {"amounts": {"debit_values": ["C"]}},
        {"amounts": {"debit_values": []}},
        {"delimiter": "\n"},
        {"delimiter": "\x00"},
        {"delimiter": "a"},
        {"quote": "\n"},
        {"quote": "x"},
        {"dates": {"formats": ["%Y%m%d"] * 1000}},
        {"description_columns": [span(23, 20)] * 1000},
        {"skip": [{"column": span(23, 20), "values": ["x" * 100_000]}]},
    ],
)
def test_a_profile_whose_fields_cannot_all_be_meant_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        changed(**changes)


def test_fields_apart_and_within_each_other_are_meant() -> None:
    inner = changed(references=[{"column": span(43, 10)}], batch_column=span(43, 3), side="psp")
    assert fixed_width.read(FILE.encode(), BANK, inner).all_transactions[0].batch_id == "NCB"
    value = changed(dates={"value": span(2, 8)})
    assert len(fixed_width.read(FILE.encode(), BANK, value).all_transactions) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_places_are_characters_whatever_the_encoding(encoding: str, ending: str) -> None:
    text = FILE.replace("from", "für ").replace("Charge", "Gebühr").replace("\n", ending)
    parsed = fixed_width.read(text.encode(encoding), BANK, PROFILE)
    (statement,) = parsed.statements
    assert (parsed.problems, statement.problems) == ((), ())
    assert [t.amount_minor for t in statement.transactions] == [500_000, -15_000]
    assert statement.transactions[1].description == "Gebühr"
    assert statement.transactions[1].references[0].value == "NCB0000002"
