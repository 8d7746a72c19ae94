"""Whatever bytes come, a reader reads, names or refuses; it never fails in another way."""

from __future__ import annotations

import importlib
import io
import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pardna.formats import csv_profile, registry
from pardna.formats.model import Parsed
from pardna.formats.streaming import open_stream
from pardna.runtime.errors import PardnaError
from pardna.transactions.model import Transaction
from tests.support.formats import BANK, a_camt053, an_entry
from tests.unit.formats.test_bank_texts import (
    BAI2,
    BATCH,
    CONTROL,
    ENTRY,
    FILE_CONTROL,
    HEADER,
    OFX,
)
from tests.unit.formats.test_csv_profile import STATEMENT, a_profile
from tests.unit.formats.test_processors import (
    ADYEN_REPORT,
    BRAINTREE,
    PAYPAL_REPORT,
    WORLDPAY,
    adyen_item,
)

SOUND = {
    "camt053": a_camt053(an_entry(), an_entry(sign="DBIT", reference="X")),
    "mt940": b":20:S\r\n:25:1\r\n:28C:1/1\r\n:60F:C260131USD0,00\r\n:61:2601310131RC1,00NTRFA//B\r\n"
    b":86:177?20EREF+E1?21SVWZ+PDN-7K3Q-R01-04?32AVIS\r\n:62F:D260131USD1,00\r\n-\r\n",
    "bai2": BAI2.encode(),
    "ofx": OFX.encode(),
    "nacha": "\n".join((HEADER, BATCH, ENTRY, CONTROL, FILE_CONTROL)).encode(),
    "adyen": json.dumps(adyen_item("CAPTURE")).encode(),
    "adyen_settlement": ADYEN_REPORT.encode(),
    "paypal_settlement": PAYPAL_REPORT.encode(),
    "worldpay": WORLDPAY.encode(),
    "braintree": BRAINTREE.encode(),
}
MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """A sound file with bytes changed, cut out, doubled or cut off."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(found) - 1, 0)))
        length = draw(st.integers(0, 40))
        how = draw(st.sampled_from(["change", "cut", "double", "end"]))
        if how == "change":
            found[at : at + length] = draw(
                st.binary(max_size=20) | st.sampled_from([b"\xff", b"\x00", b"-", b"9" * 30, b"\n"])
            )
        elif how == "cut":
            del found[at : at + length]
        elif how == "double":
            found[at:at] = found[at : at + length]
        else:
            del found[at:]
    return bytes(found)


def sound(parsed: Parsed) -> None:
    """What every answer holds, however bad the bytes were."""
    for statement in parsed.statements:
        assert all(t.source == statement.source for t in statement.transactions)
    assert all(isinstance(t, Transaction) for t in parsed.all_transactions)
    problems = [*parsed.problems, *(p for s in parsed.statements for p in s.problems)]
    assert all(p.code and p.position and p.reason for p in problems)


@pytest.mark.parametrize("name", sorted(SOUND))
@given(data=st.data())
@MANY
def test_damaged_files(name: str, data: st.DataObject) -> None:
    damaged_file = data.draw(damaged(SOUND[name]))
    module = importlib.import_module(f"pardna.formats.{name}")
    with suppress(PardnaError):
        sound(module.read(damaged_file, BANK))
    with suppress(PardnaError):
        registry.parse(damaged_file, BANK)


@given(data=st.data())
@MANY
def test_damaged_csv(data: st.DataObject) -> None:
    with suppress(PardnaError):
        sound(csv_profile.read(data.draw(damaged(STATEMENT.encode())), BANK, a_profile()))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.just("2026-01-01T00:00:00Z"),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=6), below, max_size=3)
    ),
    max_leaves=8,
)
DOCUMENTS = (
    {"object": "event", "type": "charge.succeeded", "created": 1, "data": {"object": {}}},
    {"object": "list", "data": [{"object": "balance_transaction", "id": "txn_1"}]},
    adyen_item("REFUND"),
    {"type": "balancePlatform.transaction.created", "environment": "test", "data": {}},
    {"event_type": "PAYMENT.CAPTURE.COMPLETED", "resource_type": "c", "resource": {"amount": {}}},
    {"payments": [{"id": "PM1", "status": "paid_out", "amount": 1, "currency": "GBP"}]},
    {
        "resource": "payment",
        "status": "paid",
        "id": "tr_1",
        "amount": {"value": "1", "currency": "EUR"},
    },
    {"payout_entries": [{"type": "CHARGE", "gross_amount_money": {}}]},
    {"entity": "collection", "items": [{"entity_id": "pay_1", "type": "payment", "credit": 1}]},
    {"id": "evt_1", "type": "payment_captured", "data": {"id": "pay_1", "currency": "USD"}},
)


@given(document=st.sampled_from(DOCUMENTS), value=JSON, data=st.data())
@MANY
def test_documents_with_anything_anywhere(
    document: object, value: object, data: st.DataObject
) -> None:
    changed = json.loads(json.dumps(document))
    places = list(_places(changed))
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = value
    with suppress(PardnaError):
        sound(registry.parse(json.dumps(changed).encode(), BANK))


def _places(document: object):  # type: ignore[no-untyped-def]
    if isinstance(document, dict):
        for key in list(document):
            yield document, key
            yield from _places(document[key])
    elif isinstance(document, list):
        for index in range(len(document)):
            yield document, index
            yield from _places(document[index])


@given(st.binary(max_size=300))
@MANY
def test_any_bytes(data: bytes) -> None:
    for read in (
        lambda: registry.parse(data, BANK),
        lambda: list(open_stream(io.BytesIO(data), BANK)[1]),
    ):
        with suppress(PardnaError):
            read()
