"""Matching as records arrive, on the fake state."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.matching.consumer import StreamConsumer
from pardna.matching.model import Pair
from pardna.matching.online import MatchOnline
from pardna.matching.rules import default_rules
from pardna.transactions.model import Transaction
from pardna.transactions.recorded import TransactionRecorded
from tests.fakes.match_state import FakeMatchState
from tests.support.matching import DAY, TENANT, bank_line, charge, contribution, strong


def recorded(transaction: Transaction, version: int = 1) -> TransactionRecorded:
    return TransactionRecorded(transaction, version, transaction if version > 1 else None)


def run(*records: TransactionRecorded) -> FakeMatchState:
    state = FakeMatchState()
    online = MatchOnline(state, lambda _: default_rules())
    for record in records:
        online.take(record)
    return state


STORY = [
    recorded(contribution(1, 500)),
    recorded(charge(1, 500)),
    recorded(charge(1, 500, 20, payout="po_1"), 2),
    recorded(contribution(2, 700, "bank")),
    recorded(bank_line(1, 700, strong("end_to_end", "E2E2"))),
]


@given(st.permutations(STORY + STORY[:3]))
def test_any_order_and_repetition_ends_in_the_same_matches(records) -> None:
    state = run(*records)
    assert sorted(state.matches) == sorted(run(*STORY).matches)
    assert len(state.matches) == 2
    assert all(h.version == 1 for h in state.matches.values())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_one_charge_by_three_routes_is_one_leg_and_one_match(order) -> None:
    """Versions as the store makes them: 1, 2, 3 of one identity, delivered in any order."""
    versions = [
        recorded(charge(1, 500)),
        recorded(charge(1, 500, 20), 2),
        recorded(charge(1, 500, 20, payout="po_1"), 3),
    ]
    state = run(recorded(contribution(1, 500)), *(versions[n] for n in order))
    assert len(state.matches) == 1
    legs = [leg for key, leg in state.legs.items() if key[1] is Pair.INTERNAL_PSP]
    assert sorted(leg.external_id for leg in legs) == ["con_1", "txn_1"]
    assert {leg.version for leg in legs if leg.external_id == "txn_1"} == {3}


@pytest.mark.parametrize(
    "other",
    [
        charge(1, 499),
        charge(1, -500),
        charge(1, 500, currency="USD"),
        charge(2, 500),
        charge(1, 500, occurred_at=DAY + timedelta(days=120)),
        replace(
            charge(1, 500),
            references=(strong("contribution", "con_1"), strong("refund", "re_1")),
        ),
    ],
    ids=["amount", "direction", "currency", "reference", "window", "contradiction"],
)
def test_what_is_not_the_same_money_stays_open(other: Transaction) -> None:
    ours = contribution(1, 500)
    ours = replace(ours, references=(*ours.references, strong("refund", "re_2")))
    assert run(recorded(ours), recorded(other)).matches == {}


def test_two_charges_of_one_contribution_are_left_to_the_batch() -> None:
    twin = replace(charge(1, 500), external_id="txn_1b")
    state = run(recorded(charge(1, 500)), recorded(twin), recorded(contribution(1, 500)))
    assert state.matches == {}


class Kept:
    def __init__(self) -> None:
        self.records: list[tuple[bytes, str]] = []

    def put(self, data: bytes, error_code: str, sequence_number: str) -> None:
        self.records.append((data, error_code))


def stream(*bodies: bytes | str) -> list[dict]:
    return [
        {"kinesis": {"data": base64.b64encode(b.encode() if isinstance(b, str) else b).decode()}}
        for b in bodies
    ]


def envelope(record: TransactionRecorded) -> str:
    return record.to_envelope("2026-03-02T12:00:00Z", "test").to_json()


def test_poison_is_kept_whole_and_holds_nothing_up() -> None:
    state, kept = FakeMatchState(), Kept()
    consumer = StreamConsumer(MatchOnline(state, lambda _: default_rules()), kept)
    forged = json.loads(envelope(recorded(charge(1, 500))))
    forged["data"]["tenant_id"] = "other"
    records = stream(
        envelope(recorded(contribution(1, 500))),
        b"\xff\x00 not json",
        json.dumps(forged),
        envelope(recorded(charge(1, 500))),
    )
    done = consumer.consume([*records, {"kinesis": {"data": "§ not base64"}}])
    assert (done.records, done.legs, done.matches, done.poison) == (5, 2, 1, 3)
    assert kept.records[0] == (b"\xff\x00 not json", "event.unreadable")
    assert kept.records[2][0] == "§ not base64".encode()


def test_a_state_that_stays_busy_puts_the_record_aside() -> None:
    state, kept = FakeMatchState(fail_next=1), Kept()
    consumer = StreamConsumer(MatchOnline(state, lambda _: default_rules()), kept)
    records = stream(envelope(recorded(contribution(1, 500))), envelope(recorded(charge(1, 500))))
    assert consumer.consume(records).poison == 1
    assert kept.records[0][1] == "matching.contended"
    assert consumer.consume(stream(kept.records[0][0])).matches == 1
    assert TENANT in envelope(recorded(charge(1, 500)))
