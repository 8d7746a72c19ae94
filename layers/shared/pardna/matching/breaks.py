"""Breaks: what a finding means, how grave it is, by when it must be seen to. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from pardna.matching.codec import Finding
from pardna.matching.model import Break, BreakClass, Leg
from pardna.matching.rules import BusinessDays, Rules, Severity
from pardna.money.model import Money

#: What only people say, and the reason codes that go with it.
BY_PEOPLE: dict[str, tuple[str, ...]] = {
    "written_off": ("too_small_to_pursue", "uncollectable", "rounding", "time_barred"),
    "adjusted": ("corrected_at_source", "corrected_in_ledger", "fee_charged", "exchange_rate"),
    "recovered": ("paid_otherwise", "refunded", "insured"),
    "not_ours": ("other_account", "test_record", "reported_twice"),
}


def break_of_finding(
    finding: Finding, legs_count: int, rules: Rules, reference_date: date, run_id: str
) -> Break:
    """The break that a finding opens, as of the reference date."""
    first = finding.legs[0]
    calendar = BusinessDays(rules.closed_days)
    amount = _unexplained(finding)
    age = calendar.between(min(leg.day for leg in finding.legs), reference_date)
    severity = severity_of(amount, age, rules)
    return Break(
        tenant_id=first.tenant_id,
        pair=first.pair,
        class_=BreakClass(finding.class_),
        reason=reason(finding, legs_count),
        transaction_ids=tuple(sorted(leg.transaction_id for leg in finding.legs)),
        amount_minor=amount,
        currency=first.currency,
        opened_on=reference_date.isoformat(),
        severity=severity.name,
        due_at=calendar.add(reference_date, severity.sla_days).isoformat(),
        needs_approval=amount > rules.write_off_approval_minor,
        run_id=run_id,
        legs_count=legs_count,
    )


def severity_of(amount_minor: int, age_days: int, rules: Rules) -> Severity:
    """The gravest severity that the amount or the age (business days) reaches."""
    reached = [
        s for s in rules.severities if amount_minor >= s.amount_minor or age_days >= s.age_days
    ]
    return reached[-1] if reached else rules.severities[0]


def updated(old: Break | None, new: Break) -> Break | None:
    """What to write when `new` is found where `old` stands; None when it says nothing new.

    The owner, the decision that it waits for, the day of opening and an earlier deadline stay. What
    was resolved opens again, whoever resolved it: a resolution takes the legs out (`break_work`), so
    finding them means that it holds no longer, for instance because the record has changed.
    """
    if old is None:
        return new
    kept = replace(
        new,
        opened_on=old.opened_on,
        due_at=min(old.due_at, new.due_at),
        owner=old.owner,
        waits_for=old.waits_for,
        run_id=old.run_id,
    )
    return None if kept == old else replace(kept, run_id=new.run_id)


#: Upper ends of the age buckets, in business days since a break was opened; the last is open.
AGES = (1, 5, 10, 20)


def age_bucket(opened_on: str, today: date, calendar: BusinessDays) -> str:
    """Which bucket of business days a break's age falls into: ``0-1``, ``2-5``, … ``21+``."""
    age = max(calendar.between(date.fromisoformat(opened_on), today), 0)
    lowest = 0
    for end in AGES:
        if age <= end:
            return f"{lowest}-{end}"
        lowest = end + 1
    return f"{lowest}+"


def _unexplained(finding: Finding) -> int:
    """Minor units that nobody explains: the difference, else the larger leg's amount."""
    differs = finding.code in ("amounts_differ", "bank_differs", "members_differ")
    if differs:
        return abs(finding.number)
    return max(abs(_amount(leg)) for leg in finding.legs)


def _amount(leg: Leg) -> int:
    basis = leg.basis_minor
    return leg.amount_minor if basis is None else basis


def reason(finding: Finding, legs_count: int) -> str:
    """Why not, in a sentence that a person can act on."""
    first = finding.legs[0]
    currency = first.currency
    number = Money(finding.number, currency) if finding.code != "outside_window" else None
    members = max(legs_count - len(finding.legs), 0)
    what = f"the {first.side.value} {first.kind.value.replace('_', ' ')} {first.external_id}"
    amount = Money(_amount(first), currency)
    other_side = first.pair.right.value if first.is_left else first.pair.left.value
    told = {
        "amounts_differ": f"Both sides carry {finding.value}, but their amounts differ by {number}.",
        "outside_window": (
            f"Both sides carry {finding.value} and the same amount, but are {finding.number} "
            f"business days apart."
        ),
        "duplicate": f"{what} of {amount} carries {finding.value}, which is matched already.",
        "duplicate_line": f"{what} of {amount} names payout {finding.value}, which has its line.",
        "ambiguous": (
            f"{what} of {amount} has several equally good counterparts by reference {finding.value}."
        ),
        "lookalikes": f"{what} of {amount} has several look-alikes and no reference that tells them apart.",
        "group_ambiguous": (
            f"{what} of {amount} is what several sets of {finding.value}'s movements come to."
        ),
        "bank_differs": (
            f"Payout {finding.value} and its bank line differ by {number}: the bank shows "
            f"{Money(finding.legs[-1].amount_minor, currency)}, the payout is {Money(-first.amount_minor, currency)}."
        ),
        "members_differ": (
            f"The {members} movements that payout {finding.value} settles do not come to it: "
            f"difference {number}."
        ),
        "members_unknown": f"Payout {finding.value} of {number} has reached nobody's report of what it settles.",
        "fees_unknown": f"Payout {finding.value} settles movements whose fees are not known.",
        "line_shared": f"Several payouts claim the bank line that names {finding.value}.",
        "no_bank_line": (
            f"Payout {finding.value} of {number} is not on the bank's statement; "
            f"{members} movements wait for it."
        ),
        "payout_unknown": f"{what} of {amount} is settled by {finding.value}, a payout that was never reported.",
        "refused": (
            f"A person said that {what} of {amount} is not the same money as what the rules find "
            f"for it, and nothing else explains it."
        ),
        "missing": f"Nothing on the {other_side} side explains {what} of {amount}.",
    }  # fmt: skip
    sentence = told[finding.code]
    return sentence[0].upper() + sentence[1:]
