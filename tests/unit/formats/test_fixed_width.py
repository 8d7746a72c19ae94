"""Fixed-width files by a profile."""

from __future__ import annotations

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
