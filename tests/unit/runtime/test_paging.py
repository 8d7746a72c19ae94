"""Cursors come back as they went, and forged ones are refused in one way."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.runtime.errors import InvalidInput
from pardna.runtime.paging import PAGE_DEFAULT, decode_cursor, encode_cursor, page_size

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)


@given(TEXT, st.integers(-(2**63), 2**63))
def test_a_cursor_comes_back(text: str, number: int) -> None:
    assert decode_cursor(encode_cursor(text, number), str, int) == (text, number)


def test_no_cursor_is_the_beginning() -> None:
    assert decode_cursor("", str) is None


def packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "%%%", "é", "a", "A" * 5_000, packed("{}"), packed("[1]"), packed("[true]"),
        packed('["a", "b"]'), packed('["a\\u0000"]'), packed("[" * 1_400), packed("null"),
        encode_cursor(1), encode_cursor("a", "b"),
    ],
)  # fmt: skip
def test_a_forged_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode_cursor(text, str)
    assert refused.value.code == "request.cursor"


@given(st.text(max_size=60))
def test_whatever_is_sent_is_a_cursor_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        decode_cursor(text, str, int)


def test_the_size_of_a_page() -> None:
    assert (page_size({}), page_size({"limit": ""}), page_size({"limit": "7"})) == (
        PAGE_DEFAULT,
        PAGE_DEFAULT,
        7,
    )


@pytest.mark.parametrize("text", ["0", "501", "-1", "1.5", "٣", "99999999999", "x", " 5"])
def test_another_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        page_size({"limit": text})
