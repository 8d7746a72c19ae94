"""Posting rules: whatever happens, journals balance, and a fully matched payment clears to zero."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.ledger import posting_rules
from pardna.ledger.model import Line, MatchedLeg, MatchEvent, differences
from pardna.ledger.posting_rules import RULES, journals_of, lines_of
from pardna.transactions.model import Kind, Reference, Side, Transaction

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
SOURCES = {
    Side.INTERNAL: "pardna:circle-1",
    Side.PSP: "stripe:acct_1",
    Side.BANK: "ncb:001-12345",
}


def a_transaction(side: Side, kind: Kind, amount: int, **more: object) -> Transaction:
    fields: dict[str, object] = {
        "tenant_id": "acme",
        "source": SOURCES[side],
        "external_id": f"{kind}-{amount}",
        "side": side,
        "kind": kind,
        "amount_minor": amount,
        "currency": "JMD",
        "occurred_at": START,
        "raw_sha256": "0" * 64,
        "raw_position": "1",
    }
    return Transaction(**fields | more)  # type: ignore[arg-type]


def a_charge(gross: int, fee: int, **more: object) -> Transaction:
    return a_transaction(
        Side.PSP,
        Kind.CHARGE,
        gross,
        gross_minor=gross,
        fee_minor=fee,
        net_minor=gross - fee,
        **more,
    )


def totals(lines: Iterable[Line]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for line in lines:
        sums[line.account] += line.amount_minor
    return {account: total for account, total in sums.items() if total}


def leg(transaction: Transaction, amount: int | None = None) -> MatchedLeg:
    return MatchedLeg(
        transaction.transaction_id,
        transaction.side,
        transaction.kind,
        transaction.source,
        transaction.amount_minor if amount is None else amount,
        transaction.currency,
    )


def clearing_lines(pair: str, legs: list[MatchedLeg]) -> tuple[Line, ...]:
    return posting_rules.clearing_lines(MatchEvent("m1", 1, pair, "committed", START, tuple(legs)))


amounts = st.integers(-(10**12), 10**12)


@given(st.sampled_from(Side), st.sampled_from(Kind), amounts, st.integers(0, 10**6), st.booleans())
def test_every_transaction_posts_balanced_lines(
    side: Side, kind: Kind, amount: int, fee: int, known: bool
) -> None:
    more = {"gross_minor": amount, "fee_minor": fee, "net_minor": amount - fee} if known else {}
    lines = lines_of(a_transaction(side, kind, amount, **more))
    assert not differences(lines)
    assert len(lines) != 1


def test_there_is_a_rule_for_each_side_and_kind() -> None:
    assert set(RULES) == {(side, kind) for side in Side for kind in Kind}


@pytest.mark.parametrize(
    ("transaction", "expected"),
    [
        (
            a_transaction(Side.INTERNAL, Kind.CONTRIBUTION, 1000),
            {"clearing:pardna:circle-1": 1000, "pot:circle-1": -1000},
        ),
        (
            a_transaction(Side.INTERNAL, Kind.DRAW, -5000),
            {"clearing:pardna:circle-1": -5000, "pot:circle-1": 5000},
        ),
        (
            a_charge(1000, 59),
            {
                "psp_balance:stripe:acct_1": 941,
                "fees:stripe:acct_1": 59,
                "clearing:stripe:acct_1": -1000,
            },
        ),
        (
            a_transaction(Side.PSP, Kind.FEE, -25),
            {"psp_balance:stripe:acct_1": -25, "fees:stripe:acct_1": 25},
        ),
        (
            a_transaction(Side.PSP, Kind.PAYOUT, -941),
            {"psp_balance:stripe:acct_1": -941, "clearing:stripe:acct_1:payouts": 941},
        ),
        (
            a_transaction(Side.BANK, Kind.TRANSFER, 941),
            {"bank:ncb:001-12345": 941, "clearing:ncb:001-12345": -941},
        ),
        (
            a_transaction(Side.BANK, Kind.FEE, -30),
            {"bank:ncb:001-12345": -30, "fees:ncb:001-12345": 30},
        ),
    ],
)
def test_each_kind_posts_where_the_plan_of_accounts_says(
    transaction: Transaction, expected: dict[str, int]
) -> None:
    assert totals(lines_of(transaction)) == expected


def clearing(lines: Iterable[Line]) -> dict[str, int]:
    return {a: t for a, t in totals(lines).items() if a.startswith("clearing:")}


@given(
    st.lists(
        st.tuples(st.integers(100, 10**7), st.integers(0, 99)), min_size=1, max_size=6, unique=True
    ),
    st.integers(-5, 5),
)
def test_a_matched_settlement_leaves_every_clearing_account_at_zero(
    charges: list[tuple[int, int]], off_by: int
) -> None:
    """Members' contributions, their charges, the payout, the bank's line; then the matches."""
    lines: list[Line] = []
    paid = []
    for number, (gross, fee) in enumerate(charges):
        ours = a_transaction(
            Side.INTERNAL, Kind.CONTRIBUTION, gross + off_by, external_id=f"c{number}"
        )
        charge = a_charge(gross, fee, external_id=f"ch{number}")
        paid.append(charge)
        match = clearing_lines("internal~psp", [leg(ours), leg(charge)])
        assert totals(match).get("variance:internal~psp", 0) == off_by
        lines += [*lines_of(ours), *lines_of(charge), *match]
    net = sum(c.net_minor or 0 for c in paid)
    payout = a_transaction(Side.PSP, Kind.PAYOUT, -net)
    bank = a_transaction(Side.BANK, Kind.PAYOUT, net)
    members = [leg(c, c.net_minor) for c in paid]
    lines += [*lines_of(payout), *lines_of(bank)]
    lines += clearing_lines("psp~bank", [leg(payout), leg(bank), *members])
    assert clearing(lines) == {}
    assert not differences(lines)
    assert totals(lines).get("psp_balance:stripe:acct_1", 0) == 0
    assert totals(lines)["bank:ncb:001-12345"] == net


def test_a_settlement_without_a_payout_record_leaves_the_providers_balance() -> None:
    charge = a_charge(1000, 59)
    bank = a_transaction(Side.BANK, Kind.PAYOUT, 941)
    lines = clearing_lines("psp~bank", [leg(charge, 941), leg(bank)])
    assert totals(lines) == {"psp_balance:stripe:acct_1": -941, "clearing:ncb:001-12345": 941}


@pytest.mark.parametrize(("kind", "amount"), [(Kind.CONTRIBUTION, 1000), (Kind.DRAW, -5000)])
def test_a_matched_transfer_or_draw_clears(kind: Kind, amount: int) -> None:
    ours = a_transaction(Side.INTERNAL, kind, amount)
    bank = a_transaction(Side.BANK, Kind.TRANSFER, amount)
    match = clearing_lines("internal~bank", [leg(bank), leg(ours)])
    assert clearing([*lines_of(ours), *lines_of(bank), *match]) == {}


def test_the_order_of_legs_changes_nothing() -> None:
    legs = [leg(a_charge(1000, 59)), leg(a_transaction(Side.INTERNAL, Kind.CONTRIBUTION, 990))]
    assert clearing_lines("internal~psp", legs) == clearing_lines("internal~psp", legs[::-1])


def test_a_later_version_reverses_the_one_before() -> None:
    webhook = a_transaction(Side.PSP, Kind.CHARGE, 1000, external_id="ch_1")
    report = a_charge(1000, 59, external_id="ch_1")
    keys = [(j.key, j.reverses) for j in journals_of([webhook, report])]
    first = f"txn:{webhook.transaction_id}:1"
    assert keys == [
        (first, ""),
        (f"reverse:{first}", first),
        (f"txn:{webhook.transaction_id}:2", ""),
    ]


def test_a_version_that_moves_nothing_else_posts_nothing() -> None:
    webhook = a_charge(1000, 59)
    poll = a_charge(
        1000, 59, references=(Reference("charge", "ch_1"),), occurred_at=START + timedelta(hours=1)
    )
    report = a_charge(1000, 60)
    keys = [j.key for j in journals_of([webhook, poll, report])]
    first = f"txn:{webhook.transaction_id}:1"
    assert keys == [first, f"reverse:{first}", f"txn:{webhook.transaction_id}:3"]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 1)), min_size=1, max_size=6))
def test_journals_of_a_longer_history_begin_with_those_of_a_shorter(
    said: list[tuple[int, int]],
) -> None:
    """So whoever posts an early version late posts nothing that the later version did not."""
    versions = [a_charge(gross, fee, external_id="ch") for gross, fee in said]
    whole = journals_of(versions)
    for length in range(1, len(versions)):
        part = journals_of(versions[:length])
        assert whole[: len(part)] == part
    assert len({journal.key for journal in whole}) == len(whole)
