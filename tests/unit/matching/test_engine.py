"""The engine by example: what each level joins, and what it says of the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pardna.matching.engine import Result, match
from pardna.matching.model import Leg, Pair
from pardna.matching.rules import (
    FeeSchedule,
    FeeTier,
    PairRules,
    Rail,
    Rules,
    Weights,
    default_rules,
)
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Counterparty, Kind, Reference, Transaction
from tests.support.matching import (
    DAY,
    a_transaction,
    bank_line,
    charge,
    contribution,
    day,
    legs,
    payout,
    strong,
    weak,
)

SOON, LATE = day("2026-03-04"), day("2026-03-20")


def run(
    *records: Transaction, pair: Pair, on=SOON, rules: Rules | None = None, **changed: object
) -> Result:
    base = rules or default_rules()
    own = replace(base.of(pair), **changed)
    all_legs = legs(*records, pair=pair)
    return match(
        [leg for leg in all_legs if leg.is_left],
        [leg for leg in all_legs if not leg.is_left],
        replace(base, pairs=(own,)),
        pair,
        on,
    )


def told(result: Result) -> list[tuple[str, str, list[str]]]:
    return [(f.class_, f.code, [leg.external_id for leg in f.legs]) for f in result.findings]


def names(found: tuple[Leg, ...]) -> list[str]:
    return sorted(leg.external_id for leg in found)


def test_level_1_joins_equal_identities_and_says_why() -> None:
    result = run(contribution(1, 500), charge(1, 500), pair=Pair.INTERNAL_PSP)
    [found] = result.matches
    assert (found.level, found.confidence_bp, names(found.members)) == (
        1,
        10_000,
        ["con_1", "txn_1"],
    )
    assert found.explanation.sentence == (
        "Both carry contribution con_1 and the same gross amount, J$5.00, on the same day."
    )


def test_a_contradicted_identity_is_a_break_and_never_scored() -> None:
    result = run(contribution(1, 500), charge(1, 499), pair=Pair.INTERNAL_PSP)
    assert told(result) == [("AMOUNT_MISMATCH", "amounts_differ", ["con_1", "txn_1"])]
    far = charge(1, 500, occurred_at=DAY + timedelta(days=100))
    result = run(contribution(1, 500), far, pair=Pair.INTERNAL_PSP)
    assert told(result) == [("TIMING", "outside_window", ["con_1", "txn_1"])]


def test_a_second_charge_of_one_contribution_is_a_duplicate() -> None:
    twin = replace(charge(1, 500), external_id="txn_1b", occurred_at=DAY + timedelta(days=1))
    result = run(contribution(1, 500), twin, charge(1, 500), pair=Pair.INTERNAL_PSP)
    assert names(result.matches[0].members) == ["con_1", "txn_1"]
    assert told(result) == [("DUPLICATE", "duplicate", ["txn_1b"])]


def test_a_refund_that_names_its_charge_is_not_its_duplicate() -> None:
    refund = replace(charge(1, -500), external_id="txn_r")
    result = run(contribution(1, 500), charge(1, 500), refund, pair=Pair.INTERNAL_PSP)
    assert len(result.matches) == 1
    assert names(result.waiting) == ["txn_r"]


def test_an_identity_of_too_many_is_reported_and_joins_nothing() -> None:
    same = [
        replace(charge(n, 500), references=(strong("contribution", "con_1"),)) for n in range(20)
    ]
    result = run(contribution(1, 500), *same, pair=Pair.INTERNAL_PSP)
    assert result.matches == ()
    assert result.caps["identities_shared_by_too_many_r"] == 1


def paid(number: int, amount: int, text: str, **more: object) -> Transaction:
    return bank_line(number, amount, weak("payment_reference", text), **more)


def test_level_2_joins_normalised_references_and_one_edit() -> None:
    result = run(
        contribution(1, 500, "bank"), paid(1, 500, "pdn 7k3q r01 1"),
        contribution(22, 500, "bank"), paid(2, 500, "PDN-7K3Q-R01-2"),
        pair=Pair.INTERNAL_BANK,
    )  # fmt: skip
    assert [(m.level, m.rule_id, m.confidence_bp) for m in result.matches] == [
        (2, "reference", 9_900)
    ]
    longer = contribution("0004", 700, "bank")
    result = run(longer, paid(3, 700, "PDN7K3QR010O04"), pair=Pair.INTERNAL_BANK)
    [found] = result.matches
    assert (found.rule_id, found.confidence_bp) == ("reference_one_edit", 9_500)
    assert "differ in one character" in found.explanation.sentence


@pytest.mark.parametrize(
    ("amount", "matches"),
    [(10_000, 1), (9_950, 1), (10_050, 1), (9_949, 0), (10_051, 0), (-10_000, 0)],
)
def test_tolerance_is_exact_at_its_boundary(amount: int, matches: int) -> None:
    result = run(
        contribution(1, 10_000, "bank"), paid(1, amount, "PDN-7K3Q-R01-1"),
        pair=Pair.INTERNAL_BANK, tolerance_minor=10, tolerance_bp=50,
    )  # fmt: skip
    assert len(result.matches) == matches
    assert all(m.variance_minor == 10_000 - amount for m in result.matches)


@pytest.mark.parametrize(("net", "matches"), [(9_410, 1), (9_409, 1), (9_411, 1), (9_408, 0), (9_412, 0)])  # fmt: skip
def test_a_fee_schedule_predicts_the_net_to_one_minor_unit(net: int, matches: int) -> None:
    schedule = FeeSchedule("JMD", (FeeTier(0, 290, 300),))
    result = run(
        contribution(1, 10_000, "bank"), paid(1, net, "PDN-7K3Q-R01-1"),
        pair=Pair.INTERNAL_BANK, fees=(schedule,),
    )  # fmt: skip
    assert [m.variance_kind for m in result.matches] == ["fee"] * matches


def test_two_equal_candidates_are_ambiguous_and_two_for_two_are_not() -> None:
    ours = contribution(1, 500, "bank")
    lines = [paid(n, 500, "PDN-7K3Q-R01-1") for n in (1, 2)]
    result = run(ours, *lines, pair=Pair.INTERNAL_BANK)
    assert result.matches == ()
    assert [(c, n) for c, _, n in told(result)] == [("AMBIGUOUS", ["con_1"])]
    second = replace(ours, external_id="con_1b", references=tuple(r for r in ours.references if r.strength == "weak"))  # fmt: skip
    first = replace(second, external_id="con_1a")
    result = run(first, second, *lines, pair=Pair.INTERNAL_BANK)
    assert len(result.matches) == 2


def test_the_nearer_day_wins_and_the_rule_window_is_kept() -> None:
    ours = contribution(1, 500, "bank")
    near = paid(1, 500, "PDN-7K3Q-R01-1", occurred_at=DAY + timedelta(days=1))
    far = paid(2, 500, "PDN-7K3Q-R01-1", occurred_at=DAY + timedelta(days=2))
    result = run(ours, far, near, pair=Pair.INTERNAL_BANK)
    assert names(result.matches[0].members) == ["con_1", "line_1"]
    assert result.matches[0].explanation.margin_bp == 0
    out = paid(3, 500, "PDN-7K3Q-R01-1", occurred_at=DAY + timedelta(days=8))
    assert run(ours, out, pair=Pair.INTERNAL_BANK).matches == ()


def settlement(extra: int = 0, banked: int = 0) -> list[Transaction]:
    """Two charges, a refund and a dispute, their payout, and the bank's line."""
    parts = [
        charge(1, 10_000, 590, payout="po_K3Q81"),
        charge(2, 20_000, 880, payout="po_K3Q81"),
        replace(charge(3, -5_000, 0, payout="po_K3Q81"), kind=Kind.REFUND),
    ]
    total = sum(p.net_minor or 0 for p in parts) + extra
    name = strong("payout", "po_K3Q81")
    trace = strong("trace", "PO7K3Q81")
    made = payout("po_K3Q81", total)
    made = replace(made, references=(name, trace))
    return [*parts, made, bank_line(1, total + banked, weak("payout", "PO7K3Q81"))]


