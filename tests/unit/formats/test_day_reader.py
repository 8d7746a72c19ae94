"""Dates of profiles: read as `strptime` reads them, whatever is written."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pardna.formats.day_reader import DayReader

FORMATS = (
    *("%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y %H:%M", "%Y%m%d", "%d%m%Y%H%M%S", "%Y-%m-%dT%H:%M:%S"),
    *(
        "%m/%d/%y",
        "%d %b %Y",
        "%Y-%m-%d %I:%M %p",
        "%Y-%m-%d %H:%M:%S%z",
        "%%Y %Y-%m-%d",
    ),
)
TEXTS = st.one_of(
    st.builds(
        lambda moment, written: moment.strftime(written),
        st.datetimes(datetime(1000, 1, 1)),  # noqa: DTZ001
        st.sampled_from(FORMATS),
    ),
    st.text("0123456789-/.: T", max_size=20),
)


@given(TEXTS)
@example("2026-1-5")
@example("2026-13-01")
@example("2026-02-30")
@example("31/12/2026 ")
@example("0000-01-01")
@example("２０２６-01-01")
@example("2026-01-01\n")
@pytest.mark.parametrize("written", FORMATS)
def test_as_strptime(written: str, text: str) -> None:
    try:
        expected: datetime | None = datetime.strptime(text, written)  # noqa: DTZ007
    except ValueError:
        expected = None
    read = DayReader((written,))
    assert read(text) == read(text) == expected


@given(st.dates())
def test_the_first_format_that_fits(day: object) -> None:
    read = DayReader(("%d/%m/%Y", "%m/%d/%Y"))
    assert read("03/04/2026") == datetime(2026, 4, 3)  # noqa: DTZ001
    assert read("03/14/2026") == datetime(2026, 3, 14)  # noqa: DTZ001
    assert read(str(day)) is None


def test_memory_of_texts_is_bounded() -> None:
    read = DayReader(("%Y",))
    for number in range(20_000):
        read(f"{number:05d}")
    assert len(read._known) <= 8192
