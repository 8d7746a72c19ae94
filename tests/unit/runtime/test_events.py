"""The event envelope."""

from __future__ import annotations

import json

import pytest

from pardna.runtime.errors import InvalidInput
from pardna.runtime.events import TRANSACTION_RECORDED, Envelope


def an_envelope(**changes: object) -> Envelope:
    fields: dict[str, object] = {
        "event_type": TRANSACTION_RECORDED,
        "tenant_id": "kgn-one",
        "subject": "t1:1",
        "key": "t1",
        "occurred_at": "2026-01-31T12:00:00.000Z",
        "correlation_id": "c1",
        "data": {"amount_minor": 5},
    }
    return Envelope(**{**fields, **changes})  # type: ignore[arg-type]


def test_survives_json() -> None:
    envelope = an_envelope()
    assert Envelope.from_json(envelope.to_json()) == envelope


def test_the_same_fact_has_the_same_id_whoever_announces_it() -> None:
    assert an_envelope().event_id == an_envelope(correlation_id="c2", data={}).event_id
    assert an_envelope().event_id != an_envelope(tenant_id="kgn-two").event_id
    assert an_envelope().event_id != an_envelope(subject="t1:2").event_id


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", "0" * 32),
        ("schema_version", 2),
        ("event_type", "rumour.heard"),
        ("tenant_id", ""),
        ("data", {"amount": 1.5}),
        ("occurred_at", "yesterday"),
    ],
)
def test_a_forged_or_foreign_envelope_is_refused(field: str, value: object) -> None:
    raw = json.loads(an_envelope().to_json())
    raw[field] = value
    with pytest.raises(InvalidInput):
        Envelope.from_json(json.dumps(raw))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", b"\xff\xfe"])
def test_what_is_no_envelope_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidInput):
        Envelope.from_json(text)