def test_level_3_proves_a_settlement_to_zero() -> None:
    result = run(*settlement(), pair=Pair.PSP_BANK)
    [found] = result.matches
    assert (found.level, found.shape, found.variance_minor) == (3, "n:1", 0)
    assert len(found.members) == 5
    assert "settles 3 movements whose net amounts come to J$235.30: difference J$0.00" in (
        found.explanation.sentence
    )


@pytest.mark.parametrize(
    ("records", "on", "expected"),
    [
        (settlement(extra=7), SOON, ("AMOUNT_MISMATCH", "members_differ", -7)),
        (settlement(banked=-3), SOON, ("AMOUNT_MISMATCH", "bank_differs", -3)),
        (settlement()[:-1], LATE, ("MISSING_BANK", "no_bank_line", 23_530)),
        (settlement()[3:], LATE, ("MISSING_PSP", "members_unknown", 23_530)),
        ([charge(9, 100, None, payout="po_K3Q81"), *settlement()], LATE, ("FEE_VARIANCE", "fees_unknown", 23_530)),
    ],
    ids=["members", "bank", "no line", "no members", "fee unknown"],
)  # fmt: skip
def test_a_settlement_that_is_not_proved_names_the_difference(records, on, expected) -> None:
    result = run(*records, pair=Pair.PSP_BANK, on=on)
    assert result.matches == ()
    [finding] = result.findings
    assert (finding.class_, finding.code, finding.number) == expected
    left = [leg for leg in legs(*records, pair=Pair.PSP_BANK) if leg.is_left]
    assert {leg.external_id for leg in finding.covered} >= {leg.external_id for leg in left}


