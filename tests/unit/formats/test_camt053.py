"""ISO 20022 account reports: what they say, and what they must not be able to do."""

from __future__ import annotations

import contextlib
import io
import re
from datetime import UTC, date, datetime

import pytest

from pardna.formats import camt053, registry
from pardna.formats.items import collect
from pardna.formats.model import Statement
from pardna.formats.streaming import open_stream
from pardna.runtime.errors import PardnaError, UnreadableFile
from pardna.transactions.model import Kind, Reference, Side, Strength
from tests.support.formats import BANK, a_camt053, an_entry

DETAILS = """<TxDtls><Refs><EndToEndId>{end_to_end}</EndToEndId><TxId>TX-9</TxId></Refs>
<Amt Ccy="JMD">{amount}</Amt><RltdPties><Dbtr><Pty><Nm>Avis  Brown</Nm></Pty></Dbtr>
<DbtrAcct><Id><IBAN>JM12</IBAN></Id></DbtrAcct></RltdPties>
<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>"""


def details(end_to_end: str = "NOTPROVIDED", amount: str = "5000.00", text: str = "") -> str:
    return DETAILS.format(end_to_end=end_to_end, amount=amount, text=text)


def only(data: bytes) -> Statement:
    (statement,) = camt053.read(data, BANK).statements
    return statement


def test_an_entry_becomes_a_transaction_with_all_it_says() -> None:
    text = "hand pdn 7k3q r01-04 for po_1AbCdEfGh"
    statement = only(a_camt053(an_entry(details=details("E2E-1", text=text))))
    (found,) = statement.transactions
    assert (statement.ties, statement.source) == (True, "ncb:404385912")
    assert found.side is Side.BANK
    assert found.kind is Kind.TRANSFER
    assert (found.amount_minor, found.currency) == (500_000, "JMD")
    assert found.external_id == "NCB-1|2026-01-31|500000"
    assert found.occurred_at == datetime(2026, 1, 30, tzinfo=UTC)
    assert found.value_date == date(2026, 1, 31)
    assert (found.counterparty.name, found.counterparty.account) == ("Avis Brown", "JM12")
    assert set(found.references) == {
        Reference("end_to_end", "E2E-1", Strength.STRONG),
        Reference("bank_reference", "NCB-1"),
        Reference("bank_reference", "TX-9"),
        Reference("payment_reference", "PDN-7K3Q-R01-04"),
        Reference("payout", "po_1AbCdEfGh"),
    }


@pytest.mark.parametrize(
    ("sign", "more", "minor"),
    [
        ("CRDT", "", 500_000),
        ("DBIT", "", -500_000),
        ("", "", 500_000),
        ("DBIT", "<RvslInd>true</RvslInd>", -500_000),
    ],
)
def test_the_indicator_says_which_way_money_went(sign: str, more: str, minor: int) -> None:
    statement = only(a_camt053(an_entry(sign=sign, more=more)))
    assert statement.entries_minor == minor
    assert statement.transactions[0].amount_minor == minor


@pytest.mark.parametrize("version", [f"{n:02d}" for n in range(2, 14)])
def test_every_version_is_read(version: str) -> None:
    parsed = camt053.read(a_camt053(an_entry(), version=version), BANK)
    assert parsed.format == f"camt.053.001.{version}"
    assert parsed.statements[0].ties


def test_a_batch_that_adds_up_becomes_its_members_and_another_stays_whole() -> None:
    adds_up = details("E-1", "3000.00") + details("E-2", "2000.00")
    does_not = details("E-1", "3000.00") + details("E-2", "2000.01")
    first = only(a_camt053(an_entry(details=adds_up)))
    assert [t.amount_minor for t in first.transactions] == [300_000, 200_000]
    assert len({t.external_id for t in first.transactions}) == 2
    second = only(a_camt053(an_entry(details=does_not)))
    assert [t.amount_minor for t in second.transactions] == [500_000]


def test_one_bank_reference_for_a_payment_and_its_fee_keeps_both() -> None:
    statement = only(a_camt053(an_entry("5000.00"), an_entry("10.00", "DBIT"), closing="5090.00"))
    assert len({t.transaction_id for t in statement.transactions}) == 2


def test_without_a_reference_the_same_entry_in_another_file_is_the_same_transaction() -> None:
    def ids(*entries: str, name: str) -> list[str]:
        found = only(a_camt053(*entries, statement_id=name)).transactions
        return [t.external_id for t in found]

    one, twin = (an_entry(reference="NONREF", details=details(text="rent")),) * 2
    other = an_entry(reference="", details=details(text="food"))
    first, second = ids(one, twin, other, name="A"), ids(one, twin, other, name="B")
    assert first == second
    assert len(set(first)) == 3


def test_a_row_that_cannot_be_read_is_named_and_the_others_count() -> None:
    statement = only(a_camt053(an_entry("5,0O0.00"), an_entry("5000.00")))
    assert [p.code for p in statement.problems] == ["entry.amount"]
    assert statement.problems[0].position == "statement 1 entry 1 line 1"
    assert len(statement.transactions) == 1


