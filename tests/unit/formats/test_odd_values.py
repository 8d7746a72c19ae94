"""Values that no sound file holds, in files that are sound otherwise: named, and never an accident."""

from __future__ import annotations

import json

import pytest

from pardna.formats import camt_entries, camt_shapes, csv_profile, fixed_width, registry
from pardna.formats.day_reader import DayReader
from pardna.formats.model import Parsed
from pardna.formats.profile import Profile
from pardna.transactions.model import Side
from tests.support.formats import BANK, DOWNLOAD, a_camt053, an_entry
from tests.unit.formats.test_bank_texts import BAI2, BATCH, ENTRY, HEADER, OFX
from tests.unit.formats.test_fixed_width import FILE, PROFILE
from tests.unit.formats.test_processors import ADYEN_REPORT, PAYPAL_REPORT

HEADINGS = "Date,Narrative,Ref,Debit,Credit,Balance\n"
EARLY, LATE = "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-11:00"


def codes(parsed: Parsed) -> set[str]:
    return {p.code for p in (*parsed.problems, *(q for s in parsed.statements for q in s.problems))}


def a_profile(**changes: object) -> Profile:
    return Profile.model_validate(DOWNLOAD | changes)


def dated(moment: str) -> list[bytes]:
    """A file of each format whose times may name a zone, at a moment that is in no calendar."""
    capture = {"id": "T1", "amount": {"value": "1.00", "currency_code": "USD"}}
    event = {
        "event_type": "PAYMENT.CAPTURE.COMPLETED",
        "resource_type": "capture",
        "resource": capture | {"create_time": moment},
    }
    day, clock, zone = moment[:10], moment[11:19], moment[19:]
    offset = f"[{zone[:3]}:X]"
    report = (
        "automatic_payout_id,balance_transaction_id,currency,gross,fee,net,reporting_category,"
        f"created\npo_1,txn_1,usd,1.00,0,1.00,charge,{moment}\n"
    )
    breakdown = (
        "Payment ID,Payout ID,Holding Currency,Net In Holding Currency,Gross In Holding Currency,"
        f"Type,Processed On\np,po,USD,1.00,1.00,Charge,{moment}\n"
    )
    paypal = PAYPAL_REPORT.replace(
        "2026/02/03 10:00:00 -0500", f"{day.replace('-', '/')} {clock} {zone.replace(':', '')}"
    )
    return [
        json.dumps(event).encode(),
        OFX.replace("20260203120000[-5:EST]", f"{day}{clock}".translate({45: "", 58: ""}) + offset)
        .replace("20260204", "2026")
        .encode(),
        report.encode(),
        breakdown.encode(),
        paypal.encode(),
        ADYEN_REPORT.replace("2026-02-03 10:00:00", moment).encode(),
    ]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("moment", [EARLY, LATE])
def test_a_moment_outside_of_the_calendar_is_named(moment: str, number: int) -> None:
    data = dated(moment)[number]
    assert {"row.time", "entry.date"} & codes(registry.parse(data, BANK)), data


@pytest.mark.parametrize("moment", [EARLY, LATE])
def test_a_booking_outside_of_the_calendar_takes_the_value_date(moment: str) -> None:
    entry = an_entry().replace("<Dt>2026-01-30</Dt>", f"<DtTm>{moment}</DtTm>")
    (statement,) = registry.parse(a_camt053(entry), BANK).statements
    assert str(statement.transactions[0].occurred_at)[:10] == "2026-01-31"


def test_a_profiles_zone_may_not_lead_out_of_the_calendar() -> None:
    profile = a_profile(
        amounts={"amount": "a"},
        references=[],
        description_columns=[],
        dates={"occurred": "d", "formats": ["%Y-%m-%dT%H:%M:%S"], "zone": "Asia/Tokyo"},
    )
    rows = "a,d\n1.00,0001-01-01T00:00:00\n2.00,2026-01-01T00:00:00\n"
    (statement,) = csv_profile.read(rows.encode(), BANK, profile).statements
    assert [p.code for p in statement.problems] == ["row.date"]
    assert [t.amount_minor for t in statement.transactions] == [200]