def test_what_is_not_due_waits_and_then_is_missing() -> None:
    record = contribution(1, 500)
    assert names(run(record, pair=Pair.INTERNAL_PSP, on=day("2026-03-05")).waiting) == ["con_1"]
    result = run(record, pair=Pair.INTERNAL_PSP, on=day("2026-03-06"))
    assert told(result) == [("MISSING_PSP", "missing", ["con_1"])]
    result = run(charge(1, 500), pair=Pair.INTERNAL_PSP, on=LATE)
    assert told(result) == [("MISSING_INTERNAL", "missing", ["txn_1"])]


def test_empty_sides_and_odd_amounts() -> None:
    assert run(pair=Pair.INTERNAL_PSP) == Result()
    zero = run(contribution(1, 0), charge(1, 0), pair=Pair.INTERNAL_PSP)
    assert len(zero.matches) == 1
    hostile = paid(1, 500, "'); DROP TABLE legs_l; --", description="\u202e''\\")
    assert names(run(hostile, pair=Pair.INTERNAL_BANK).waiting) == ["line_1"]


def test_only_one_payout_may_claim_a_line() -> None:
    first = settlement()
    other = replace(first[3], external_id="txn_again", source="stripe:acct_2")
    result = run(*first, other, pair=Pair.PSP_BANK)
    assert result.matches == ()
    assert {f.code for f in result.findings} == {"line_shared"}


