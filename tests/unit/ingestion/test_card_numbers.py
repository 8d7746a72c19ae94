"""Card numbers are found wherever they stand, and nothing else is taken for one."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.ingestion import card_numbers
from pardna.ingestion.card_numbers import FOUND_MAX, brand_of, in_file, in_text, luhn, mask, masked

#: The processors' published test numbers.
CARDS = {
    "4111111111111111": "visa",
    "4000056655665556": "visa",
    "5555555555554444": "mastercard",
    "2223003122003222": "mastercard",
    "378282246310005": "amex",
    "6011111111111117": "discover",
    "3566002020360505": "jcb",
}


def with_check_digit(head: str) -> str:
    """The number that a head and its Luhn digit make."""
    return next(f"{head}{digit}" for digit in range(10) if luhn(f"{head}{digit}"))


@pytest.mark.parametrize(("digits", "brand"), CARDS.items())
@pytest.mark.parametrize(
    "text", ["{}", "POS {} KGN", "{} 12/29", '{{"note": "{}"}}', "a,{},b", "card:{}", "<v>{}</v>"]
)
def test_a_bare_number_is_found(digits: str, brand: str, text: str) -> None:
    (found,) = in_text(text.format(digits))
    assert (found.brand, found.digits) == (brand, digits)
    assert digits not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111 exp 12/29",
        "3782 822463 10005",
        "CARD4111111111111111X",
        "Visa No 4111111111111111",
        "Kartennr. 5355999999999975",
        "Diners card 30569309025904",
        "card no. 6200000000000005",
        "\uff14\uff11\uff11\uff11 1111 1111 1111",
    ],
)
def test_a_printed_or_named_number_is_found(text: str) -> None:
    assert len(in_text(text)) == 1
    assert in_text(mask(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # fails the check
        "74111111111111111111111",  # an acquirer's reference of 23 digits
        "LT62 5883 3796 9542 8516",
        "GB29NWBK60161331926819",
        "GB33 4111 1111 1111 1111",
        "0.4111111111111111",
        "pi_4111111111111111",
        "ch4111111111111111",
        "411111******1111",
        "20260131120000",
        "6200000000000005",  # needs a name: clearing files are full of these
        "4222222222222",  # 13 digits, no name
        "550e8400-e29b-41d4-a716-446655440000",
        "+4111111111111111",
        "",
    ],
)
def test_what_is_no_card_is_left_alone(text: str) -> None:
    assert in_text(text) == []
    assert mask(text) == text


def test_at_most_ten_digits_are_shown() -> None:
    for digits in CARDS:
        shown = masked(digits)
        assert sum(c.isdigit() for c in shown) == 10
        assert mask(f"POS {digits} KGN") == f"POS {shown} KGN"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_a_file_tells_the_line(end: str, encoding: str) -> None:
    text = end.join(["Date,Narrative", "1,café", "2,POS 4111111111111111", "3,5555555555554444"])
    found = in_file(io.BytesIO(text.encode(encoding)))
    assert [(f.line, f.brand) for f in found.found] == [(3, "visa"), (4, "mastercard")]
    assert found.count == 2


@pytest.mark.parametrize("padding", range(1024 * 1024 - 20, 1024 * 1024 + 4, 3))
def test_a_number_on_the_edge_of_a_piece_is_found_once(padding: int) -> None:
    text = "x" * (padding - 1) + " 4111111111111111 " + "y" * 100
    assert in_file(io.BytesIO(text.encode())).count == 1
    lines = "x" * (padding - 1) + "\n4111111111111111\n"
    (found,) = in_file(io.BytesIO(lines.encode())).found
    assert found.line == 2


def test_a_column_of_references_that_pass_by_chance_is_no_column_of_cards() -> None:
    rows = [f"{n},2026-01-02,{4 * 10**15 + n * 7919},100.00\n" for n in range(2_000)]
    by_chance = [row for row in rows if luhn(row.split(",")[2])]
    assert len(by_chance) > 100
    found = in_file(io.BytesIO("".join(rows).encode()))
    assert (found.count, found.doubtful) == (0, True)


def test_cards_beside_such_a_column_are_still_found() -> None:
    rows = [
        f"{n},POS {with_check_digit(f'5105105105{n:05}')},{4 * 10**15 + n * 7919}\n"
        for n in range(500)
    ]
    found = in_file(io.BytesIO("".join(rows).encode()))
    assert found.count == 500
    assert {f.brand for f in found.found} == {"mastercard"}


def test_a_file_full_of_cards_is_counted_and_not_kept() -> None:
    rows = "".join(f"{with_check_digit(f'4{n:014}')}\n" for n in range(FOUND_MAX + 500))
    found = in_file(io.BytesIO(rows.encode()))
    assert found.count == FOUND_MAX + 500
    assert len(found.found) == FOUND_MAX


@given(st.text(alphabet="0123456789 .-,;\n\r\tABcardvis", max_size=300))
def test_masking_leaves_nothing_to_mask(text: str) -> None:
    assert in_text(mask(text)) == []


@given(st.text(alphabet="0123456789 .-4X", max_size=120))
def test_the_quick_search_finds_what_the_slow_one_does(text: str) -> None:
    quick = [m.span() for m in card_numbers._candidates(text)]
    assert quick == [m.span() for m in card_numbers._CANDIDATE.finditer(text)]


@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    assert in_file(io.BytesIO(data)).count >= 0


@given(st.from_regex(r"[2-6][0-9]{12,18}", fullmatch=True))
def test_a_brand_is_told_by_beginning_and_length(digits: str) -> None:
    brand, common = brand_of(digits)
    assert brand or not common
    assert not common or len(digits) in (15, 16)
