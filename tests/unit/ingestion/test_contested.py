"""Rows of one file that contradict each other: found whatever their number, in bounded memory."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pardna.ingestion import contested
from pardna.ingestion.bulk import staged_row
from pardna.ingestion.contested import Identities, head_of, standing
from pardna.transactions.lake import StagedRow
from pardna.transactions.model import Kind, Side, Transaction
from tests.support.ingestion import NOON, TENANT

CURRENCIES = ("JMD", "USD", "EUR")


def a_row(number: int, currency: str = "JMD", kind: Kind = Kind.CHARGE) -> Transaction:
    return Transaction(
        tenant_id=TENANT,
        source="stripe:acct_1",
        external_id=f"ch_{number}",
        side=Side.PSP,
        kind=kind,
        amount_minor=100,
        currency=currency,
        occurred_at=NOON,
        raw_sha256="a" * 64,
        raw_position=f"line {number}",
    )


def found(parts: list[list[Transaction]]) -> tuple[dict[str, tuple[str, str, str]], set[int]]:
    """What stands of contested identities, and the parts that had to be read again."""
    identities, staged = Identities(), dict[int, list[StagedRow]]()
    texts = dict[str, Transaction]()
    for number, rows in enumerate(parts, 1):
        staged[number] = [staged_row(t, "g") for t in rows]
        for row, t in zip(staged[number], rows, strict=True):
            identities.note(row, t, number)
            texts[row.body] = t
    heads, where = identities.contested()
    identities.close()
    return standing(heads, where, lambda n: staged[n], texts.__getitem__), where


ROWS = st.lists(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from(CURRENCIES)), max_size=6), max_size=5
)


@settings(deadline=None)
@given(ROWS)
def test_what_stands_is_what_a_single_pass_over_the_file_finds(
    told: list[list[tuple[int, str]]],
) -> None:
    first: dict[int, str] = {}
    said: dict[int, set[tuple[int, str]]] = {}
    for part, rows in enumerate(told):
        for number, currency in rows:
            first.setdefault(number, currency)
            said.setdefault(number, set()).add((part, currency))
    expected = {
        a_row(n).transaction_id: ("psp", "charge", first[n])
        for n, of in said.items()
        if len({p for p, _ in of}) > 1 and len({c for _, c in of}) > 1
    }
    stands, _ = found([[a_row(n, c) for n, c in rows] for rows in told])
    assert stands == expected


def test_notes_on_disk_are_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contested, "_HELD_MAX", 7)
    parts = [[a_row(n) for n in range(40)], [a_row(n) for n in range(40, 80)]]
    assert found(parts) == ({}, set())
    parts.append([a_row(3, "USD"), a_row(44, kind=Kind.REFUND), a_row(5)])
    stands, where = found(parts)
    assert stands == {
        a_row(3).transaction_id: ("psp", "charge", "JMD"),
        a_row(44).transaction_id: ("psp", "charge", "JMD"),
    }
    assert where == {1, 2, 3}


def test_a_file_that_says_the_same_twice_costs_no_second_reading() -> None:
    parts = [[a_row(n) for n in range(50)], [a_row(n) for n in range(50)]]
    assert found(parts) == ({}, set())
    mixed = [[a_row(n, CURRENCIES[n % 3]) for n in range(50)]] * 2
    assert found(mixed) == ({}, set())


def test_more_combinations_than_have_a_number_are_looked_at_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contested, "_OTHER", 1)
    parts = [[a_row(n, CURRENCIES[n]) for n in range(3)], [a_row(2, CURRENCIES[1])]]
    stands, _ = found(parts)
    assert stands == {a_row(2).transaction_id: ("psp", "charge", CURRENCIES[2])}
    assert found([parts[0], parts[0]])[0] == {}


def test_it_stops_looking_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contested, "CONTESTED_MAX", 5)
    identities = Identities()
    for part, currency in ((1, "JMD"), (2, "USD")):
        for n in range(50):
            t = a_row(n, currency)
            identities.note(staged_row(t, "g"), t, part)
    assert len(identities.contested()[0]) == 6


def test_heads_are_beginnings_of_identities() -> None:
    chance = random.Random(7)
    for _ in range(20):
        transaction_id = a_row(chance.randrange(10**6)).transaction_id
        assert transaction_id.replace("-", "").startswith(head_of(transaction_id))
        assert len(head_of(transaction_id)) == 12