@pytest.mark.parametrize(
    ("said", "days", "level"),
    # A rail of two days, on either leg, in a pair whose window is five; and one that nobody set.
    [("wire", 2, 2), ("wire", 3, 0), ("cheque", 5, 2), ("cheque", 6, 0), ("", 5, 2), ("", 6, 0)],
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_windows_are_those_of_the_rail(said: str, days: int, level: int, side: str) -> None:
    shared, rail = (
        weak("payment_reference", "PDN-7K3Q-R01-77"),
        [weak("rail", said)] if said else [],
    )
    named_by = {"left": (rail, []), "right": ([], rail)}[side]
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
    later = start + timedelta(days=days + 2 * (days > 4))
    ours = a_transaction("internal", "draw", "d_1", 500, shared, *named_by[0], occurred_at=start)
    theirs = bank_line(1, 500, shared, *named_by[1], occurred_at=later)
    result = run(ours, theirs, pair=Pair.INTERNAL_BANK, rails=(Rail("wire", 0, 2, 1),))
    assert [m.level for m in result.matches] == [level] * bool(level)


@pytest.mark.parametrize(("said", "missing"), [("wire", True), ("cheque", False)])
def test_a_leg_waits_as_long_as_its_rail_takes(said: str, missing: bool) -> None:
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)
    ours = a_transaction("internal", "draw", "d_1", 500, weak("rail", said), occurred_at=start)
    result = run(ours, pair=Pair.INTERNAL_BANK, on=SOON, rails=(Rail("wire", 0, 2, 1),))
    assert bool(result.findings) is missing
    assert bool(result.waiting) is not missing


def test_level_4_weighs_as_the_rules_say() -> None:
    ours, theirs = named("l", 1, 700), named("r", 2, 700)
    [found] = run(ours, theirs, pair=Pair.INTERNAL_BANK, on=LATE).proposals
    assert found.confidence_bp == 5_000 + 1_500 + 1_000
    weights = Weights(amount_bp=4_500, name_same_bp=2_100, day_bp=900)
    [found] = run(ours, theirs, pair=Pair.INTERNAL_BANK, on=LATE, weights=weights).proposals
    assert found.confidence_bp == 4_500 + 2_100 + 900
    assert found.explanation.signals[0].contribution_bp == 4_500
    less = Weights(name_same_bp=900)
    assert not run(ours, theirs, pair=Pair.INTERNAL_BANK, on=LATE, weights=less).proposals


def test_rules_of_a_pair_are_found() -> None:
    assert PairRules(Pair.PSP_BANK) == Rules().of(Pair.PSP_BANK)


def a_refund(of: int | str, amount: int, number: int | str = 1) -> Transaction:
    """What was given back of the charge `of`."""
    given = charge(f"r{number}", -amount, 0)
    return replace(
        given,
        kind=Kind.REFUND,
        external_id=f"re_{number}",
        references=(strong("refund", f"re_{number}"), weak("charge", f"ch_{of}")),
    )


def test_a_charge_that_was_given_back_in_full_needs_nobody() -> None:
    result = run(charge(1, 500), a_refund(1, 500), pair=Pair.INTERNAL_PSP, on=LATE)

    [found] = result.matches
    assert (found.level, found.rule_id, found.shape) == (2, "reversal", "0:n")
    assert names(found.members) == ["re_1", "txn_1"]
    assert sum(leg.basis_minor or 0 for leg in found.members) == 0
    assert "given back in full" in found.explanation.sentence
    assert not result.findings


def test_a_hand_paid_twice_and_refunded_once_is_paid() -> None:
    twice = replace(charge(2, 500), references=charge(1, 500).references[:1])
    twice = replace(twice, references=(*twice.references, strong("charge", "ch_2")))

    result = run(
        contribution(1, 500), charge(1, 500), twice, a_refund(2, 500), pair=Pair.INTERNAL_PSP
    )

    assert sorted(m.rule_id for m in result.matches) == ["identity", "reversal"]
    [paid] = [m for m in result.matches if m.rule_id == "identity"]
    assert names(paid.members) == ["con_1", "txn_1"]
    assert not result.findings


