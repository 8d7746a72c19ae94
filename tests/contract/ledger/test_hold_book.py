"""Two-phase postings: the cases that a two-phase ledger must decide, for memory and PostgreSQL."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from pardna.ledger.model import (
    Account,
    AccountType,
    Hold,
    HoldOutcome,
    HoldRefusal,
    HoldStatus,
    Journal,
    Line,
    Refusal,
)
from pardna.ledger.ports import Books

TENANT, WHO = "acme", "tester"
CAPTURED, VOIDED, EXPIRED = HoldStatus.CAPTURED, HoldStatus.VOIDED, HoldStatus.EXPIRED


@pytest.fixture
def books(empty_books: Books) -> Books:
    with empty_books.open(TENANT, WHO) as book:
        book.open_accounts(
            [
                Account("cash", "JMD", AccountType.ASSET, minimum_minor=0),
                Account("reserve", "JMD", AccountType.LIABILITY, minimum_minor=0),
                Account("free", "JMD", AccountType.ASSET),
                Account("free", "USD", AccountType.ASSET),
            ]
        )
        book.post([move("in", "cash", "free", 100)])
    return empty_books


def move(key: str, debit: str, credit: str, amount: int) -> Journal:
    return Journal(key, "test", (Line(debit, "JMD", amount), Line(credit, "JMD", -amount)))


def hold(
    books: Books, key: str, amount: int, debit: str = "free", credit: str = "cash", **more: object
) -> str:
    with books.open(TENANT, WHO) as book:
        currency = str(more.pop("currency", "JMD"))
        wanted = Hold(key, debit, credit, currency, amount, **more)  # type: ignore[arg-type]
        [answer] = book.hold([wanted])
    return answer.refusal or answer.status


def end(books: Books, key: str, action: HoldStatus, amount: int | None = None) -> HoldOutcome:
    with books.open(TENANT, WHO) as book:
        return book.end_hold(key, action, amount)


def post(books: Books, journal: Journal) -> str:
    with books.open(TENANT, WHO) as book:
        [answer] = book.post([journal])
    return answer.refusal or answer.status


def cash(books: Books) -> int:
    with books.open(TENANT, WHO) as book:
        return next(b.balance_minor for b in book.balances("cash"))


def test_a_hold_moves_nothing_but_cannot_be_spent(books: Books) -> None:
    assert hold(books, "h", 80) == HoldStatus.HELD
    assert cash(books) == 100
    assert post(books, move("out", "free", "cash", 21)) == Refusal.BELOW_MINIMUM
    assert post(books, move("out", "free", "cash", 20)) == "posted"
    assert hold(books, "h2", 1) == HoldRefusal.BELOW_MINIMUM


def test_a_capture_moves_the_whole(books: Books) -> None:
    hold(books, "h", 80)
    done = end(books, "h", CAPTURED)
    assert (done.status, bool(done.reference_id), done.again) == (CAPTURED, True, False)
    assert cash(books) == 20
    assert hold(books, "h2", 20) == HoldStatus.HELD


def test_a_partial_capture_frees_the_rest(books: Books) -> None:
    hold(books, "h", 80)
    assert end(books, "h", CAPTURED, 30).status is CAPTURED
    assert cash(books) == 70
    assert hold(books, "h2", 70) == HoldStatus.HELD


def test_a_void_frees_all(books: Books) -> None:
    hold(books, "h", 100)
    assert end(books, "h", VOIDED).status is VOIDED
    assert cash(books) == 100
    assert hold(books, "h2", 100) == HoldStatus.HELD


@pytest.mark.parametrize(
    ("first", "second", "refusal"),
    [
        ((CAPTURED, None), (VOIDED, None), HoldRefusal.ALREADY_CAPTURED),
        ((CAPTURED, 30), (CAPTURED, 31), HoldRefusal.ALREADY_CAPTURED),
        ((CAPTURED, 30), (CAPTURED, None), HoldRefusal.ALREADY_CAPTURED),
        ((VOIDED, None), (CAPTURED, None), HoldRefusal.ALREADY_VOIDED),
        ((VOIDED, None), (EXPIRED, None), HoldRefusal.ALREADY_VOIDED),
    ],
)
def test_a_hold_ends_once(
    books: Books,
    first: tuple[HoldStatus, int | None],
    second: tuple[HoldStatus, int | None],
    refusal: HoldRefusal,
) -> None:
    hold(books, "h", 80)
    one = end(books, "h", *first)
    assert end(books, "h", *second).refusal is refusal
    again = end(books, "h", *first)
    assert (again.status, again.reference_id, again.again) == (one.status, one.reference_id, True)


def test_a_capture_cannot_exceed_its_hold_or_be_of_nothing(books: Books) -> None:
    hold(books, "h", 80)
    assert end(books, "h", CAPTURED, 81).refusal is HoldRefusal.EXCEEDS_HOLD
    assert end(books, "h", CAPTURED, 0).refusal is HoldRefusal.ZERO_AMOUNT
    assert end(books, "nothing", CAPTURED).refusal is HoldRefusal.UNKNOWN_HOLD
    assert end(books, "h", CAPTURED, 80).status is CAPTURED


def test_the_same_key_holds_once(books: Books) -> None:
    assert hold(books, "h", 60) == HoldStatus.HELD
    assert hold(books, "h", 60) == HoldStatus.ALREADY_HELD
    assert hold(books, "h", 61) == HoldRefusal.KEY_REUSED
    assert hold(books, "h", 60, credit="reserve") == HoldRefusal.KEY_REUSED
    assert hold(books, "h2", 40) == HoldStatus.HELD


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ({"amount": 0}, HoldRefusal.ZERO_AMOUNT),
        ({"amount": -5}, HoldRefusal.ZERO_AMOUNT),
        ({"amount": 5, "credit": "nowhere"}, HoldRefusal.UNKNOWN_ACCOUNT),
        ({"amount": 5, "currency": "USD"}, HoldRefusal.CURRENCY_MISMATCH),
        ({"amount": 5, "debit": "cash"}, HoldRefusal.SAME_ACCOUNT),
        (
            {"amount": 5, "expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
            HoldRefusal.ALREADY_EXPIRED,
        ),
        ({"amount": 5, "debit": "reserve"}, HoldRefusal.BELOW_MINIMUM),
    ],
)
def test_a_hold_is_refused(books: Books, more: dict[str, object], refusal: HoldRefusal) -> None:
    assert hold(books, "h", **more) == refusal  # type: ignore[arg-type]
    assert hold(books, "h", 100) == HoldStatus.HELD


def test_an_expired_hold_frees_and_cannot_be_captured(books: Books) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=2)
    assert hold(books, "h", 100, expires_at=soon) == HoldStatus.HELD
    assert end(books, "h", EXPIRED).refusal is HoldRefusal.NOT_EXPIRED
    while datetime.now(UTC) <= soon + timedelta(milliseconds=20):
        time.sleep(0.05)
    assert end(books, "h", CAPTURED).refusal is HoldRefusal.ALREADY_EXPIRED
    with books.open(TENANT, WHO) as book:
        assert book.expire_holds() == 1
        assert book.expire_holds() == 0
    assert end(books, "h", VOIDED).refusal is HoldRefusal.ALREADY_EXPIRED
    assert end(books, "h", EXPIRED).again
    assert hold(books, "h2", 100) == HoldStatus.HELD


def test_tenants_do_not_end_each_others_holds(books: Books) -> None:
    hold(books, "h", 80)
    with books.open("other", WHO) as book:
        assert book.end_hold("h", VOIDED).refusal is HoldRefusal.UNKNOWN_HOLD
        assert book.hold([Hold("h", "free", "cash", "JMD", 5)])[0].refusal is (
            HoldRefusal.UNKNOWN_ACCOUNT
        )