def test_a_statement_that_does_not_add_up_says_by_how_much() -> None:
    statement = only(a_camt053(an_entry(), closing="5100.01"))
    assert (statement.ties, statement.gap_minor) == (False, 1)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {c} "{f"&{p};" * 10}">' for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><Document><BkToCstmrStmt><Stmt><Id>&i;</Id></Stmt></BkToCstmrStmt></Document>"
)
XXE = (
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    "<Document><BkToCstmrStmt><Stmt><Id>&x;</Id></Stmt></BkToCstmrStmt></Document>"
)


@pytest.mark.parametrize(
    "hostile",
    [
        BOMB.encode(),
        XXE.encode(),
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><Document/>',
        a_camt053(an_entry())[:-30],
        b"<Document>" + b"<a>" * 300 + b"</a>" * 300 + b"</Document>",
        b"<Document><BkToCstmrStmt/></Document>",
        b"\x00\x01\x02",
        b"",
    ],
)
def test_hostile_or_broken_xml_is_refused(hostile: bytes) -> None:
    with pytest.raises(UnreadableFile):
        camt053.read(hostile, BANK)


@pytest.mark.parametrize("amount", ["1e5", "NaN", "--5", "9" * 30, "٥٠٠", "", "5.001"])
def test_what_is_not_an_amount_is_never_guessed(amount: str) -> None:
    statement = only(a_camt053(an_entry(amount)))
    assert statement.transactions == ()
    assert [p.code for p in statement.problems] == ["entry.amount"]


