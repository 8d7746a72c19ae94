"""A round report to test with: small, but with one of everything."""

from __future__ import annotations

from datetime import UTC, date, datetime

from pardna.money.model import Money
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
)

AT = datetime(2026, 11, 21, 15, 4, 5, tzinfo=UTC)


def jmd(amount_minor: int) -> Money:
    """Jamaican cents."""
    return Money(amount_minor, "JMD")


def a_leg(transaction_id: str, side: str, kind: str, amount_minor: int, batch_id: str = "") -> Leg:
    """A leg whose external id tells what it is."""
    external_id = f"{kind}_{transaction_id}"
    return Leg(
        transaction_id, side, f"{side}:1", kind, external_id, jmd(amount_minor), AT, batch_id
    )


def a_match(match_id: str, level: int, *legs: Leg, pair: str = "internal~psp") -> MatchLine:
    """A committed match with one reason."""
    return MatchLine(
        match_id, pair, level, "some-rule-1", "1", legs, "They say the same.", ("amount: exact",)
    )


def a_report(
    circle_name: str = "Half Way Tree Weekly", member: str = "Marcia Brown", reason: str = ""
) -> RoundReport:
    """Two hands, three matches, a break that explains what clearing holds, a confirmed draw."""
    contribution = a_leg("t1", "internal", "contribution", 500_000)
    charge = a_leg("t2", "psp", "charge", 500_000, batch_id="po_1")
    payout = a_leg("t3", "psp", "payout", -480_500)
    credit = a_leg("t4", "bank", "transfer", 480_500)
    stranger = a_leg("t5", "bank", "transfer", 123_400)
    return RoundReport(
        tenant_id="acme",
        circle_id="crc_1",
        circle_name=circle_name,
        round_number=1,
        rounds_count=5,
        currency="JMD",
        status="closed",
        due_on=date(2026, 11, 21),
        as_of=AT,
        contributions=(
            ContributionLine(
                "con_1", "t1", member, "1", jmd(500_000), date(2026, 11, 21), "paid",
                (RailPayment("Card", jmd(500_000), AT, date(2026, 11, 21), "ch_1", "t2"),),
            ),
            ContributionLine(
                "con_2", "t6", "Delroy Grant", "2", jmd(500_000), date(2026, 11, 21), "pending"
            ),
        ),
        matches=(
            a_match("m1", 1, contribution, charge),
            a_match("m2", 3, charge, payout, pair="psp~bank"),
            a_match("m3", 1, payout, credit, pair="psp~bank"),
        ),
        breaks=(
            BreakLine(
                "brk_1", "UNEXPECTED", reason or "Nobody is known to owe this.", "medium", "open",
                jmd(123_400), (stranger,), "2026-11-21",
            ),
        ),
        trial_balances=(TrialBalance("JMD", jmd(1_604_400), jmd(1_604_400), 7),),
        accounts=(
            AccountLine("bank:ncb", "asset", jmd(603_900), jmd(0), jmd(603_900)),
            AccountLine("pot:crc_1", "liability", jmd(0), jmd(500_000), jmd(500_000)),
        ),
        open_items=(
            OpenItem("clearing:ncb", "t5", "Bank transfer", jmd(-123_400), "open break brk_1"),
        ),
        draw=DrawLine(
            "drw_1", jmd(500_000), "Paulette Reid", "confirmed", "PDNDRW1",
            (
                Step("Approval asked for", "", "the payout round", AT),
                Step("Approved", "amount and account checked", "approver", AT),
                Step("Confirmed by the bank", "pain.002 ACSC", "ncb", AT),
            ),
        ),
    )  # fmt: skip
