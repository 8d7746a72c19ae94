"""Two-phase postings against the cases that TigerBeetle's documentation describes.

Source: docs.tigerbeetle.com, "Two-Phase Transfers" and "create_transfers". Its words here: a *pending*
transfer is our hold, *post* our capture, *void* and *time out* are void and expiry. Where this ledger
decides otherwise, the case says so and why.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from pardna.ledger.model import (
    Account,
    AccountType,
    Hold,
    HoldRefusal,
    HoldStatus,
    Journal,
    Line,
    Refusal,
    Status,
)
from pardna.ledger.ports import Books

TENANT, WHO = "acme", "tester"
HELD, AGAIN = HoldStatus.HELD, HoldStatus.ALREADY_HELD
CAPTURED, VOIDED, EXPIRED = HoldStatus.CAPTURED, HoldStatus.VOIDED, HoldStatus.EXPIRED


@pytest.fixture
def books(empty_books: Books) -> Books:
    with empty_books.open(TENANT, WHO) as book:
        book.open_accounts(
            [
                # A debit-normal and a credit-normal account that may not fall below zero.
                Account("wallet", "JMD", AccountType.LIABILITY, minimum_minor=0),
                Account("cash", "JMD", AccountType.ASSET, minimum_minor=0),
                Account("shop", "JMD", AccountType.LIABILITY),
                Account("shop", "USD", AccountType.LIABILITY),
                Account("world", "JMD", AccountType.ASSET),
            ]
        )
        assert book.post([_journal("in", "cash", "wallet", 100)])[0].stands
    return empty_books


def _journal(key: str, debit: str, credit: str, amount: int) -> Journal:
    return Journal(key, "test", (Line(debit, "JMD", amount), Line(credit, "JMD", -amount)))


def hold(books: Books, key: str, amount: int = 60, **other: object) -> str:
    """Reserve from the wallet to the shop; the outcome in short."""
    fields: dict[str, object] = {"debit": "wallet", "credit": "shop", "currency": "JMD"} | other
    with books.open(TENANT, WHO) as book:
        [answer] = book.hold([Hold(key=key, amount_minor=amount, **fields)])  # type: ignore[arg-type]
    return answer.refusal or answer.status


def end(books: Books, key: str, action: HoldStatus, amount: int | None = None) -> str:
    with books.open(TENANT, WHO) as book:
        answer = book.end_hold(key, action, amount)
    return answer.refusal or answer.status


def posted(books: Books, code: str = "wallet") -> int:
    with books.open(TENANT, WHO) as book:
        return next(b.balance_minor for b in book.balances(code) if b.currency == "JMD")


def spend(books: Books, key: str, amount: int) -> str:
    with books.open(TENANT, WHO) as book:
        [answer] = book.post([_journal(key, "wallet", "shop", amount)])
    return answer.refusal or answer.status


# ---------------------------------------------------------------- reserving


def test_pending_changes_nothing_that_is_posted(books: Books) -> None:
    assert hold(books, "h") == HELD
    assert (posted(books), posted(books, "shop")) == (100, 0)


def test_pending_counts_against_the_limit(books: Books) -> None:
    """exceeds_credits / exceeds_debits count what is pending."""
    assert hold(books, "h", 60) == HELD
    assert hold(books, "over", 41) == HoldRefusal.BELOW_MINIMUM
    assert spend(books, "over", 41) == Refusal.BELOW_MINIMUM
    assert hold(books, "exact", 40) == HELD
    assert spend(books, "nothing left", 1) == Refusal.BELOW_MINIMUM


def test_what_is_pending_towards_an_account_cannot_be_spent_yet(books: Books) -> None:
    """Only what is posted on the other side makes room, never what is pending there."""
    assert hold(books, "h", 50, debit="world", credit="wallet") == HELD
    assert hold(books, "too early", 101) == HoldRefusal.BELOW_MINIMUM
    assert end(books, "h", CAPTURED) == CAPTURED
    assert hold(books, "now", 150) == HELD


@pytest.mark.parametrize(
    ("other", "refusal"),
    [
        ({"amount": 0}, HoldRefusal.ZERO_AMOUNT),
        ({"amount": -1}, HoldRefusal.ZERO_AMOUNT),
        ({"credit": "wallet"}, HoldRefusal.SAME_ACCOUNT),  # accounts_must_be_different
        ({"debit": "nobody"}, HoldRefusal.UNKNOWN_ACCOUNT),  # debit_account_not_found
        ({"credit": "nobody"}, HoldRefusal.UNKNOWN_ACCOUNT),  # credit_account_not_found
        ({"currency": "EUR"}, HoldRefusal.CURRENCY_MISMATCH),  # transfer_must_have_the_same_ledger
        ({"currency": "USD"}, HoldRefusal.CURRENCY_MISMATCH),  # accounts_must_have_the_same_ledger
        ({"amount": 2**63 - 1, "debit": "world"}, HoldRefusal.OVERFLOW),  # overflows_debits_pending
    ],
)
def test_a_pending_transfer_is_refused(
    books: Books, other: dict[str, object], refusal: HoldRefusal
) -> None:
    assert hold(books, "h", **other) == refusal  # type: ignore[arg-type]
    assert end(books, "h", CAPTURED) == HoldRefusal.UNKNOWN_HOLD


def test_pending_amounts_that_overflow_together_are_refused_alone(books: Books) -> None:
    each = 2**56
    holds = [Hold(str(n), "world", "shop", "JMD", each) for n in range(3)]
    with books.open(TENANT, WHO) as book:
        answers = [a.refusal or a.status for a in book.hold(holds)]
    assert answers == [HELD, HoldRefusal.OVERFLOW, HoldRefusal.OVERFLOW]
    assert end(books, "0", VOIDED) == VOIDED
    assert hold(books, "later", each, debit="world") == HELD


# ---------------------------------------------------------------- exists


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 59},  # exists_with_different_amount
        {"debit": "cash"},  # exists_with_different_debit_account_id
        {"credit": "cash"},  # exists_with_different_credit_account_id
        {"expires_at": datetime(2100, 1, 1, tzinfo=UTC)},  # exists_with_different_timeout
        {"description": "other"},  # exists_with_different_user_data
        {"refs": {"order": "7"}},
    ],
)
def test_the_same_key_with_a_different_field(books: Books, other: dict[str, object]) -> None:
    assert hold(books, "h") == HELD
    assert hold(books, "h", **other) == HoldRefusal.KEY_REUSED  # type: ignore[arg-type]
    assert hold(books, "h") == AGAIN
    assert end(books, "h", CAPTURED) == CAPTURED
    assert hold(books, "h", **other) == HoldRefusal.KEY_REUSED  # type: ignore[arg-type]
    assert hold(books, "h") == AGAIN  # exists, though it has ended
    assert posted(books) == 40


def test_a_refused_hold_may_be_tried_again(books: Books) -> None:
    """Otherwise than id_already_failed: a refusal leaves no trace, so that a client whose wallet
    was filled meanwhile repeats its call instead of inventing another key."""
    assert hold(books, "h", 101) == HoldRefusal.BELOW_MINIMUM
    with books.open(TENANT, WHO) as book:
        book.post([_journal("more", "cash", "wallet", 1)])
    assert hold(books, "h", 101) == HELD


# ---------------------------------------------------------------- posting what was pending


@pytest.mark.parametrize(("amount", "left"), [(None, 40), (60, 40), (59, 41), (1, 99)])
def test_a_capture_posts_all_or_some_and_gives_back_the_rest(
    books: Books, amount: int | None, left: int
) -> None:
    assert hold(books, "h") == HELD
    assert end(books, "h", CAPTURED, amount) == CAPTURED
    assert (posted(books), posted(books, "shop")) == (left, 100 - left)
    assert spend(books, "rest", left) == Status.POSTED
    assert spend(books, "more", 1) == Refusal.BELOW_MINIMUM


@pytest.mark.parametrize("amount", [61, 2**63 - 1])
def test_a_capture_cannot_exceed(books: Books, amount: int) -> None:
    """exceeds_pending_transfer_amount; there is no largest amount that means all: None does."""
    hold(books, "h")
    assert end(books, "h", CAPTURED, amount) == HoldRefusal.EXCEEDS_HOLD
    assert end(books, "h", CAPTURED) == CAPTURED


@pytest.mark.parametrize("amount", [0, -1])
def test_a_capture_of_nothing_is_a_void(books: Books, amount: int) -> None:
    """Otherwise than a post of zero: a journal moves something, so say void."""
    hold(books, "h")
    assert end(books, "h", CAPTURED, amount) == HoldRefusal.ZERO_AMOUNT
    assert end(books, "h", VOIDED) == VOIDED


def test_a_capture_names_what_it_captures(books: Books) -> None:
    hold(books, "h", description="a pair of shoes")
    end(books, "h", CAPTURED)
    with books.open(TENANT, WHO) as book:
        [line] = book.statement("shop", "JMD")
    assert (line.key, line.kind, line.amount_minor) == ("capture:h", "capture", -60)


def test_a_capture_needs_no_room_again(books: Books) -> None:
    """What was reserved is there, whatever was spent meanwhile."""
    hold(books, "h", 60)
    assert spend(books, "all the rest", 40) == Status.POSTED
    assert end(books, "h", CAPTURED) == CAPTURED
    assert posted(books) == 0


def test_only_a_pending_transfer_is_captured(books: Books) -> None:
    """pending_transfer_not_found, pending_transfer_not_pending."""
    for key in ("never", "in"):
        for action in (CAPTURED, VOIDED, EXPIRED):
            assert end(books, key, action) == HoldRefusal.UNKNOWN_HOLD


# ---------------------------------------------------------------- at most once


@pytest.mark.parametrize(
    ("first", "second", "amount", "answer"),
    [
        (CAPTURED, CAPTURED, None, CAPTURED),  # exists
        (CAPTURED, CAPTURED, 59, HoldRefusal.ALREADY_CAPTURED),  # exists_with_different_amount
        (CAPTURED, VOIDED, None, HoldRefusal.ALREADY_CAPTURED),  # pending_transfer_already_posted
        (CAPTURED, EXPIRED, None, HoldRefusal.ALREADY_CAPTURED),
        (VOIDED, VOIDED, None, VOIDED),  # exists
        (VOIDED, CAPTURED, None, HoldRefusal.ALREADY_VOIDED),  # pending_transfer_already_voided
        (VOIDED, EXPIRED, None, HoldRefusal.ALREADY_VOIDED),
    ],
)
def test_a_pending_transfer_resolves_once(
    books: Books, first: HoldStatus, second: HoldStatus, amount: int | None, answer: str
) -> None:
    hold(books, "h")
    assert end(books, "h", first) == first
    assert end(books, "h", second, amount) == answer
    assert posted(books) == (40 if first is CAPTURED else 100)


def test_several_pending_transfers_resolve_in_any_order(books: Books) -> None:
    for number, amount in enumerate((10, 20, 30, 40)):
        assert hold(books, str(number), amount) == HELD
    assert spend(books, "over", 1) == Refusal.BELOW_MINIMUM
    assert end(books, "3", CAPTURED) == CAPTURED
    assert end(books, "0", VOIDED) == VOIDED
    assert end(books, "2", CAPTURED, 5) == CAPTURED
    assert posted(books) == 55
    assert hold(books, "free", 36) == HoldRefusal.BELOW_MINIMUM  # 20 of the 55 are still held
    assert hold(books, "free", 35) == HELD


# ---------------------------------------------------------------- time out


def _until(moment: datetime) -> None:
    while datetime.now(UTC) <= moment:
        time.sleep(0.02)


def test_a_time_out_gives_back_and_is_final(books: Books) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=0.5)
    assert hold(books, "h", expires_at=moment) == HELD
    assert end(books, "h", EXPIRED) == HoldRefusal.NOT_EXPIRED
    _until(moment)
    # From that moment on it cannot be resolved, also before anybody has swept it.
    for action in (CAPTURED, VOIDED):
        assert end(books, "h", action) == HoldRefusal.ALREADY_EXPIRED
    with books.open(TENANT, WHO) as book:
        assert (book.expire_holds(), book.expire_holds()) == (1, 0)
    for action in (CAPTURED, VOIDED):
        assert end(books, "h", action) == HoldRefusal.ALREADY_EXPIRED
    assert end(books, "h", EXPIRED) == EXPIRED
    assert spend(books, "all", 100) == Status.POSTED


def test_what_has_no_time_out_stays(books: Books) -> None:
    hold(books, "h")
    assert end(books, "h", EXPIRED) == HoldRefusal.NOT_EXPIRED
    with books.open(TENANT, WHO) as book:
        assert book.expire_holds() == 0


def test_what_has_timed_out_already_is_not_reserved(books: Books) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert hold(books, "h", expires_at=past) == HoldRefusal.ALREADY_EXPIRED
