"""Use cases over a ledger in memory: order, repetition, races and failures."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from pardna.ledger.model import (
    Account,
    AccountType,
    MatchedLeg,
    MatchEvent,
    MatchState,
    Refusal,
    Status,
)
from pardna.ledger.ports import LedgerRaced
from pardna.ledger.service import ATTEMPTS_MAX, Ledger
from pardna.runtime.errors import Unavailable
from pardna.transactions.model import Kind, Side, Transaction
from pardna.transactions.recorded import TransactionRecorded
from tests.fakes.ledger import FakeBooks
from tests.unit.ledger.test_posting_rules import a_charge, a_transaction, leg

AT = datetime(2026, 1, 6, tzinfo=UTC)
TENANT, WHO = "acme", "system:ledger"


@pytest.fixture
def books() -> FakeBooks:
    return FakeBooks()


@pytest.fixture
def ledger(books: FakeBooks) -> Ledger:
    return Ledger(books)


def a_match(
    *legs: MatchedLeg, version: int = 1, status: str = "committed", pair: str = "internal~psp"
) -> MatchEvent:
    return MatchEvent("m1", version, pair, status, AT, legs)


def events_of(*versions: Transaction) -> list[TransactionRecorded]:
    pairs = zip([None, *versions], versions, strict=False)
    return [TransactionRecorded(t, n, before) for n, (before, t) in enumerate(pairs, start=1)]


def clearing(ledger: Ledger) -> dict[str, int]:
    balances = ledger.trial_balance(TENANT, WHO).accounts
    return {
        b.account: b.balance_minor
        for b in balances
        if b.account.startswith("clearing") and b.balance_minor
    }


def test_three_versions_in_all_orders_end_alike(books: FakeBooks) -> None:
    versions = [
        a_transaction(Side.PSP, Kind.CHARGE, 1000, external_id="ch"),
        a_charge(1000, 50, external_id="ch"),
        a_charge(1000, 59, external_id="ch"),
    ]
    ends = []
    for order in itertools.permutations(events_of(*versions)):
        books.books.clear()
        ledger = Ledger(books)
        with books.open(TENANT, WHO) as book:
            book.histories[versions[0].transaction_id] = versions
        for event in order:
            assert not ledger.post_transactions(TENANT, WHO, [event]).refused
        end = {b.account: b.balance_minor for b in ledger.trial_balance(TENANT, WHO).accounts}
        ends.append(end)
    assert all(end == ends[0] for end in ends)
    assert ends[0] == {
        "clearing:stripe:acct_1": -1000,
        "fees:stripe:acct_1": 59,
        "psp_balance:stripe:acct_1": 941,
    }


def test_posting_again_changes_nothing(ledger: Ledger) -> None:
    event = events_of(a_charge(1000, 59))
    assert ledger.post_transactions(TENANT, WHO, event).new == 1
    again = ledger.post_transactions(TENANT, WHO, event)
    assert (again.new, again.known, again.refused) == (0, 1, ())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_match_may_arrive_before_its_legs(ledger: Ledger, order: tuple[int, ...]) -> None:
    ours = a_transaction(Side.INTERNAL, Kind.CONTRIBUTION, 1000)
    charge = a_charge(1000, 59)
    steps = [
        lambda: ledger.post_transactions(TENANT, WHO, events_of(ours)),
        lambda: ledger.post_transactions(TENANT, WHO, events_of(charge)),
        lambda: ledger.post_matches(TENANT, WHO, [a_match(leg(ours), leg(charge))]),
    ]
    for step in order:
        assert not steps[step]().refused
    assert clearing(ledger) == {}
    assert ledger.explain_clearing(TENANT, WHO) == []


STATES = [(1, "committed"), (1, "unmatched"), (2, "committed"), (2, "unmatched")]


@pytest.mark.parametrize("last", range(1, len(STATES)))
def test_states_of_a_match_in_any_order_end_at_the_last(last: int) -> None:
    legs = leg(a_transaction(Side.INTERNAL, Kind.CONTRIBUTION, 1000)), leg(a_charge(1000, 59))
    for order in itertools.permutations(STATES[: last + 1]):
        ledger = Ledger(FakeBooks())
        for version, status in order:
            match = a_match(*legs, version=version, status=status)
            assert not ledger.post_matches(TENANT, WHO, [match]).refused
        joined = STATES[last][1] == "committed"
        assert clearing(ledger) == (
            {"clearing:pardna:circle-1": -1000, "clearing:stripe:acct_1": 1000} if joined else {}
        )


def test_a_match_that_was_made_again_with_other_amounts_stands_with_those(ledger: Ledger) -> None:
    """The charge's fee came late: matching took version 1 back and matched as version 2."""
    ours = leg(a_transaction(Side.INTERNAL, Kind.CONTRIBUTION, 1000))
    charge = a_charge(1000, 59)
    ledger.post_matches(TENANT, WHO, [a_match(ours, leg(charge))])
    again = a_match(ours, leg(charge, 990), version=2)
    assert not ledger.post_matches(TENANT, WHO, [again]).refused
    assert clearing(ledger) == {"clearing:pardna:circle-1": -1000, "clearing:stripe:acct_1": 990}


