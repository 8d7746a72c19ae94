"""MT940 as banks write it."""

from __future__ import annotations

import codecs
import contextlib

import pytest

from pardna.formats import mt940
from pardna.formats.model import Statement
from pardna.runtime.errors import PardnaError, UnreadableFile
from pardna.transactions.model import Reference, Strength
from tests.support.formats import BANK

GOOD = """{1:F01BNSXJMKN}{2:O940BNSXJMKN}{4:
:20:0472652601
:25:BNSXJMKN/831047265
:28C:00001/001
:60F:C260130USD1000,00
:61:2601310131C250,NTRFNONREF//BNS1
:86:/TRTP/CREDIT/ORDP//NAME/Avis Brown/REMI/hand PDN-7K3Q-R0
1-04
:61:2601310131D100,50NTRFPDN-DRAW-1//BNS2
:86:/TRTP/TRANSFER/EREF/PDN-DRAW-1/BENM//NAME/Marcia Lee/ACCW/99887,NCBJMKN
:61:2601310131RC50,00NTRFNONREF//BNS3
:86:reversal
:62F:C260131USD1099,50
-}
"""


def only(data: bytes) -> Statement:
    (statement,) = mt940.read(data, BANK).statements
    return statement


def test_a_statement_and_its_entries() -> None:
    statement = only(GOOD.encode())
    assert statement.ties
    assert (statement.opening_minor, statement.closing_minor) == (100_000, 109_950)
    credit, debit, reversed_credit = statement.transactions
    assert [t.amount_minor for t in statement.transactions] == [25_000, -10_050, -5_000]
    assert credit.external_id == "BNS1|2026-01-31|25000"
    assert Reference("payment_reference", "PDN-7K3Q-R01-04") in credit.references
    assert credit.counterparty.name == "Avis Brown"
    assert Reference("end_to_end", "PDN-DRAW-1", Strength.STRONG) in debit.references
    assert (debit.counterparty.name, debit.counterparty.account) == ("Marcia Lee", "99887")
    assert reversed_credit.description == "reversal"


@pytest.mark.parametrize(
    "data",
    [
        codecs.BOM_UTF8 + GOOD.encode(),
        GOOD.encode("utf-16"),
        GOOD.encode("utf-16-le"),
        GOOD.encode("utf-16-be"),
        GOOD.replace("\n", "\r").encode(),
        GOOD.replace("\n", "\r\n").encode(),
    ],
    ids=["bom", "utf-16", "utf-16-le", "utf-16-be", "cr", "crlf"],
)
def test_encodings_and_line_ends_do_not_matter(data: bytes) -> None:
    assert [t.content_hash for t in only(data).transactions] == [
        t.content_hash for t in only(GOOD.encode()).transactions
    ]


def test_statements_of_one_file_are_kept_apart() -> None:
    other = GOOD.replace("831047265", "111").replace(":20:0472652601", ":20:0472652602")
    first, second = mt940.read((GOOD + other).encode(), BANK).statements
    assert (first.account, second.account) == ("BNSXJMKN/831047265", "BNSXJMKN/111")
    assert first.ties
    assert second.ties


def test_german_details_are_read() -> None:
    details = (
        "166?00GUTSCHRIFT?20EREF+E2E-77?21SVWZ+Hand PDN-7K3Q-R01-0?224?30BIC?31123?32Avis?33 Brown"
    )
    data = GOOD.replace("/TRTP/CREDIT/ORDP//NAME/Avis Brown/REMI/hand PDN-7K3Q-R0\n1-04", details)
    found = only(data.encode()).transactions[0]
    assert Reference("end_to_end", "E2E-77", Strength.STRONG) in found.references
    assert Reference("payment_reference", "PDN-7K3Q-R01-04") in found.references
    assert found.counterparty.name == "Avis Brown"


def test_a_statement_that_does_not_add_up_says_by_how_much() -> None:
    statement = only(GOOD.replace("USD1099,50", "USD1100,50").encode())
    assert statement.gap_minor == 100


@pytest.mark.parametrize("line", ["26O131C1,00NTRF", "260231C1,00NTRFNONREF", "260131C1,001NTRFX"])
def test_a_line_that_cannot_be_read_is_named(line: str) -> None:
    data = GOOD.replace("2601310131C250,NTRFNONREF//BNS1", line)
    statement = only(data.encode())
    assert len(statement.problems) == 1
    assert "entry 1 line 6" in statement.problems[0].position
    assert len(statement.transactions) == 2


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 50, b":20:only\n"])
def test_what_is_no_statement_is_refused_or_named(data: bytes) -> None:
    try:
        parsed = mt940.read(data, BANK)
    except UnreadableFile:
        return
    assert parsed.problems or all(s.problems for s in parsed.statements)
    assert parsed.statements == ()


def test_nothing_raises_anything_unexpected() -> None:
    good = GOOD.encode()
    for cut in range(0, len(good), 3):
        for broken in (good[:cut], good[:cut] + b"\x00\xff" + good[cut:], good[:cut] + good[cut + 5 :]):  # fmt: skip
            with contextlib.suppress(PardnaError):
                mt940.read(broken, BANK)
