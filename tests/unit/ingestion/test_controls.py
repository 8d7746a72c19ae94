"""Rows of a file whose own totals do not hold do not count, however well each of them reads."""

from __future__ import annotations

import pytest

from pardna.formats import bai2, csv_profile, nacha, paypal_settlement
from pardna.formats.model import Parsed
from pardna.ingestion.quality import judge
from pardna.transactions.ports import DeliveryStatus
from tests.support.formats import BANK
from tests.unit.formats.test_bank_texts import BAI2, BATCH, CONTROL, ENTRY, HEADER
from tests.unit.formats.test_csv_profile import STATEMENT, a_profile
from tests.unit.formats.test_processors import PAYPAL_REPORT


def a_csv(text: str) -> Parsed:
    return csv_profile.read(text.encode(), BANK, a_profile())


@pytest.mark.parametrize(
    "parsed",
    [
        bai2.read(BAI2.replace("49,1200000", "49,1200001").encode(), BANK),
        bai2.read(BAI2.replace("98,1200000", "98,1200001").encode(), BANK),
        bai2.read(BAI2.replace("99,1200000,1,8/\n", "").encode(), BANK),
        nacha.read("\n".join((HEADER, BATCH, ENTRY, CONTROL)).encode(), BANK),
        paypal_settlement.read(PAYPAL_REPORT.replace('"SC",3', '"SC",4').encode(), BANK),
        a_csv(STATEMENT.replace("Total,2", "Total,3")),
    ],
    ids=["account", "group", "cut off", "no file control", "section", "csv"],
)
def test_nothing_of_it_counts(parsed: Parsed) -> None:
    assert parsed.all_transactions
    judged = judge(parsed, "source", "a" * 64)
    assert judged.transactions == ()
    assert judged.status is DeliveryStatus.QUARANTINED
    assert judged.rejected


@pytest.mark.parametrize(
    "parsed",
    [
        bai2.read(BAI2.encode(), BANK),
        paypal_settlement.read(PAYPAL_REPORT.encode(), BANK),
        a_csv(STATEMENT),
    ],
    ids=["bai2", "paypal", "csv"],
)
def test_everything_of_a_sound_file_counts(parsed: Parsed) -> None:
    judged = judge(parsed, "source", "a" * 64)
    assert judged.transactions == parsed.all_transactions
    assert judged.status is DeliveryStatus.ACCEPTED


def test_one_bad_batch_leaves_the_others() -> None:
    other = BATCH[:-7] + "0000002"
    bad = CONTROL.replace("000000500000", "000000500001")
    good = CONTROL[:44] + "123456789 " + CONTROL[54:87] + "0000002"
    foot = "9000002000001000000020018280120" + "000000000000" + "000001000000"
    entry = ENTRY[:-1] + "2"
    text = "\n".join((HEADER, BATCH, ENTRY, bad, other, entry, good, foot))
    judged = judge(nacha.read(text.encode(), BANK), "source", "a" * 64)
    assert [t.raw_position for t in judged.transactions] == ["batch 2 entry 1 line 6"]
