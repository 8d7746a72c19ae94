"""Hypothesis strategies that several tests share."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import strategies as st

from pardna.money.model import Money
from pardna.transactions.model import Counterparty, Kind, Reference, Side, Strength, Transaction

currencies = st.sampled_from(["JMD", "USD", "JPY", "BHD"])
minors = st.integers(-(10**12), 10**12)
monies = st.builds(Money, minors, currencies)

references = st.builds(
    Reference,
    st.sampled_from(["charge", "end_to_end", "payment_reference", "contribution"]),
    st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=12),
    st.sampled_from(list(Strength)),
)


@st.composite
def reports(draw: st.DrawFn) -> Transaction:
    """What one channel may say of the one charge ``ch_1``: more or less of the same truth."""
    settled = draw(st.booleans())
    gross, fee = draw(st.integers(1, 10**9)), draw(st.integers(0, 10**6))
    return Transaction(
        tenant_id="kgn-one",
        source="stripe:acct_1",
        external_id="ch_1",
        side=Side.PSP,
        kind=Kind.CHARGE,
        amount_minor=gross,
        currency="JMD",
        occurred_at=draw(st.datetimes(datetime(2026, 1, 1), datetime(2026, 2, 1)).map(_utc)),  # noqa: DTZ001
        raw_sha256=draw(st.sampled_from(["0" * 64, "1" * 64])),
        raw_position=draw(st.sampled_from(["", "row 7"])),
        value_date=draw(st.none() | st.dates(date(2026, 1, 1), date(2026, 2, 1))),
        account=draw(st.sampled_from(["", "acct_1"])),
        gross_minor=gross,
        fee_minor=fee if settled else None,
        net_minor=gross - fee if settled else None,
        counterparty=Counterparty(name=draw(st.sampled_from(["", "A. Brown", "Avis Brown"]))),
        description=draw(st.sampled_from(["", "Hand 3", "Hand 3 of 5"])),
        references=tuple(draw(st.lists(references, max_size=4))),
        batch_id=draw(st.sampled_from(["", "po_1"])) if settled else "",
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