@pytest.mark.parametrize("digit", ["\u00b2", "\u0663", "\uff11"])
def test_digits_of_other_alphabets_are_no_numbers(digit: str) -> None:
    """Python takes some of them for digits, and makes numbers of some of these."""
    marked = [{"marker": "Total", "states": {"count": 2}}]
    text = f"{HEADINGS}03/02/2026,x,R,,1.00,\nTotal,{digit},,,,\n"
    assert "control.count" in codes(csv_profile.read(text.encode(), BANK, a_profile(marked=marked)))
    entry = ENTRY[:3] + digit + ENTRY[4:]
    nacha = "\n".join(record.ljust(94) for record in (HEADER, BATCH, entry))
    assert "nacha.bank" in codes(registry.parse(nacha.encode(), BANK))
    amount = ENTRY[:29] + digit * 10 + ENTRY[39:]
    nacha = "\n".join(record.ljust(94) for record in (HEADER, BATCH, amount))
    parsed = registry.parse(nacha.encode(), BANK)
    assert "nacha.amount" in codes(parsed)
    assert parsed.all_transactions == ()
    page = {"payments": [{"id": "PM1", "status": "paid_out", "amount": digit, "currency": "GBP"}]}
    assert codes(registry.parse(json.dumps(page).encode(), BANK)) == {"row.amount"}


@pytest.mark.parametrize(
    ("cell", "amounts"),
    [
        ("-5.00 CR", {"amount": "Credit"}),
        ("(5.00 CR)", {"amount": "Credit"}),
        ("--5.00", {"amount": "Credit"}),
        ("-5.00-", {"amount": "Credit"}),
        ("-5.00", {"amount": "Credit", "direction": "Ref", "credit_values": ["R"]}),
        ("1" + " " * 70_000 + "x", {"amount": "Credit"}),
    ],
)
def test_signs_that_contradict_each_other_are_no_guess(cell: str, amounts: dict[str, str]) -> None:
    text = f"{HEADINGS}03/02/2026,x,R,,{cell},\n"
    parsed = csv_profile.read(text.encode(), BANK, a_profile(amounts=amounts))
    assert parsed.all_transactions == ()
    assert codes(parsed) & {"row.amount", "row.direction"}


@pytest.mark.parametrize(("cell", "minor"), [("-5.00 DR", -500), ("(-5.00)", -500), ("-$5-", None)])
def test_signs_that_agree_are_one(cell: str, minor: int | None) -> None:
    text = f"{HEADINGS}03/02/2026,x,R,,{cell},\n"
    parsed = csv_profile.read(text.encode(), BANK, a_profile(amounts={"amount": "Credit"}))
    found = [t.amount_minor for t in parsed.all_transactions]
    assert found == ([] if minor is None else [minor])


def test_a_row_whose_balance_cannot_be_read_is_in_no_sum() -> None:
    text = f"{HEADINGS}03/02/2026,x,R1,,1.00,1.00\n04/02/2026,y,R2,,2.00,3.O0\n"
    (statement,) = csv_profile.read(text.encode(), BANK, a_profile()).statements
    assert [p.code for p in statement.problems] == ["row.amount"]
    assert statement.entries_minor == sum(t.amount_minor for t in statement.transactions) == 100
    assert statement.entries_count == 1


def test_a_cards_balances_turn_their_signs_with_its_amounts() -> None:
    amounts = {"amount": "Debit", "balance": "Balance", "negated": True}
    text = f"{HEADINGS}03/02/2026,x,R1,50.00,,150.00\n04/02/2026,y,R2,30.00,,180.00\n"
    parsed = csv_profile.read(text.encode(), BANK, a_profile(amounts=amounts))
    (statement,) = parsed.statements
    assert (statement.opening_minor, statement.closing_minor) == (-10_000, -18_000)
    assert statement.ties


def test_ids_that_differ_at_their_end_are_two() -> None:
    one, two = "A" * 150 + "1", "A" * 150 + "2"
    long = "B" * 300
    rows = "".join(f"03/02/2026,x,{i},,1.00,\n" for i in (one, two, f"{long}1", f"{long}2", "R"))
    parsed = csv_profile.read((HEADINGS + rows).encode(), BANK, a_profile(id_columns=["Ref"]))
    ids = [t.external_id for t in parsed.all_transactions]
    assert len(set(ids)) == 5
    assert ids[0] == one
    assert all(len(i) <= 200 for i in ids)


def test_a_balance_that_is_stated_and_cannot_be_read_is_named() -> None:
    marked = [{"marker": "Opening Balance", "states": {"opening": 3}}]
    text = f"Opening Balance,,1.0.0\n{HEADINGS}03/02/2026,x,R,,1.00,\n"
    parsed = csv_profile.read(text.encode(), BANK, a_profile(marked=marked))
    assert "statement.balance" in codes(parsed)
    assert parsed.statements[0].opening_minor is None


