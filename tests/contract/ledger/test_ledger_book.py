"""What every ledger book promises: the one in memory and the one on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pardna.ledger.model import (
    Account,
    AccountType,
    Basis,
    Journal,
    LegMark,
    Line,
    MatchState,
    Refusal,
    Status,
)
from pardna.ledger.ports import Books
from pardna.runtime.errors import InvalidInput

TENANT, WHO = "acme", "tester"


@pytest.fixture
def books(empty_books: Books) -> Books:
    with empty_books.open(TENANT, WHO) as book:
        book.open_accounts(
            [
                Account("cash", "JMD", AccountType.ASSET, minimum_minor=0),
                Account("pot", "JMD", AccountType.LIABILITY),
                Account("pot", "USD", AccountType.LIABILITY, shards=4),
                Account("bank", "USD", AccountType.ASSET),
                Account("clearing:x:1", "JMD", AccountType.ASSET),
            ]
        )
    return empty_books


def move(
    key: str, amount: int, debit: str = "cash", credit: str = "pot", **more: object
) -> Journal:
    lines = (Line(debit, "JMD", amount), Line(credit, "JMD", -amount))
    return Journal(key=key, kind="test", lines=lines, **more)  # type: ignore[arg-type]


def post(books: Books, *journals: Journal, whole: bool = False) -> list[str]:
    """Outcomes in short: ``posted``, ``already_posted`` or the code of the refusal."""
    with books.open(TENANT, WHO) as book:
        return [o.refusal or o.status for o in book.post(journals, all_or_nothing=whole)]


def balance(books: Books, code: str, currency: str = "JMD") -> int:
    with books.open(TENANT, WHO) as book:
        return next(b.balance_minor for b in book.balances(code) if b.currency == currency)


def test_a_journal_moves_both_accounts(books: Books) -> None:
    assert post(books, move("1", 500)) == [Status.POSTED]
    assert (balance(books, "cash"), balance(books, "pot")) == (500, 500)


def test_the_same_key_and_content_gives_the_first_answer(books: Books) -> None:
    with books.open(TENANT, WHO) as book:
        first = book.post([move("1", 500)])[0]
    with books.open(TENANT, WHO) as book:
        again = book.post([move("1", 500)])[0]
    assert (again.status, again.journal_id) == (Status.ALREADY_POSTED, first.journal_id)
    assert balance(books, "cash") == 500


def test_the_same_key_with_other_content_is_refused(books: Books) -> None:
    post(books, move("1", 500))
    assert post(books, move("1", 501)) == [Refusal.KEY_REUSED]


def test_the_same_key_twice_in_one_call(books: Books) -> None:
    answers = post(books, move("1", 5), move("1", 5), move("1", 6))
    assert answers == [Status.POSTED, Status.ALREADY_POSTED, Refusal.KEY_REUSED]
    assert balance(books, "cash") == 5


def free(key: str, amount: int, **more: object) -> Journal:
    """A journal between accounts without a minimum: only its key can decide about it."""
    return move(key, amount, debit="clearing:x:1", **more)


@pytest.mark.parametrize(
    "beside",
    [[], [free("n", 5, credit="nowhere")], [move("m", 5)], [Journal("r", "test", reverses="1")]],
)
def test_known_keys_are_told_whatever_stands_beside_them(
    books: Books, beside: list[Journal]
) -> None:
    post(books, free("1", 5), free("2", 6))
    answers = post(books, free("1", 5), free("2", 7), free("3", 8), *beside)
    assert answers[:3] == [Status.ALREADY_POSTED, Refusal.KEY_REUSED, Status.POSTED]
    assert post(books, free("3", 8), free("1", 5)) == [Status.ALREADY_POSTED] * 2


def test_a_known_journal_stays_known_when_its_period_is_closed(books: Books) -> None:
    before = datetime.now(UTC) - timedelta(days=4)
    known = free("known", 1, effective_at=before)
    moved = free("moved", 2, effective_at=before, move_late=True)
    assert post(books, known, moved) == [Status.POSTED] * 2
    with books.open(TENANT, WHO) as book:
        book.close_period(datetime.now(UTC) - timedelta(days=3))
    assert post(books, known, free("open", 3)) == [Status.ALREADY_POSTED, Status.POSTED]
    assert post(books, moved) == [Status.ALREADY_POSTED]
    assert post(books, free("known", 9, effective_at=before)) == [Refusal.KEY_REUSED]


def test_one_refused_journal_does_not_sink_the_others(books: Books) -> None:
    unbalanced = Journal("u", "test", (Line("cash", "JMD", 5), Line("pot", "JMD", -4)))
    short = Journal("s", "test", (Line("cash", "JMD", 5),))
    unknown = move("n", 5, credit="nowhere")
    mismatch = Journal("m", "test", (Line("cash", "USD", 5), Line("pot", "USD", -5)))
    answers = post(books, unbalanced, move("1", 5), short, unknown, mismatch, move("2", 6))
    assert answers == [
        Refusal.UNBALANCED,
        Status.POSTED,
        Refusal.TOO_FEW_LINES,
        Refusal.UNKNOWN_ACCOUNT,
        Refusal.CURRENCY_MISMATCH,
        Status.POSTED,
    ]
    assert balance(books, "cash") == 11


def test_all_or_nothing(books: Books) -> None:
    post(books, move("0", 1))
    answers = post(books, move("0", 1), move("1", 5), move("n", 5, credit="nowhere"), whole=True)
    assert answers == [Status.ALREADY_POSTED, Refusal.BATCH_REFUSED, Refusal.UNKNOWN_ACCOUNT]
    assert balance(books, "cash") == 1
    assert post(books, move("1", 5), move("2", 6), whole=True) == [Status.POSTED] * 2


def test_balances_sum_to_zero_in_each_currency_alone(books: Books) -> None:
    lines = (Line("cash", "JMD", 5), Line("pot", "JMD", -4), Line("pot", "USD", -1))
    assert post(books, Journal("1", "test", lines)) == [Refusal.UNBALANCED]
    lines = (
        Line("cash", "JMD", 500),
        Line("pot", "JMD", -500),
        Line("bank", "USD", 3),
        Line("pot", "USD", -3),
    )
    assert post(books, Journal("2", "test", lines)) == [Status.POSTED]
    with books.open(TENANT, WHO) as book:
        assert book.trial_balance().differences() == {"JMD": 0, "USD": 0}


def test_a_minimum_holds_journal_by_journal(books: Books) -> None:
    out = [move(f"o{i}", 60, debit="pot", credit="cash") for i in range(3)]
    assert post(books, out[0], move("in", 100), *out[1:]) == [
        Refusal.BELOW_MINIMUM,
        Status.POSTED,
        Status.POSTED,
        Refusal.BELOW_MINIMUM,
    ]
    assert balance(books, "cash") == 40


def test_a_reversal_takes_back_once(books: Books) -> None:
    post(books, move("1", 100))
    back = Journal("back", "test", reverses="1")
    assert post(books, back) == [Status.POSTED]
    assert post(books, back) == [Status.ALREADY_POSTED]
    assert post(books, Journal("again", "test", reverses="1")) == [Refusal.ALREADY_REVERSED]
    assert post(books, Journal("none", "test", reverses="9")) == [Refusal.UNKNOWN_JOURNAL]
    assert balance(books, "cash") == 0


def test_a_reversal_in_the_same_call(books: Books) -> None:
    answers = post(
        books,
        move("1", 100),
        Journal("b1", "test", reverses="1"),
        Journal("b2", "test", reverses="1"),
        move("2", 70),
    )
    assert answers == [Status.POSTED, Status.POSTED, Refusal.ALREADY_REVERSED, Status.POSTED]
    assert balance(books, "cash") == 70


def test_opening_an_account_again_changes_nothing(books: Books) -> None:
    post(books, move("1", 100))
    with books.open(TENANT, WHO) as book:
        book.open_accounts([Account("cash", "JMD", AccountType.ASSET)] * 2)
    out = move("2", 200, debit="pot", credit="cash")
    assert post(books, out) == [Refusal.BELOW_MINIMUM]


def test_a_statement_runs_and_pages(books: Books) -> None:
    for number in range(5):
        post(books, move(str(number), 10 + number))
    with books.open(TENANT, WHO) as book:
        whole = book.statement("cash", "JMD")
        first = book.statement("cash", "JMD", limit=2)
        rest = book.statement("cash", "JMD", cursor=(first[-1].journal_id, first[-1].line))
    assert [line.balance_minor for line in whole] == [10, 21, 33, 46, 60]
    assert first + rest == whole
    assert [line.key for line in rest] == ["2", "3", "4"]


def test_open_items_are_what_a_clearing_account_consists_of(books: Books) -> None:
    def item(key: str, amount: int, name: str) -> Journal:
        lines = (Line("clearing:x:1", "JMD", amount, name), Line("pot", "JMD", -amount))
        return Journal(key, "test", lines)

    post(books, item("1", 5, "a"), item("2", 7, "b"), item("3", -5, "a"))
    with books.open(TENANT, WHO) as book:
        items = [(i.item, i.amount_minor) for i in book.open_items()]
    assert items == [("b", 7)]


def mark(books: Books, version: int, status: str, match_id: str = "m1") -> set[str]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with books.open(TENANT, WHO) as book:
        legs = ("t1", "t2")
        return book.mark_legs(
            [LegMark("internal~psp", leg, match_id, version, status, at) for leg in legs]
        )


def test_marks_move_forward_only(books: Books) -> None:
    assert mark(books, 2, "committed") == set()
    assert mark(books, 1, "unmatched") == {"m1"}
    assert mark(books, 2, "committed") == set()
    assert mark(books, 2, "unmatched") == set()
    assert mark(books, 2, "committed") == {"m1"}
    assert mark(books, 1, "committed", "m2") == set()
    assert mark(books, 3, "committed") == set()
    with books.open(TENANT, WHO) as book:
        assert book.marked(["m1", "m3"]) == {MatchState("m1", 3, "committed")}


def test_a_block_that_raises_leaves_no_trace(books: Books) -> None:
    with pytest.raises(RuntimeError), books.open(TENANT, WHO) as book:  # noqa: PT012
        book.post([move("1", 500)])
        raise RuntimeError("killed between two steps")
    assert balance(books, "cash") == 0


def test_tenants_do_not_see_each_other(books: Books) -> None:
    post(books, move("1", 500))
    with books.open("other", WHO) as book:
        assert book.balances() == []
        assert book.post([move("1", 500)])[0].refusal is Refusal.UNKNOWN_ACCOUNT


def test_accounts_page_by_code_and_currency(books: Books) -> None:
    post(books, move("1", 70))
    with books.open(TENANT, WHO) as book:
        whole = book.balances()
        pages, after = [], None
        while page := book.balances("", after, 2):
            pages += page
            after = page[-1].account, page[-1].currency
        assert pages == whole
        assert len(whole) == 5
        assert [b.account for b in book.balances("pot", ("pot", "JMD"), 10)] == ["pot"]
        assert [(t.currency, t.debits_minor, t.credits_minor) for t in book.totals()] == [
            ("JMD", 70, 70),
            ("USD", 0, 0),
        ]


def test_a_past_balance_is_by_what_was_recorded_or_by_what_had_effect(books: Books) -> None:
    now = datetime.now(UTC)
    long_ago = now - timedelta(days=40)
    post(books, move("old", 70, effective_at=long_ago), move("new", 5))

    def past(moment: datetime, basis: Basis) -> dict[str, int]:
        with books.open(TENANT, WHO) as book:
            found = book.past_balances(moment, basis, "", None, None)
        return {b.account: b.balance_minor for b in found if b.currency == "JMD"}

    later, earlier = now + timedelta(hours=1), now - timedelta(days=1)
    for basis in Basis:
        assert past(later, basis) == {"cash": 75, "pot": 75, "clearing:x:1": 0}
    assert past(earlier, Basis.RECORDED) == {"cash": 0, "pot": 0, "clearing:x:1": 0}
    assert past(earlier, Basis.EFFECTIVE) == {"cash": 70, "pot": 70, "clearing:x:1": 0}
    assert past(long_ago, Basis.EFFECTIVE) == {"cash": 0, "pot": 0, "clearing:x:1": 0}


def test_a_closed_period_takes_nothing_more(books: Books) -> None:
    until = datetime.now(UTC) - timedelta(days=3)
    before = until - timedelta(days=1)
    with books.open(TENANT, WHO) as book:
        assert book.closed_until() is None
        book.close_period(until)
        book.close_period(until)
        assert book.closed_until() == until
    assert post(
        books,
        move("late", 1, effective_at=before),
        move("moved", 2, effective_at=before, move_late=True),
        move("open", 4, effective_at=until),
    ) == [Refusal.CLOSED_PERIOD, Status.POSTED, Status.POSTED]


@pytest.mark.parametrize("days", [-4, 1])
def test_a_period_is_closed_forwards_and_when_it_is_over(books: Books, days: int) -> None:
    now = datetime.now(UTC)
    with books.open(TENANT, WHO) as book:
        book.close_period(now - timedelta(days=3))
    with pytest.raises(InvalidInput), books.open(TENANT, WHO) as book:
        book.close_period(now + timedelta(days=days))
    with books.open(TENANT, WHO) as book:
        assert book.closed_until() == now - timedelta(days=3)


def test_what_no_account_can_hold_sinks_nobody_else(books: Books) -> None:
    huge = 2**57 - 1
    with books.open(TENANT, WHO) as book:
        book.open_accounts([Account("a", "JMD", AccountType.ASSET)])
    assert post(
        books,
        move("1", 5),
        move("most", huge - 5, "a", "pot"),
        move("more", 1, "a", "pot"),
        move("far more", 2**63 - 1, "a", "pot"),
        move("2", 7, "cash", "clearing:x:1"),
    ) == [Status.POSTED, Status.POSTED, Refusal.OVERFLOW, Refusal.OVERFLOW, Status.POSTED]
    assert (balance(books, "a"), balance(books, "cash")) == (huge - 5, 12)
    again = move("3", 1, "cash", "clearing:x:1"), move("4", 9, "a", "pot")
    whole = post(books, *again, whole=True)
    assert Refusal.OVERFLOW in whole
    assert set(whole) <= {Refusal.OVERFLOW, Refusal.BATCH_REFUSED}
    assert balance(books, "cash") == 12