@pytest.mark.parametrize(
    "refunds",
    [
        pytest.param([a_refund(1, 499)], id="a part only"),
        pytest.param([a_refund(1, 500, 1), a_refund(1, 500, 2)], id="twice"),
        pytest.param([a_refund(2, 500)], id="of another charge"),
        pytest.param([replace(a_refund(1, 500), source="stripe:acct_2")], id="elsewhere"),
    ],
)
def test_what_is_not_one_full_refund_is_left_to_people(refunds: list[Transaction]) -> None:
    result = run(charge(1, 500), *refunds, pair=Pair.INTERNAL_PSP, on=LATE)

    assert not result.matches
    assert len(result.findings) == 1 + len(refunds)


def named(side: str, number: int, amount: int, name: str = "Avis Brown") -> Transaction:
    """A movement without any reference, of a counterparty."""
    made = contribution(f"g{number}", amount, "bank") if side == "l" else bank_line(number, amount)
    return replace(made, references=(), counterparty=Counterparty(name=name))


def test_a_set_that_is_the_only_one_to_come_to_a_line_is_proposed_and_never_matched() -> None:
    parts = [named("l", n, amount) for n, amount in enumerate((301, 207, 555, 91))]
    result = run(*parts, named("r", 9, 301 + 207 + 91), pair=Pair.INTERNAL_BANK, on=LATE)
    assert result.matches == ()
    [found] = result.proposals
    assert (found.level, found.rule_id, found.shape) == (3, "group", "n:1")
    assert names(found.members) == ["con_g0", "con_g1", "con_g3", "line_9"]
    assert "no other set of the 4 that were looked at does" in found.explanation.sentence
    assert "Only a person may confirm it" in found.explanation.sentence
    assert told(result) == [("MISSING_BANK", "missing", ["con_g2"])]


def test_a_payment_in_parts_is_found_the_other_way_round() -> None:
    lines = [named("r", n, amount) for n, amount in enumerate((301, 207))]
    result = run(named("l", 9, 508), *lines, pair=Pair.INTERNAL_BANK, on=LATE)
    [found] = result.proposals
    assert (found.shape, names(found.members)) == ("1:n", ["con_g9", "line_0", "line_1"])


def known(side: str, number: int, amount: int, end_to_end: str, *more: Reference) -> Transaction:
    """A movement of one counterparty that names an identity."""
    references = (strong("end_to_end", end_to_end), *more)
    return replace(named(side, number, amount), references=references)


def test_what_a_strong_reference_contradicts_is_joined_at_no_level() -> None:
    """Each carries its own identity and nothing else that differs: never the same movement."""
    ours, theirs = known("l", 1, 700, "E2E-A"), known("r", 2, 700, "E2E-B")
    result = run(ours, theirs, pair=Pair.INTERNAL_BANK, on=LATE)
    assert result.matches == result.proposals == ()
    # Level 4 would have proposed them, but for the identities.
    [found] = run(ours, named("r", 2, 700), pair=Pair.INTERNAL_BANK, on=LATE).proposals
    assert found.level == 4


@pytest.mark.parametrize(("identity", "proposals"), [("E2E-B", 0), ("", 1)])
def test_a_set_holds_no_movement_that_a_strong_reference_contradicts(
    identity: str, proposals: int
) -> None:
    parts = [known("l", n, amount, f"E2E-{n}") for n, amount in ((3, 301), (4, 207))]
    whole = known("r", 9, 508, identity) if identity else named("r", 9, 508)
    result = run(*parts, whole, pair=Pair.INTERNAL_BANK, on=LATE)
    assert result.matches == ()
    assert len(result.proposals) == proposals


@pytest.mark.parametrize(("identity", "matches"), [("E2E-B", 0), ("", 1)])
def test_a_reference_sum_holds_no_movement_that_a_strong_reference_contradicts(
    identity: str, matches: int
) -> None:
    shared = weak("payment_reference", "PDN-7K3Q-R01-77")
    ours = known("l", 1, 508, "E2E-A", shared)
    parts = [
        known("r", n, amount, identity, shared) if identity
        else replace(named("r", n, amount), references=(shared,))
        for n, amount in ((3, 301), (4, 207))
    ]  # fmt: skip
    result = run(ours, *parts, pair=Pair.INTERNAL_BANK, on=LATE)
    assert len(result.matches) == matches