@pytest.mark.parametrize(("value", "read"), [("", True), ("00/00/0000", True), ("31/02/26", False)])
def test_a_value_date_that_is_none_is_named(value: str, read: bool) -> None:
    dates = {"occurred": "Date", "value": "Ref", "formats": ["%d/%m/%Y"]}
    text = f"{HEADINGS}03/02/2026,x,{value},,1.00,\n"
    parsed = csv_profile.read(text.encode(), BANK, a_profile(dates=dates, references=[]))
    assert [t.side for t in parsed.all_transactions] == ([Side.BANK] if read else [])
    assert codes(parsed) == (set() if read else {"row.date"})


def test_a_line_that_ends_within_its_amount_is_no_smaller_amount() -> None:
    profile = PROFILE.model_copy(
        update={"detail": None, "marked": (), "description_columns": (), "references": ()}
    )
    profile = Profile.model_validate(
        profile.model_dump() | {"amounts": {"amount": {"start": 10, "length": 12}}, "account": "1"}
    )
    row = FILE.splitlines()[1][:21]
    for end in range(1, 21):
        parsed = fixed_width.read(row[:end].encode(), BANK, profile)
        assert parsed.all_transactions == (), end
    assert fixed_width.read(row.encode(), BANK, profile).all_transactions


def test_an_account_written_in_two_ways_is_one() -> None:
    """With and without blanks it is one source, whose equal rows must not have equal ids."""
    text = "Account,Date,Amount\nDE12 3456,03/02/2026,1.00\nDE123456,03/02/2026,1.00\n"
    profile = a_profile(
        account_column="Account",
        amounts={"amount": "Amount"},
        description_columns=[],
        references=[],
    )
    (statement,) = csv_profile.read(text.encode(), BANK, profile).statements
    assert (statement.entries_count, statement.entries_minor) == (2, 200)
    assert len({t.external_id for t in statement.transactions}) == 2


@pytest.mark.parametrize(
    "data",
    [
        OFX.replace("<CURDEF>JMD", "<CURDEF>JMD\n" * 10 + "\u202e").encode(),
        BAI2.replace(",JMD,010", f",{'JMD' * 100_000},010").encode(),
        BAI2.replace(",JMD,2/", f",{'JMD' * 100},2/").replace(",JMD,010", ",,010").encode(),
        "\n".join(r.ljust(94) for r in (HEADER[:30] + "\x08\x07" + HEADER[32:], BATCH)).encode(),
    ],
)
def test_what_is_shown_of_a_statement_is_short_and_printable(data: bytes) -> None:
    (statement,) = registry.parse(data, BANK).statements
    for text in (statement.currency, statement.statement_id, statement.account):
        assert text.isprintable()
        assert len(text) <= 200


def test_what_a_customer_wrote_says_nothing_about_the_format() -> None:
    """A payment's text may begin lines as other formats do; a report is what its first line says."""
    for mark in ("\n:20:X\n:61:", "\n<OFX>", "\nOFXHEADER:100\n", "\n{1:F01}{4:\n:20:"):
        text = ADYEN_REPORT.replace("order-1", f'"order{mark}"', 1)
        assert registry.detect(text.encode()) == "adyen.settlement", mark
        assert len(registry.parse(text.encode(), BANK).transactions) == 5
        paypal = PAYPAL_REPORT.replace('"inv"', f'"inv{mark}"', 1)
        assert registry.detect(paypal.encode()) == "paypal.settlement", mark
    swift = ":20:X\n:25:1\n:60F:C260131USD0,00\n:61:260131C1,NTRFX\n:86:<OFX>\n:62F:C260131USD1,\n"
    assert registry.detect(swift.encode()) == "mt940"
    assert registry.detect(OFX.replace("<MEMO>", "<MEMO>\n:20:").encode()) == "ofx"


def test_texts_without_end_are_not_remembered() -> None:
    """Caches outlive a file: a large one must not fill them."""
    long = "2026-01-01" * 10_000
    read = DayReader(("%Y-%m-%d",))
    assert read(long) is None
    assert long not in read._known
    before = len(camt_shapes._SHAPES), camt_entries._moment.cache_info().currsize
    entry = an_entry().replace("<Dt>2026-01-30</Dt>", f"<DtTm>{long}</DtTm>")
    entry = entry.replace("<Ntry>", f'<Ntry a="{long}">')
    (statement,) = registry.parse(a_camt053(entry), BANK).statements
    assert str(statement.transactions[0].occurred_at)[:10] == "2026-01-31"
    assert len(camt_shapes._SHAPES) == before[0]
    assert camt_entries._moment.cache_info().currsize <= before[1] + 2
