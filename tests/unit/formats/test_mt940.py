"""MT940 as banks write it."""

from __future__ import annotations

import codecs
import contextlib
from dataclasses import replace

import pytest

from pardna.formats import mt940, mt940_fields
from pardna.formats.model import Statement
from pardna.ingestion.quality import judge
from pardna.runtime.errors import PardnaError, UnreadableFile
from pardna.transactions.model import Reference, Strength
from tests.support.formats import BANK
from tests.unit.formats.test_mt942 import REPORT as INTERIM

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


def test_statements_without_an_end_between_them_are_kept_apart() -> None:
    pages = "".join(
        f":20:REF{n}\n:25:831047265\n:28C:7/{n}\n:60{'F' if n == 1 else 'M'}:C260130USD{n - 1},00\n"
        f":61:260131C1,00NTRFNONREF//B{n}\n:62{'F' if n == 3 else 'M'}:C260131USD{n},00\n"
        for n in (1, 2, 3)
    )
    found = mt940.read(pages.encode(), BANK).statements
    assert [(s.opening_minor, s.closing_minor, s.ties) for s in found] == [
        (0, 100, True),
        (100, 200, True),
        (200, 300, True),
    ]
    assert [s.sequence_number for s in found] == ["7/1", "7/2", "7/3"]
    assert [t.external_id[:2] for s in found for t in s.transactions] == ["B1", "B2", "B3"]


ODD = (
    GOOD,
    GOOD + GOOD.replace("831047265", "111"),
    GOOD.replace(":62F:C260131USD1099,50", ":62F:nothing"),
    GOOD.replace(":60F:C260130USD1000,00\n", ""),
    GOOD.replace(":61:2601310131D100", ":61:nothing D100"),
    GOOD.replace("USD", "DEM"),
    ":20:R\n:25:1\n:28C:1\n:34F:EUR0,\n:13D:2601311200+0100\n:61:260131C1,NTRFA\n:86:a\n"
    ":61:260131D2,NTRFB\n:61:260131EC3,NTRFC\n:90D:1EUR2,00\n:90C:2EUR4,00\n-\n",
)


@pytest.mark.parametrize("text", ODD)
def test_a_long_statement_says_what_a_short_one_does(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = mt940.read(text.encode(), BANK)
    monkeypatch.setattr(mt940_fields, "BLOCK_MAX", 4)
    long = mt940.read(text.encode(), BANK)
    assert long.format == short.format
    for a, b in zip(long.statements, short.statements, strict=True):
        assert replace(a, problems=()) == replace(b, problems=())
    problems = [
        [*p.problems, *(q for s in p.statements for q in s.problems)] for p in (long, short)
    ]
    assert sorted(problems[0], key=str) == sorted(problems[1], key=str)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (":62F:C260131USD1099,50", ":62F:C260131USD1.0.9,9,5", "statement.balance"),
        (":62F:", ":25:ANOTHER\n:62F:", "statement.two_accounts"),
    ],
)
def test_a_long_statement_that_ends_badly_is_still_named(
    old: str, new: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mt940_fields, "BLOCK_MAX", 4)
    statement = only(GOOD.replace(old, new).encode())
    assert code in [p.code for p in statement.problems]
    assert {t.source for t in statement.transactions} == {statement.source}
    assert (
        judge(mt940.read(GOOD.replace(old, new).encode(), BANK), "ncb", "0" * 64).transactions == ()
    )


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


PAGE = """:20:S{page}
:25:831047265
:28C:7/{page}
:60{mark}:C260130USD{opening},00
:61:2601310131C250,NTRFNONREF
:86:CASH DEPOSIT
:62{end}:C260131USD{closing},00
-
"""


def pages(*numbers: int) -> str:
    return "".join(
        PAGE.format(page=n, mark="F" if n == 1 else "M", end="M", opening=250 * (n - 1),
                    closing=250 * n) for n in numbers
    )  # fmt: skip


def ids_of(text: str) -> list[str]:
    return [t.external_id for t in mt940.read(text.encode(), BANK).all_transactions]


def test_equal_deposits_on_two_pages_are_two() -> None:
    """Nothing but their pages tells them apart, and money that came twice came twice."""
    both = ids_of(pages(1, 2))
    assert len(set(both)) == 2
    # The same pages once more, in the same file or alone, are not more money.
    assert set(ids_of(pages(1, 2, 1, 2))) == set(both)
    assert set(ids_of(pages(1))) | set(ids_of(pages(2))) <= set(both)


def test_interim_reports_that_repeat_each_other_are_one() -> None:
    one = ":20:R\n:25:1\n:28C:1\n:34F:EUR0,\n:61:260131C1,NTRFNONREF\n:86:a\n-\n"
    assert len(set(ids_of(one + one.replace(":28C:1", ":28C:2")))) == 1


@pytest.mark.parametrize("amount", [",", ".", "", ",,"])
def test_a_balance_without_a_digit_is_none(amount: str) -> None:
    (statement,) = mt940.read(GOOD.replace("USD1000,00", f"USD{amount}").encode(), BANK).statements
    assert statement.opening_minor is None
    assert not statement.ties
    assert "statement.balance" in {p.code for p in statement.problems}


@pytest.mark.parametrize("text", [GOOD, INTERIM], ids=["MT940", "MT942"])
def test_a_file_that_was_cut_gives_no_other_amounts(text: str) -> None:
    """Wherever it ends: what counts is what the whole file says, or nothing counts."""
    data = text.rstrip("-}\n").encode() + b"\n"
    whole = {t.external_id: t.amount_minor for t in mt940.read(data, BANK).all_transactions}
    for cut in range(len(data)):
        try:
            parsed = mt940.read(data[:cut], BANK)
        except PardnaError:
            continue
        counted = judge(parsed, "ncb", "0" * 64).transactions
        assert {t.external_id: t.amount_minor for t in counted}.items() <= whole.items(), data[:cut]


def test_a_message_that_ends_without_a_closing_balance_was_not_cut() -> None:
    text = GOOD.replace(":62F:C260131USD1099,50\n", "")
    (statement,) = mt940.read(text.encode(), BANK).statements
    assert "mt940.truncated" not in {p.code for p in statement.problems}
    (statement,) = mt940.read(text.replace("-}", "").encode(), BANK).statements
    assert "mt940.truncated" in {p.code for p in statement.problems}