def test_sets_that_are_not_the_only_ones_are_ambiguous() -> None:
    parts = [named("l", n, amount) for n, amount in enumerate((100, 400, 200, 300))]
    result = run(*parts, named("r", 9, 500), pair=Pair.INTERNAL_BANK, on=LATE)
    assert result.proposals == ()
    assert ("AMBIGUOUS", "group_ambiguous", ["line_9"]) in told(result)


def test_two_lines_that_claim_one_movement_are_ambiguous_both() -> None:
    parts = [named("l", n, amount) for n, amount in enumerate((301, 207, 555))]
    lines = [named("r", 8, 301 + 207), named("r", 9, 301 + 555)]
    result = run(*parts, *lines, pair=Pair.INTERNAL_BANK, on=LATE)
    assert result.proposals == ()
    assert {n for c, _, (n,) in told(result) if c == "AMBIGUOUS"} == {"line_8", "line_9"}


def test_what_a_search_does_not_look_at_is_told() -> None:
    many = [named("l", n, 1_000 + n) for n in range(25)]
    result = run(*many, named("r", 99, 2_001), pair=Pair.INTERNAL_BANK, on=LATE)
    assert result.proposals == ()
    assert result.caps == {"groups_of_too_many_candidates": 1}
    few = [named("l", n, 1_000 + n) for n in range(20)]
    result = run(*few, named("r", 99, 9_999), pair=Pair.INTERNAL_BANK, on=LATE, subset_steps=3)
    assert result.caps["groups_search_given_up"] == 1
    assert run(*few, named("r", 99, 2_001, "Beres Clarke"), pair=Pair.INTERNAL_BANK).caps == {}


def test_hostile_amounts_days_and_texts_are_only_data() -> None:
    """The largest amounts there are, days at both ends of the calendar, texts that look like SQL."""
    huge = 9_000_000_000_000_000_000
    far = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]
    evil = "Robert'); DROP TABLE decisions; --\u202e\ud7ff"
    records = [
        replace(make(n, amount), occurred_at=at, counterparty=Counterparty(name=evil))
        for n, (amount, at) in enumerate((a, d) for a in (huge, -huge, 0) for d in far)
        for make in (
            lambda n, a: contribution(f"h{n}", a, "bank"),
            lambda n, a: replace(paid(n, a, "PDN-7K3Q-R01-h1"), references=(weak("payment_reference", evil), strong("utr", evil))),
            lambda n, a: replace(paid(f"{n}b", a, "PDN-7K3Q-R01-h1"), references=(strong("utr", evil),)),
        )
    ]  # fmt: skip
    result = run(*records, pair=Pair.INTERNAL_BANK, tolerance_bp=10_000, fees=(FeeSchedule("JMD", (FeeTier(0, 10_000, 1),)),))  # fmt: skip
    placed = [leg for m in (*result.matches, *result.proposals) for leg in m.members]
    placed += [leg for f in result.findings for leg in f.covered]
    placed += result.waiting
    assert sorted(leg.external_id for leg in placed) == sorted(r.external_id for r in records)