def test_controls_and_lengths_of_texts_are_bounded() -> None:
    text = "x" * 2_000 + "&#9;&#10;y"
    statement = only(a_camt053(an_entry(details=details("E" * 400, text=text))))
    (found,) = statement.transactions
    assert len(found.description) == 500
    assert all(len(r.value) <= 200 for r in found.references)


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_declared_encodings_hold(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'
    body = a_camt053(an_entry(details=details(text="Café"))).decode()
    found = only((declared + body).encode(encoding)).transactions
    assert found[0].description == "Café"


def test_nothing_raises_anything_unexpected() -> None:
    good = a_camt053(an_entry(details=details("E2E-1")))
    for cut in range(0, len(good), 7):
        for broken in (good[:cut], good[:cut] + b"<" + good[cut:], good[:cut] + good[cut + 9 :]):
            with contextlib.suppress(PardnaError):
                camt053.read(broken, BANK)


@pytest.mark.parametrize("status", ["PDNG", "FUTR", "INFO"])
@pytest.mark.parametrize("written", ["<Sts><Cd>{}</Cd></Sts>", "<Sts>{}</Sts>"])
def test_what_is_not_booked_yet_is_told_and_is_no_transaction(status: str, written: str) -> None:
    entry = an_entry().replace("<Sts><Cd>BOOK</Cd></Sts>", written.format(status))
    (statement,) = camt053.read(a_camt053(entry), BANK).statements
    assert statement.transactions == ()
    assert (statement.entries_count, statement.entries_minor) == (1, 500_000)
    assert [p.code for p in statement.problems] == ["entry.pending"]


@pytest.mark.parametrize("groups", [1, 3])
def test_a_batch_of_many_is_read_as_one_of_few(
    groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its details are taken down while it is still being read: in their order, none twice."""
    lists = ("".join(details(f"E-{g}-{n}", "1.00") for n in range(130)) for g in range(groups))
    entry = an_entry(f"{130 * groups}.00", details="</NtryDtls><NtryDtls>".join(lists))
    late = entry.replace("<CdtDbtInd>CRDT</CdtDbtInd>", "").replace(
        "</NtryDtls></Ntry>", "</NtryDtls><CdtDbtInd>CRDT</CdtDbtInd></Ntry>"
    )
    found = only(a_camt053(entry, an_entry("1.00"))).transactions
    names = [r.value for t in found for r in t.references if r.type == "end_to_end"]
    assert names == [f"E-{g}-{n}" for g in range(groups) for n in range(130)]
    assert [t.content_hash for t in only(a_camt053(late, an_entry("1.00"))).transactions] == [
        t.content_hash for t in found
    ]
    monkeypatch.setattr(camt053, "DETAILS_HELD", 1_000_000)
    assert only(a_camt053(entry, an_entry("1.00"))).transactions == found


@pytest.mark.parametrize(
    ("name", "new", "code"),
    [
        ("<Ntry>", "<x/>" * 1_000_001 + "<Ntry>", "xml.too_many"),
        ("<TxDtls/>", "<x/>" * 1_000_001, "xml.too_many"),
        ("</Ntry>", "</Ntry>" + "<Ntry/><x/>" * 20_000, "camt.headers"),
        ("<Ccy>JMD</Ccy>", "", "camt.no_currency"),
    ],
    ids=["beside entries", "within one", "between them", "no currency"],
)
def test_what_would_fill_memory_is_refused(name: str, new: str, code: str) -> None:
    data = a_camt053(an_entry()).decode().replace(name, new, 1)
    if code == "camt.no_currency":
        entries = "<Ntry><Amt>1.00</Amt></Ntry>" * 60_000
        data = re.sub(" Ccy='JMD'", "", data).replace("<Ntry>", f"{entries}<Ntry>", 1)
    with pytest.raises(UnreadableFile) as refused:
        camt053.read(data.encode(), BANK)
    assert refused.value.code == code


def test_blanks_before_the_declaration_do_not_matter() -> None:
    declared = '<?xml version="1.0" encoding="UTF-8"?>' + a_camt053(an_entry()).decode()
    assert camt053.read(f"\r\n  \t{declared}".encode(), BANK) == camt053.read(
        declared.encode(), BANK
    )


CASH = an_entry(reference="NONREF", details=details(text="CASH DEPOSIT"))


def many(*statements: bytes) -> bytes:
    """One document of several statements."""
    inner = [
        s.decode().partition("</GrpHdr>")[2].partition("</BkToCstmrStmt>")[0] for s in statements
    ]
    head, _, rest = statements[0].decode().partition("<Stmt>")
    return f"{head}{''.join(inner)}{rest[rest.index('</BkToCstmrStmt>') :]}".encode()


def ids_of(data: bytes) -> list[str]:
    return [t.external_id for t in camt053.read(data, BANK).all_transactions]


def test_equal_deposits_in_two_statements_of_a_file_are_two() -> None:
    """Nothing but their statements tells them apart, and money that came twice came twice."""
    first = a_camt053(CASH, statement_id="S-1")
    second = a_camt053(CASH, statement_id="S-2", opening="5100.00", closing="10100.00")
    both = ids_of(many(first, second))
    assert len(set(both)) == 2
    # The same statements once more, in the same file or alone, are not more money.
    assert set(ids_of(many(first, second, first, second))) == set(both)
    assert set(ids_of(first)) | set(ids_of(second)) <= set(both)
    # Another account's are its own; a report of the day may say again what the one before it said.
    other = a_camt053(CASH, account="111", statement_id="S-2")
    assert ids_of(many(first, other)) == ids_of(first) * 2
    reports = many(first, second).replace(b"BkToCstmrStmt", b"BkToCstmrAcctRpt")
    assert (
        len(set(ids_of(reports.replace(b"Stmt>", b"Rpt>").replace(b"camt.053", b"camt.052")))) == 1
    )


@pytest.mark.parametrize(
    ("message", "element", "root"),
    [
        ("camt.052", "Rpt", "BkToCstmrAcctRpt"),
        ("camt.053", "Stmt", "BkToCstmrStmt"),
        ("camt.054", "Ntfctn", "BkToCstmrDbtCdtNtfctn"),
    ],
)
@pytest.mark.parametrize("version", [f"{n:02d}" for n in range(2, 14)])
@pytest.mark.parametrize("named", ["default", "prefixed", "bare"])
def test_every_message_in_every_version_however_it_is_named(
    message: str, element: str, root: str, version: str, named: str
) -> None:
    text = a_camt053(an_entry(), version=version).decode()
    text = text.replace("BkToCstmrStmt", root).replace("Stmt>", f"{element}>")
    text = text.replace("camt.053", message)
    if named == "prefixed":
        text = re.sub(r"<(/?)([A-Z])", r"<\1ns0:\2", text).replace("xmlns=", "xmlns:ns0=")
    elif named == "bare":
        text = re.sub(r" xmlns='[^']*'", "", text)
    parsed = registry.parse(text.encode(), BANK)
    assert collect(*open_stream(io.BytesIO(text.encode()), BANK)) == parsed
    assert parsed.format == (message if named == "bare" else f"{message}.001.{version}")
    (statement,) = parsed.statements
    assert statement.ties
    assert statement.transactions[0].amount_minor == 500_000


@pytest.mark.parametrize(
    ("currency", "written", "minor"),
    [
        ("JPY", "5000", 5_000),
        ("JPY", "5000.00", 5_000),
        ("JPY", "5000.5", None),
        ("KWD", "5.125", 5_125),
        ("BHD", "5.1", 5_100),
        ("BHD", "5.1255", None),
        ("CLF", "0.0001", 1),
        ("USD", "-0.00", 0),
    ],
)
def test_decimals_are_those_of_the_currency(currency: str, written: str, minor: int | None) -> None:
    statement = only(
        a_camt053(an_entry(written), opening="0", closing="0").replace(b"JMD", currency.encode())
    )
    found = [t.amount_minor for t in statement.transactions]
    assert found == ([] if minor is None else [minor])
    assert statement.entries_minor == sum(found)


def test_a_currency_without_end_is_shown_short() -> None:
    data = a_camt053(an_entry()).replace(b"<Ccy>JMD", b"<Ccy>" + b"J" * 100_000)
    assert len(only(data).currency) <= 20
