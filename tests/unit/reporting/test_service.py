"""Gathering a round's report: the round's own money, nobody else's, and why clearing is not zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from types import SimpleNamespace

import pytest

from pardna.approvals.model import Approval
from pardna.approvals.model import Status as Status_
from pardna.ledger.service import Ledger
from pardna.matching.model import Break, BreakClass, Match, Pair, Status
from pardna.matching.ports import Member, StoredMatch
from pardna.money.model import Money
from pardna.reporting.model import Leg
from pardna.reporting.ports import DrawFacts, Hand, RoundFacts
from pardna.reporting.service import Reports
from pardna.runtime.errors import NotFound
from pardna.transactions.model import Transaction
from pardna.transactions.recorded import TransactionRecorded
from tests.fakes.ledger import FakeBooks
from tests.fakes.shelf import MemoryShelf
from tests.support import matching as some

T, AT = some.TENANT, some.DAY


@dataclass
class World:
    """The stores behind a report, filled by intent."""

    transactions: dict[str, Transaction] = field(default_factory=dict)
    matched: dict[str, StoredMatch] = field(default_factory=dict)
    open_breaks: list[Break] = field(default_factory=list)
    facts: RoundFacts | None = None
    asked: set[str] = field(default_factory=set)
    books: FakeBooks = field(default_factory=FakeBooks)
    shelf: MemoryShelf = field(default_factory=MemoryShelf)

    # RoundBook
    def round(self, tenant_id: str, circle_id: str, round_number: int) -> RoundFacts | None:
        return self.facts

    def records(self, tenant_id: str, transaction_ids: Sequence[str]) -> Mapping[str, Leg]:
        found = [self.transactions[i] for i in transaction_ids if i in self.transactions]
        return {
            t.transaction_id: Leg(
                t.transaction_id, t.side.value, t.source, t.kind.value, t.external_id, t.amount,
                t.occurred_at, t.batch_id,
            )
            for t in found
        }  # fmt: skip

    def payouts(self, tenant_id: str, batch_ids: Sequence[str]) -> Mapping[str, str]:
        return {
            t.external_id: t.transaction_id
            for t in self.transactions.values()
            if t.kind == "payout" and t.external_id in set(batch_ids)
        }

    # MatchReader
    def get(self, tenant_id: str, match_id: str) -> StoredMatch | None:
        return self.matched.get(match_id)

    def of_status(
        self, tenant_id: str, status: Status, since: datetime | None = None
    ) -> Iterator[str]:
        raise AssertionError("a round's report does not walk through all matches of a tenant")

    def of_transaction(self, tenant_id: str, pair: Pair, transaction_id: str) -> str:
        self.asked.add(transaction_id)
        for match in self.matched.values():
            if match.pair is pair and transaction_id in {m.transaction_id for m in match.members}:
                return match.match_id
        return ""

    # BreakBook
    def listed(self, tenant_id: str, status: str) -> Iterator[Break]:
        return iter([b for b in self.open_breaks if b.status == status])

    # ApprovalReader
    def approval(self, tenant_id: str, approval_id: str) -> Approval | None:
        return Approval(
            tenant_id, approval_id, "payout", "payment:p1", Money(1, "JMD"), "banker", AT, AT, "t",
            Status_.APPROVED, "second-person", AT, "looks right",
        )  # fmt: skip

    def know(self, *transactions: Transaction) -> None:
        self.transactions |= {t.transaction_id: t for t in transactions}

    def join(self, pair: Pair, *members: Transaction, level: int = 1) -> Match:
        legs = [leg for t in members for leg in some.legs(t, pair=pair)]
        match = some.a_match(*legs, level=level)
        self.matched[match.match_id] = stored(match)
        return match

    @property
    def reports(self) -> Reports:
        approvals = SimpleNamespace(get=self.approval)
        return Reports(self, self, self, Ledger(self.books), approvals, self.shelf)  # type: ignore[arg-type]


def stored(match: Match) -> StoredMatch:
    return StoredMatch(
        match.tenant_id, match.match_id, 1, match.pair, match.currency, match.status, match.level,
        match.rule_id, match.rule_version, match.confidence_bp, 0, "",
        {"sentence": match.explanation.sentence, "signals": []}, "", AT,
        tuple(
            Member(
                leg.transaction_id, 1, leg.side, leg.source, leg.kind, leg.amount_minor,
                leg.basis_minor or 0, leg.currency, leg.external_id, leg.occurred_at,
            )
            for leg in match.members
        ),
    )  # fmt: skip


def a_hand(of: Transaction, position: int) -> Hand:
    return Hand(
        of.external_id, of.transaction_id, f"Member {position}", position, of.amount,
        date(2026, 3, 2), "paid",
    )  # fmt: skip


@pytest.fixture
def world() -> World:
    """Two hands of this round and one of another round in the same payout."""
    world = World()
    mine, other = some.contribution(1, 500_000), some.contribution(9, 500_000)
    by_bank = some.contribution(2, 500_000, rail="bank")
    first = some.charge(1, 500_000, 19_500, "po_1")
    foreign = some.charge(9, 500_000, 19_500, "po_1")
    transfer = some.bank_line(2, 500_000)
    paid_out = replace(some.payout("po_1", 961_000), external_id="po_1", batch_id="po_1")
    credit = some.bank_line(3, 961_000)
    world.know(mine, other, by_bank, first, foreign, transfer, paid_out, credit)
    world.join(Pair.INTERNAL_PSP, mine, first)
    world.join(Pair.INTERNAL_PSP, other, foreign)
    world.join(Pair.INTERNAL_BANK, by_bank, transfer)
    world.join(Pair.PSP_BANK, first, foreign, paid_out, credit, level=3)
    world.facts = RoundFacts(
        "cir-00000001", "Weekly", 1, 5, "JMD", "closed", date(2026, 3, 2), AT,
        (a_hand(mine, 1), a_hand(by_bank, 2)), None,
    )  # fmt: skip
    return world


def test_each_hand_shows_the_money_that_was_matched_to_it(world: World) -> None:
    report = world.reports.round(T, "system:test", "cir-00000001", 1)

    first, second = report.contributions
    assert [(p.rail, p.amount) for p in first.payments] == [("Card", Money(500_000, "JMD"))]
    assert [p.rail for p in second.payments] == ["Bank transfer"]
    assert report.paid == report.due == Money(1_000_000, "JMD")


def test_it_follows_the_money_to_the_bank_and_leaves_other_rounds_alone(world: World) -> None:
    report = world.reports.round(T, "system:test", "cir-00000001", 1)

    assert [m.level for m in report.matches] == [1, 1, 3]
    shown = {leg.external_id for m in report.matches if m.level == 1 for leg in m.legs}
    assert "con_9" not in shown, "a fellow member of the payout is another round's business"


def test_a_match_that_was_taken_back_is_not_shown(world: World) -> None:
    for key, match in world.matched.items():
        world.matched[key] = replace(match, status=Status.UNMATCHED)

    report = world.reports.round(T, "system:test", "cir-00000001", 1)

    assert report.matches == ()
    assert report.contributions[0].payments == ()


def test_what_clearing_holds_is_explained_by_the_open_break_that_names_it(world: World) -> None:
    stranger = some.bank_line(7, 123_400)
    nameless = some.bank_line(8, 700)
    world.know(stranger, nameless)
    ledger = Ledger(world.books)
    ledger.post_transactions(
        T, "system:test", [TransactionRecorded(t, 1) for t in (stranger, nameless)]
    )
    world.open_breaks = [
        Break(
            T, Pair.INTERNAL_BANK, BreakClass.UNEXPECTED, "Nobody owes this.",
            (stranger.transaction_id,), 123_400, "JMD", "2026-03-02",
        ),
        Break(
            T, Pair.INTERNAL_BANK, BreakClass.UNEXPECTED, "In dollars.", ("x",), 1, "USD",
            "2026-03-02",
        ),
    ]  # fmt: skip

    report = world.reports.round(T, "system:test", "cir-00000001", 1)

    assert [b.reason for b in report.breaks] == ["Nobody owes this."], "its currency only"
    explained = {item.transaction_id: item.explained_by for item in report.open_items}
    assert "UNEXPECTED" in explained[stranger.transaction_id]
    assert explained[nameless.transaction_id] == ""
    assert [item.amount for item in report.unexplained] == [Money(-700, "JMD")]
    assert [b.difference.amount_minor for b in report.trial_balances] == [0]


def test_a_dispute_that_was_won_explains_itself(world: World) -> None:
    taken = some.a_transaction("psp", "dispute", "txn_1", -10_000)
    given_back = some.a_transaction("psp", "dispute_reversal", "txn_2", 10_000)
    world.know(taken, given_back)
    Ledger(world.books).post_transactions(
        T, "system:test", [TransactionRecorded(t, 1) for t in (taken, given_back)]
    )

    report = world.reports.round(T, "system:test", "cir-00000001", 1)

    assert len(report.open_items) == 2
    assert report.unexplained == ()


def test_the_draw_tells_who_approved_and_what_the_bank_said(world: World) -> None:
    draw = some.a_transaction("internal", "draw", "drw_1", -900_000)
    debit = some.bank_line(5, -900_000)
    world.know(draw, debit)
    world.join(Pair.INTERNAL_BANK, draw, debit)
    assert world.facts is not None
    world.facts = replace(
        world.facts,
        draw=DrawFacts(
            "drw_1", Money(900_000, "JMD"), Money(0, "JMD"), "Marcia", AT, draw.source, "drw_1",
            "accepted", "E2E1", "banker", "approver", "apr_1", "", "BATCH1",
            AT + timedelta(minutes=1), AT + timedelta(minutes=2),
        ),
    )  # fmt: skip

    report = world.reports.round(T, "system:test", "cir-00000001", 1)

    assert report.draw is not None
    titles = [step.title for step in report.draw.steps]
    assert titles == [
        "Computed", "Approval asked for", "Approved by a second person", "Payment file written", "Confirmed by the bank",
        "Debited in the bank's statement",
    ]  # fmt: skip
    assert report.as_of == AT + timedelta(minutes=2)


def test_the_same_facts_write_nothing_new(world: World) -> None:
    first = world.reports.write_round(T, "system:test", "cir-00000001", 1)
    again = world.reports.write_round(T, "system:test", "cir-00000001", 1)

    assert first.changed
    assert not again.changed
    assert world.shelf.writes == 2, "one page and one table"
    assert set(world.shelf.reports) == {
        f"reports/{T}/cir-00000001/round-1/report.html",
        f"reports/{T}/cir-00000001/round-1/report.csv",
    }


def test_a_round_that_does_not_exist_is_not_found(world: World) -> None:
    world.facts = None
    with pytest.raises(NotFound):
        world.reports.write_round(T, "system:test", "cir-00000001", 7)
