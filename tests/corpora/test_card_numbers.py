"""Clean corpora stay clean: how often the search for card numbers is wrong, on files that others made."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pardna.formats.items import collect
from pardna.formats.model import Origin
from pardna.formats.streaming import open_stream
from pardna.ingestion.card_numbers import in_file
from pardna.ingestion.quality import Expected, judge_expected
from pardna.runtime.errors import PardnaError
from tests.corpora import expectations

#: Files that do carry a number which every rule calls a card's: each was looked at.
CARRIERS = {
    # ":86:" of a debit card: "Kartennr. 5355999999999975".
    "bank/mt940/railslove__cmxl/mt940-with-colon-after-line-break.txt",
    # A credit card account, CCACCTFROM: its ACCTID is 4111111111111111.
    "bank/ofx/jseutter__ofxparse/account_listing_aggregation.ofx",
}
ORIGIN = Origin("corpora", "corpora", "0" * 64)


def _files() -> Iterator[Path]:
    for part in ("bad", "bank", "names", "psp", "signatures"):
        yield from (p for p in sorted((expectations.CORPORA / part).rglob("*")) if p.is_file())


def _judged(data: bytes) -> set[str]:
    """Codes that the whole gate gives a file; a file that no reader takes has none."""
    try:
        parsed = collect(*open_stream(io.BytesIO(data), ORIGIN))
    except PardnaError:
        return set()
    known = Expected("corpora", "0" * 64, cards=in_file(io.BytesIO(data)))
    return {r.code for r in judge_expected(parsed, known).rejected}


def test_no_clean_file_is_taken_for_one_with_cards(
    record_property: Callable[[str, Any], None],
) -> None:
    files = list(_files())
    if not files:
        pytest.skip(f"the corpora are not there: {expectations.CORPORA}")
    found = set()
    for path in files:
        data = path.read_bytes()
        if in_file(io.BytesIO(data)).count or "card.number" in _judged(data):
            found.add(str(path.relative_to(expectations.CORPORA)))
    record_property("corpus", ("clean of card numbers", len(files) - len(found), 2, len(files)))
    assert len(files) > 770
    assert found == CARRIERS


def test_a_card_number_put_into_any_readable_file_is_found() -> None:
    """A positive control for each format: the search above can fail."""
    files = [p for p in _files() if p.parts[-3] in ("camt053", "mt940", "ofx", "bai2", "nacha")]
    if not files:
        pytest.skip(f"the corpora are not there: {expectations.CORPORA}")
    for path in files:
        data = path.read_bytes()
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            continue
        ends = data.rstrip() + b"\nPOS 4111 1111 1111 1111 KGN\n"
        assert in_file(io.BytesIO(ends)).count >= 1, path
