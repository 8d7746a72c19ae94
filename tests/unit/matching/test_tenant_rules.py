"""A tenant's rules: whatever the engine knows can be said, and what is not said stays as delivered."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import date

import pytest

from pardna.matching.aliases import alias_id
from pardna.matching.breaks import age_bucket
from pardna.matching.codec import Finding
from pardna.matching.model import Pair, Status
from pardna.matching.refusals import digest, set_aside
from pardna.matching.rules import (
    Alias,
    BusinessDays,
    FeeSchedule,
    FeeTier,
    PairRules,
    Rail,
    Rules,
    Weights,
    default_rules,
)
from pardna.matching.tenant_rules import document, from_plain, read, to_plain
from pardna.runtime.errors import InvalidInput, TooLarge
from tests.support.matching import a_match, bank_line, charge, contribution, legs, payout


def test_every_rule_that_the_engine_knows_can_be_said() -> None:
    words = document(PairRules).model_fields
    assert set(words) == {f.name for f in fields(PairRules)}
    assert set(document(Rules).model_fields) == {f.name for f in fields(Rules)} - {"version", "aliases"}  # fmt: skip


def test_what_is_not_said_is_as_delivered() -> None:
    made = read('{"pairs": [{"pair": "psp~bank", "tolerance_minor": 5}]}', 7)
    assert made.version == 7
    assert made.of(Pair.INTERNAL_PSP) == default_rules().of(Pair.INTERNAL_PSP)
    expected = replace(default_rules().of(Pair.PSP_BANK), tolerance_minor=5)
    assert made.of(Pair.PSP_BANK) == expected
    assert not expected.right_breaks, "bank lines are no business of the settlement's pair"
    assert replace(read("{}", 1)) == default_rules()


def test_rules_have_an_end() -> None:
    tiers = [{"up_to_minor": n, "bp": 1, "flat_minor": 1} for n in range(500)]
    fees = [{"currency": "JMD", "tiers": tiers}] * 20
    with pytest.raises(TooLarge, match=r"rules\.too_large"):
        read(json.dumps({"pairs": [{"pair": "psp~bank", "fees": fees}]}), 1)
    with pytest.raises(InvalidInput, match=r"pairs\.0\.fees"):
        read(json.dumps({"pairs": [{"pair": "psp~bank", "fees": [fees[0]] * 501}]}), 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"rails": [{"rail": "wire", "before": 0, "after": 2, "waiting_days": 1}] * 2}, "rails"),
        ({"rails": [{"rail": "wire", "before": 0, "after": 400, "waiting_days": 1}]}, "after"),
        ({"rails": [{"rail": "wire", "before": 0}]}, "waiting_days"),
        ({"weights": {"amount_bp": 9_000, "name_same_bp": 3_000}}, "weights"),
        ({"weights": {"against_name_bp": -5}}, "against_name_bp"),
        ({"weights": {"amount_pb": 5}}, "amount_pb"),
    ],
)
def test_rails_and_weights_that_cannot_be_are_refused(words: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read(json.dumps({"pairs": [{"pair": "psp~bank", **words}]}), 1)


def test_rules_come_back_whole_and_with_the_same_hash() -> None:
    base = default_rules()
    fees = (FeeSchedule("JMD", (FeeTier(10_000, 290, 500), FeeTier(0, 250)), 100, "stripe:a"),)
    rails = (Rail("wire", 0, 2, 1), Rail("ach", 0, 4, 3))
    weights = Weights(amount_bp=4_000, against_day_bp=150)
    rules = replace(
        base,
        version=3,
        pairs=(replace(base.pairs[0], fees=fees, rails=rails, weights=weights), *base.pairs[1:]),
        closed_days=(date(2026, 1, 1),),
        aliases=(Alias("name", "Bob", "Robert"),),
    )
    again = from_plain(json.loads(json.dumps(to_plain(rules))))
    assert again == rules
    assert again.rules_hash == rules.rules_hash


def test_an_alias_is_known_by_what_it_reads_as() -> None:
    assert alias_id("reference", "Acme-JA 2026") == alias_id("reference", "ACMEJA2026")
    assert alias_id("reference", "ACME") != alias_id("name", "ACME")


@pytest.mark.parametrize(
    ("opened", "bucket"),
    [
        ("2026-03-12", "0-1"),
        ("2026-03-11", "0-1"),
        ("2026-03-10", "2-5"),
        ("2026-03-05", "2-5"),
        ("2026-03-04", "6-10"),
        ("2026-02-12", "11-20"),
        ("2026-02-11", "21+"),
        ("2026-03-20", "0-1"),
    ],
)
def test_ages_are_business_days(opened: str, bucket: str) -> None:
    assert age_bucket(opened, date(2026, 3, 12), BusinessDays()) == bucket


def test_what_a_person_refused_is_told_as_breaks_and_nothing_is_lost() -> None:
    pair = a_match(*legs(contribution(1, 500), charge(1, 500), pair=Pair.INTERNAL_PSP))
    other = a_match(*legs(contribution(2, 500), charge(2, 500), pair=Pair.INTERNAL_PSP))
    kept, told = set_aside((pair, other), frozenset({pair.match_id}))
    assert kept == (other,)
    assert [(f.class_, f.code, f.legs) for f in told] == [
        ("MISSING_PSP", "refused", pair.members[:1]),
        ("MISSING_INTERNAL", "refused", pair.members[1:]),
    ]
    assert set_aside((pair, other), frozenset()) == ((pair, other), [])


def test_a_refused_settlement_is_one_break_that_covers_all_of_it() -> None:
    charges = [charge(n, 500, fee=20, payout="po_9") for n in range(9)]
    members = [
        *legs(*charges, payout("po_9", 4_320), pair=Pair.PSP_BANK),
        *legs(bank_line("p", 4_320), pair=Pair.PSP_BANK),
    ]
    match = a_match(*members, level=3, status=Status.PROPOSED)
    _, [told] = set_aside((match,), frozenset({match.match_id}))
    assert isinstance(told, Finding)
    assert {leg.kind.value for leg in told.legs} == {"payout", "transfer"}
    assert set(told.covered) == set(members)


def test_refusals_change_what_a_run_is_called() -> None:
    assert digest([]) == ""
    assert digest(["m_1", "m_2"]) == digest(["m_2", "m_1"]) != digest(["m_1"])