@pytest.mark.parametrize(
    "evil",
    [
        "'; DROP TABLE decisions; --", "=1+1", "@SUM(A1)", "\u202eabc\u202c", "\u2066x\u2069",
        "\ufffe\uffff", "\U0001f469\u200d\U0001f467", "R" * 200, "%s{0}$1\\", "\r\n\t\x1f", "\u0130\u0131ſß",
    ],
    ids=lambda text: ascii(text)[:12],
)  # fmt: skip
def test_a_hostile_text_identifies_what_it_identifies_and_does_nothing_else(evil: str) -> None:
    def with_it(one: Transaction) -> Transaction:
        return replace(
            one,
            references=(weak("payment_reference", evil), strong("end_to_end", evil)),
            counterparty=Counterparty(name=evil),
            description=evil,
        )

    result = run(
        with_it(contribution(1, 500, "bank")), with_it(bank_line(1, 500)),
        contribution(2, 700, "bank"), bank_line(2, 900), pair=Pair.INTERNAL_BANK, on=LATE,
    )  # fmt: skip
    [found] = result.matches
    assert (found.level, names(found.members)) == (1, ["con_1", "line_1"])
    assert evil in found.explanation.sentence
    assert len(result.findings) == 2


@pytest.mark.parametrize(
    "evil", ["a\x00b", "half \ud800", "R" * 1_000_000], ids=["NUL", "half", "long"]
)
def test_what_no_store_can_keep_never_becomes_a_leg(evil: str) -> None:
    for change in ({"references": (weak("text", evil),)}, {"description": evil}):
        with pytest.raises(InvalidInput, match=r"transaction\.invalid"):
            bank_line(1, 500, *change.pop("references", ()), **change)


def test_one_side_a_thousand_times_larger() -> None:
    many = [paid(n, 500 + n % 7, f"PDN-7K3Q-R01-{n}") for n in range(3_000)]
    ours = [contribution(n, 500 + n % 7, "bank") for n in (1, 700, 2_999)]
    result = run(*ours, *many, pair=Pair.INTERNAL_BANK, on=LATE)
    assert sorted(names(m.members) for m in result.matches) == [
        ["con_1", "line_1"], ["con_2999", "line_2999"], ["con_700", "line_700"]
    ]  # fmt: skip
    assert len(result.matches) * 2 + len(result.findings) == len(many) + len(ours)


def test_a_strong_reference_that_many_rows_of_both_sides_carry_joins_nothing() -> None:
    same = (strong("end_to_end", "NOTPROVIDED"),)
    ours = [replace(contribution(n, 500 + n, "bank"), references=same) for n in range(40)]
    theirs = [replace(bank_line(n, 500 + n), references=same) for n in range(40)]
    result = run(*ours, *theirs, pair=Pair.INTERNAL_BANK, on=LATE)
    assert result.matches == ()
    assert result.caps["identities_shared_by_too_many_l"] == 1
    assert result.caps["identities_shared_by_too_many_r"] == 1


@pytest.mark.parametrize(
    ("theirs", "matches"),
    [("REF-T-00085l", 1), ("REF-T-O00851", 1), ("REF-T-000B51", 1), ("REF-T-000951", 0), ("REF-T-O0085l", 0)],
)  # fmt: skip
def test_a_short_reference_is_read_alike_when_one_character_looks_like_its_own(
    theirs: str, matches: int
) -> None:
    ours = replace(contribution(1, 500, "bank"), references=(weak("text", "REF-T-000851"),))
    line = replace(bank_line(1, 500), references=(weak("text", theirs),))
    result = run(ours, line, pair=Pair.INTERNAL_BANK)
    assert [m.rule_id for m in result.matches] == ["reference_one_edit"] * matches


def test_a_second_payout_of_one_name_keeps_its_line_and_nobody_else_has_it() -> None:
    """Found by the property of conservation: the line was told of as a duplicate as well."""
    first = settlement()
    second = replace(payout("po_K3Q81", 777), external_id="txn_second", source="stripe:acct_2")
    line = bank_line(2, 777, weak("payout", "po_K3Q81"))
    records = [*first, second, line]
    result = run(*records, pair=Pair.PSP_BANK, on=LATE)
    placed = [leg.external_id for m in result.matches for leg in m.members]
    placed += [leg.external_id for f in result.findings for leg in f.covered]
    placed += [leg.external_id for leg in result.waiting]
    assert sorted(placed) == sorted(r.external_id for r in records)