def test_what_is_open_is_explained(ledger: Ledger) -> None:
    ours = a_transaction(Side.INTERNAL, Kind.CONTRIBUTION, 1000)
    ledger.post_transactions(TENANT, WHO, events_of(ours))
    items = ledger.explain_clearing(TENANT, WHO)
    assert [(i.account, i.item, i.amount_minor) for i in items] == [
        ("clearing:pardna:circle-1", ours.transaction_id, 1000)
    ]


def test_a_refusal_is_reported_and_the_rest_goes_on(ledger: Ledger) -> None:
    first = a_charge(1000, 59, external_id="a")
    ledger.post_transactions(TENANT, WHO, events_of(first))
    forged = a_charge(1000, 60, external_id="a")
    done = ledger.post_transactions(
        TENANT, WHO, [*events_of(forged), *events_of(a_charge(5, 1, external_id="b"))]
    )
    assert [(r.subject, r.refusal) for r in done.refused] == [
        (forged.transaction_id, Refusal.KEY_REUSED)
    ]
    assert done.new == 1


def test_a_race_is_repeated(ledger: Ledger, books: FakeBooks) -> None:
    books.races = ATTEMPTS_MAX - 1
    assert ledger.post_transactions(TENANT, WHO, events_of(a_charge(1000, 59))).new == 1
    books.races = ATTEMPTS_MAX
    with pytest.raises(LedgerRaced):
        ledger.post_transactions(TENANT, WHO, events_of(a_charge(1000, 58, external_id="x")))


def test_an_unreachable_database_is_said_so(ledger: Ledger, books: FakeBooks) -> None:
    books.unavailable = True
    with pytest.raises(Unavailable):
        ledger.trial_balance(TENANT, WHO)


def test_a_match_of_zero_amounts_only_marks_its_legs(ledger: Ledger, books: FakeBooks) -> None:
    match = a_match(leg(a_transaction(Side.BANK, Kind.FEE, -30)), pair="psp~bank")
    done = ledger.post_matches(TENANT, WHO, [match])
    assert (done.new, done.refused) == (0, ())
    with books.open(TENANT, WHO) as book:
        assert [m.status for m in book.marks.values()] == ["committed"]


def test_a_refused_match_leaves_no_mark_and_is_told_again(ledger: Ledger, books: FakeBooks) -> None:
    with books.open(TENANT, WHO) as book:
        pot = Account("clearing:stripe:acct_1", "JMD", AccountType.ASSET, minimum_minor=0)
        book.open_accounts([pot])
    ours, charge = a_transaction(Side.INTERNAL, Kind.REFUND, -7), a_charge(-7, 0)
    bad = MatchEvent("bad", 1, "internal~psp", "committed", AT, (leg(ours), leg(charge)))
    good = a_match(leg(a_transaction(Side.INTERNAL, Kind.CONTRIBUTION, 5)), leg(a_charge(5, 0)))
    for new in (1, 0):
        done = ledger.post_matches(TENANT, WHO, [bad, good])
        assert [(r.subject, r.refusal) for r in done.refused] == [("bad", Refusal.BELOW_MINIMUM)]
        assert done.new == new
    states = [MatchState("bad", 1, "committed"), MatchState("m1", 1, "committed")]
    assert ledger.not_posted(TENANT, WHO, states) == states[:1]


def test_an_empty_call_does_nothing(ledger: Ledger) -> None:
    assert ledger.post(TENANT, WHO, []) == []
    assert ledger.post_transactions(TENANT, WHO, []).new == 0


def test_an_account_outside_the_chart_refuses_its_journal_only(ledger: Ledger) -> None:
    from pardna.ledger.model import Journal, Line

    def journal(key: str, account: str) -> Journal:
        lines = (Line(account, "JMD", 5), Line("equity:b", "JMD", -5))
        return Journal(key, "opening", lines)

    outcomes = ledger.post(TENANT, WHO, [journal("1", "typo:a"), journal("2", "bank:a")])
    assert outcomes[0].refusal is Refusal.UNKNOWN_ACCOUNT
    assert outcomes[1].stands


def test_outcomes_say_whether_a_journal_stands(ledger: Ledger) -> None:
    from pardna.ledger.model import Journal, Line

    lines = (Line("bank:a", "JMD", 5), Line("equity:b", "JMD", -5))
    outcome = ledger.post(TENANT, WHO, [Journal("1", "opening", lines)])[0]
    assert outcome.status is Status.POSTED
    assert outcome.stands
