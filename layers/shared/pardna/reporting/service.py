"""Use case of reporting: write a round's report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pardna.approvals.model import Approval
from pardna.ledger.service import Ledger
from pardna.matching.model import Pair, Status
from pardna.matching.ports import BreakBook, MatchReader, Member, StoredMatch
from pardna.money.model import Money
from pardna.reporting import csv_table, page, words
from pardna.reporting.links import CONTENT_TYPES
from pardna.reporting.model import (
    AccountLine,
    BreakLine,
    ContributionLine,
    DrawLine,
    Leg,
    MatchLine,
    OpenItem,
    RailPayment,
    RoundReport,
    Step,
    TrialBalance,
    sum_of,
)
from pardna.reporting.ports import ApprovalReader, DrawFacts, Hand, RoundBook, RoundFacts, Shelf
from pardna.runtime.errors import NotFound
from pardna.transactions.model import transaction_id


@dataclass(frozen=True, slots=True)
class Written:
    """Where a report lies, and whether it said anything new."""

    html_key: str
    csv_key: str
    changed: bool
    open_breaks_count: int
    matches_count: int


class Reports:
    """Writes reports from what the stores know."""

    def __init__(
        self,
        rounds: RoundBook,
        matches: MatchReader,
        breaks: BreakBook,
        ledger: Ledger,
        approvals: ApprovalReader,
        shelf: Shelf,
    ) -> None:
        self._rounds = rounds
        self._matches = matches
        self._breaks = breaks
        self._ledger = ledger
        self._approvals = approvals
        self._shelf = shelf

    def write_round(
        self, tenant_id: str, principal: str, circle_id: str, round_number: int
    ) -> Written:
        """Write the report of a round as HTML and CSV; the same facts again write nothing.

        Raises NotFound when there is no such round.
        """
        report = self.round(tenant_id, principal, circle_id, round_number)
        html_key, csv_key = report.key("html"), report.key("csv")
        new_html = self._shelf.put(html_key, page.render(report), CONTENT_TYPES["html"])
        new_csv = self._shelf.put(csv_key, csv_table.render(report), CONTENT_TYPES["csv"])
        return Written(
            html_key, csv_key, new_html or new_csv, len(report.breaks), len(report.matches)
        )

    def round(
        self, tenant_id: str, principal: str, circle_id: str, round_number: int
    ) -> RoundReport:
        """Everything about a round, gathered; raises NotFound when there is no such round."""
        facts = self._rounds.round(tenant_id, circle_id, round_number)
        if facts is None:
            raise NotFound("report.no_round", "there is no such round in this circle")
        own = [hand.transaction_id for hand in facts.hands]
        draw_id = _draw_transaction(tenant_id, facts.draw)
        matches = self._follow(tenant_id, [*own, *([draw_id] if draw_id else [])])
        breaks = self._open_breaks(tenant_id, facts.currency)
        balance = self._ledger.trial_balance(tenant_id, principal)
        items = self._open_items(tenant_id, principal, facts.currency, breaks)
        ids = sorted({leg.transaction_id for match in matches for leg in match.members})
        records = dict(self._rounds.records(tenant_id, ids))
        currency = facts.currency
        return RoundReport(
            tenant_id=tenant_id,
            circle_id=facts.circle_id,
            circle_name=facts.circle_name,
            round_number=facts.round_number,
            rounds_count=facts.rounds_count,
            currency=currency,
            status=facts.status,
            due_on=facts.due_on,
            as_of=_as_of(facts, matches),
            contributions=tuple(_contribution(hand, matches, records) for hand in facts.hands),
            matches=tuple(_match_line(match, records) for match in matches),
            breaks=tuple(breaks),
            trial_balances=tuple(
                TrialBalance(
                    code,
                    sum_of((Money(a.debits_minor, code) for a in accounts), code),
                    sum_of((Money(a.credits_minor, code) for a in accounts), code),
                    len(accounts),
                )
                for code in sorted({a.currency for a in balance.accounts})
                for accounts in [[a for a in balance.accounts if a.currency == code]]
            ),
            accounts=tuple(
                AccountLine(
                    a.account,
                    a.type.value,
                    Money(a.debits_minor, currency),
                    Money(a.credits_minor, currency),
                    Money(a.balance_minor, currency),
                )
                for a in sorted(balance.accounts, key=lambda a: a.account)
                if a.currency == currency
            ),
            open_items=tuple(items),
            draw=self._draw(tenant_id, facts.draw, draw_id, matches, records),
        )

    def _follow(self, tenant_id: str, start: Sequence[str]) -> list[StoredMatch]:
        """The matches that carry the round's money, from its own records outwards.

        A hand's match names the charge, the charge's payout names the settlement, whose match
        names the bank's line. Fellow members of a payout do not pull their own rounds in, so the
        work grows with the round and with nothing else.
        """
        found: dict[str, StoredMatch] = {}
        reached, todo = set(start), sorted(start)
        while todo:
            fresh: set[str] = set()
            for one in todo:
                for pair in Pair:
                    match = self._match_of(tenant_id, pair, one)
                    if match is None or match.match_id in found:
                        continue
                    found[match.match_id] = match
                    if len(match.members) == 2:
                        fresh.update(member.transaction_id for member in match.members)
            known = self._rounds.records(tenant_id, sorted(fresh | set(todo)))
            batches = sorted({leg.batch_id for leg in known.values() if leg.batch_id})
            fresh.update(self._rounds.payouts(tenant_id, batches).values())
            todo = sorted(fresh - reached)
            reached |= fresh
        return sorted(found.values(), key=lambda m: (m.level, m.pair.value, m.match_id))

    def _match_of(self, tenant_id: str, pair: Pair, one: str) -> StoredMatch | None:
        match_id = self._matches.of_transaction(tenant_id, pair, one)
        match = self._matches.get(tenant_id, match_id) if match_id else None
        return match if match is not None and match.status is Status.COMMITTED else None

    def _open_breaks(self, tenant_id: str, currency: str) -> list[BreakLine]:
        found = [b for b in self._breaks.listed(tenant_id, "open") if b.currency == currency]
        ids = sorted({one for b in found for one in b.transaction_ids})
        records = self._rounds.records(tenant_id, ids)
        lines = [
            BreakLine(
                break_id=b.break_id,
                break_class=b.class_.value,
                reason=b.reason,
                severity=b.severity,
                status=b.status,
                amount=Money(b.amount_minor, b.currency),
                legs=tuple(records[one] for one in b.transaction_ids if one in records),
                since=b.opened_on,
            )
            for b in found
        ]
        return sorted(lines, key=lambda line: line.break_id)

    def _open_items(
        self, tenant_id: str, principal: str, currency: str, breaks: Sequence[BreakLine]
    ) -> list[OpenItem]:
        items = [
            item
            for item in self._ledger.explain_clearing(tenant_id, principal)
            if item.currency == currency
        ]
        records = self._rounds.records(tenant_id, sorted({item.item for item in items}))
        because = {
            leg.transaction_id: f"open break {b.break_class}, {b.break_id}"
            for b in breaks
            for leg in b.legs
        }
        lines = [
            OpenItem(
                item.account,
                item.item,
                _what(records.get(item.item)),
                Money(item.amount_minor, currency),
                because.get(item.item, ""),
            )
            for item in items
        ]
        lines = _cancelled(lines)
        return sorted(lines, key=lambda line: (line.account, line.transaction_id))

    def _draw(
        self,
        tenant_id: str,
        draw: DrawFacts | None,
        draw_id: str,
        matches: Sequence[StoredMatch],
        records: Mapping[str, Leg],
    ) -> DrawLine | None:
        if draw is None:
            return None
        steps = [Step("Computed", f"{draw.amount} after a fee of {draw.fee}", at=draw.computed_at)]
        approval = self._approvals.get(tenant_id, draw.approval_id) if draw.approval_id else None
        steps += _approval_steps(approval) if approval is not None else []
        if draw.written_at is not None:
            file = f"payment file {draw.batch_id}, payment {draw.end_to_end_id}"
            steps.append(Step("Payment file written", file, at=draw.written_at))
        if draw.status in ("accepted", "confirmed", "rejected"):
            detail = draw.reason_code and f"reason {draw.reason_code}"
            title = {"rejected": "Refused by the bank"}.get(draw.status, "Confirmed by the bank")
            steps.append(Step(title, detail, by="the bank", at=draw.changed_at))
        for leg in _others(draw_id, matches, records):
            detail = f"{leg.amount} as {leg.name}"
            steps.append(
                Step("Debited in the bank's statement", detail, "the bank", leg.occurred_at, leg.on)
            )
        return DrawLine(
            draw.draw_id, draw.amount, draw.recipient, draw.status, draw.end_to_end_id, tuple(steps)
        )


def _approval_steps(approval: Approval) -> list[Step]:
    steps = [Step("Approval asked for", by=approval.requested_by, at=approval.requested_at)]
    if approval.decided_at is not None:
        title = "Approved by a second person" if approval.status == "approved" else "Rejected"
        steps.append(Step(title, approval.comment, approval.decided_by, approval.decided_at))
    return steps


def _cancelled(lines: Sequence[OpenItem]) -> list[OpenItem]:
    """Items that no break names but that add up to zero on their account explain each other.

    A dispute that was won is such a pair: taken away, given back, with no record of ours between.
    """
    sums: dict[str, int] = {}
    for line in lines:
        if not line.explained_by:
            sums[line.account] = sums.get(line.account, 0) + line.amount.amount_minor
    return [
        replace(line, explained_by="cancels out with the other items of this account")
        if not line.explained_by and sums[line.account] == 0
        else line
        for line in lines
    ]


def _draw_transaction(tenant_id: str, draw: DrawFacts | None) -> str:
    if draw is None or not draw.transaction_source:
        return ""
    return transaction_id(tenant_id, draw.transaction_source, draw.transaction_external_id)


def _others(one: str, matches: Iterable[StoredMatch], records: Mapping[str, Leg]) -> list[Leg]:
    """What the outside world recorded for one of our own records."""
    found = [
        records[member.transaction_id]
        for match in matches
        if any(member.transaction_id == one for member in match.members)
        for member in match.members
        if member.transaction_id != one and member.transaction_id in records
    ]
    return sorted(found, key=lambda leg: (leg.external_id, leg.transaction_id))


def _contribution(
    hand: Hand, matches: Sequence[StoredMatch], records: Mapping[str, Leg]
) -> ContributionLine:
    payments = tuple(
        RailPayment(
            "Card" if leg.side == "psp" else "Bank transfer",
            leg.amount,
            leg.occurred_at,
            leg.on,
            leg.name,
            leg.transaction_id,
        )
        for leg in _others(hand.transaction_id, matches, records)
    )
    return ContributionLine(
        hand.contribution_id,
        hand.transaction_id,
        hand.member,
        str(hand.position),
        hand.amount,
        hand.due_on,
        hand.status,
        payments,
    )


def _match_line(match: StoredMatch, records: Mapping[str, Leg]) -> MatchLine:
    members = sorted(match.members, key=lambda m: (m.side.value, m.kind.value, m.external_id))
    variance = Money(match.variance_minor, match.currency) if match.variance_minor else None
    return MatchLine(
        match.match_id,
        match.pair.value,
        match.level,
        f"{match.rule_id} v{match.rule_version}",
        f"{match.confidence_bp // 100}.{match.confidence_bp % 100:02d} %",
        tuple(_member_leg(member, match.currency, records) for member in members),
        str(match.explanation.get("sentence", "")),
        tuple(_weighed(match.explanation)),
        variance,
    )


def _member_leg(member: Member, currency: str, records: Mapping[str, Leg]) -> Leg:
    """The member as the match saw it, on its pair's basis, with what the record says besides."""
    known = records.get(member.transaction_id)
    return Leg(
        member.transaction_id,
        member.side.value,
        member.source,
        member.kind.value,
        member.external_id,
        Money(member.basis_minor, currency),
        known.occurred_at if known else member.occurred_at,
        known.batch_id if known else "",
        known.on if known else member.occurred_at.date(),
    )


def _weighed(explanation: Mapping[str, object]) -> list[str]:
    """Each signal that was weighed: ``amount: exact``."""
    signals = explanation.get("signals")
    if not isinstance(signals, list | tuple):
        return []
    return [
        f"{str(one.get('name', '')).replace('_', ' ').replace('.', ' ')}: {one.get('value', '')}"
        for one in signals
        if isinstance(one, Mapping)
    ]


def _what(leg: Leg | None) -> str:
    if leg is None:
        return "a record that is not known any more"
    return f"{words.SIDES.get(leg.side, leg.side)}: {words.word(leg.kind).lower()} {leg.name}"


def _as_of(facts: RoundFacts, matches: Iterable[StoredMatch]) -> datetime | None:
    """The latest thing that the report tells of: it ages with its facts, not with the clock."""
    draw = facts.draw
    moments = [
        facts.closed_at,
        *((draw.computed_at, draw.written_at, draw.changed_at) if draw else ()),
        *(match.decided_at for match in matches),
    ]
    return max((moment for moment in moments if moment is not None), default=None)
