"""Which lines a canonical transaction posts: data, versioned, keyed by (side, kind).

Each side of a payment posts to its own clearing account, so three sides of one payment are three
journals that matching then clears against each other. Signs follow the canonical transaction: money
to us is positive, and a debit is positive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pardna.ledger.model import Journal, Line, MatchedLeg, MatchEvent
from pardna.transactions.model import Kind, Side, Transaction

#: Raise it when a rule changes; journals carry it, and postings made under older rules stay.
RULES_VERSION = 1


@dataclass(frozen=True, slots=True)
class RuleLine:
    """`sign` times the transaction's `basis` (amount, gross, fee or net) on `account`."""

    account: str
    basis: str
    sign: int


def _clearing(account: str, basis: str, sign: int) -> RuleLine:
    return RuleLine(f"clearing:{account}", basis, sign)


_OURS = (_clearing("{source}", "amount", 1), RuleLine("pot:{scope}", "amount", -1))
_PSP = (
    RuleLine("psp_balance:{source}", "net", 1),
    RuleLine("fees:{source}", "fee", 1),
    _clearing("{source}", "gross", -1),
)
_PSP_FEE = (RuleLine("psp_balance:{source}", "net", 1), RuleLine("fees:{source}", "net", -1))
_PSP_PAYOUT = (*_PSP[:2], _clearing("{source}:payouts", "gross", -1))
_BANK = (RuleLine("bank:{source}", "amount", 1), _clearing("{source}", "amount", -1))
_BANK_FEE = (RuleLine("bank:{source}", "amount", 1), RuleLine("fees:{source}", "amount", -1))

RULES: Mapping[tuple[Side, Kind], tuple[RuleLine, ...]] = {
    **{(Side.INTERNAL, kind): _OURS for kind in Kind},
    **{(Side.PSP, kind): _PSP for kind in Kind},
    **{(Side.BANK, kind): _BANK for kind in Kind},
    (Side.PSP, Kind.FEE): _PSP_FEE,
    (Side.PSP, Kind.PAYOUT): _PSP_PAYOUT,
    (Side.BANK, Kind.FEE): _BANK_FEE,
}


def lines_of(transaction: Transaction) -> tuple[Line, ...]:
    """The lines of a transaction; none when it moves nothing."""
    amounts = _amounts(transaction)
    names = {
        "source": transaction.source,
        "scope": transaction.source.partition(":")[2],
    }
    lines = []
    for rule in RULES[transaction.side, transaction.kind]:
        amount = rule.sign * amounts[rule.basis]
        if amount:
            account = rule.account.format(**names)
            item = transaction.transaction_id if account.startswith("clearing:") else ""
            lines.append(Line(account, transaction.currency, amount, item))
    return tuple(lines)


def _amounts(t: Transaction) -> dict[str, int]:
    """All four amounts; what the record did not say follows from what it did."""
    fee = t.fee_minor or 0
    if t.gross_minor is not None:
        gross = t.gross_minor
    elif t.net_minor is not None:
        gross = t.net_minor + fee
    else:
        gross = t.amount_minor
    return {"amount": t.amount_minor, "gross": gross, "fee": fee, "net": gross - fee}


def journals_of(versions: Sequence[Transaction]) -> list[Journal]:
    """Journals of a transaction from all its versions, first version first.

    Version n is posted as the reversal of what stood before it plus itself. A version that posts
    the same lines on the same day (it brought a reference, say) posts nothing. The result depends
    on the history alone, so that whoever posts it, in whatever order, posts the same journals.
    """
    journals: list[Journal] = []
    standing: tuple[str, tuple[Line, ...], object] | None = None
    for number, version in enumerate(versions, start=1):
        lines = lines_of(version)
        if standing and (lines, version.occurred_at.date()) == standing[1:]:
            continue
        refs: dict[str, str | int] = {
            "transaction_id": version.transaction_id,
            "version": number,
            "source": version.source,
            "external_id": version.external_id,
        }
        if standing:
            journals.append(
                Journal(
                    key=f"reverse:{standing[0]}",
                    kind="correction",
                    reverses=standing[0],
                    effective_at=version.occurred_at,
                    description=f"superseded by version {number}",
                    refs=refs,
                    move_late=True,
                )
            )
            standing = None
        if lines:
            key = f"txn:{version.transaction_id}:{number}"
            journals.append(
                Journal(
                    key=key,
                    kind=f"{version.side}.{version.kind}",
                    lines=lines,
                    effective_at=version.occurred_at,
                    refs=refs,
                    metadata={"rules_version": RULES_VERSION},
                    move_late=True,
                )
            )
            standing = (key, lines, version.occurred_at.date())
    return journals


def clearing_lines(match: MatchEvent) -> tuple[Line, ...]:
    """Lines that move each matched leg out of its clearing account; what is left is the variance.

    A provider's charges in a settlement were cleared against our books when they were charged; here
    its payout moves. Where a settlement names charges but no payout, they leave the provider's
    balance itself.
    """
    legs = sorted(match.legs, key=lambda leg: (leg.side, leg.transaction_id))
    by_payout = any(leg.side is Side.PSP and leg.kind is Kind.PAYOUT for leg in legs)
    lines, left = [], dict[str, int]()
    for leg in legs:
        move = _move(match.pair, leg, by_payout)
        if move is not None:
            lines.append(move)
            left[leg.currency] = left.get(leg.currency, 0) + move.amount_minor
    account = ":".join(filter(None, ("variance", match.pair, match.variance_kind)))
    variances = [Line(account, c, -total) for c, total in sorted(left.items()) if total]
    return (*lines, *variances)


def _move(pair: str, leg: MatchedLeg, by_payout: bool) -> Line | None:
    item = leg.transaction_id
    if not leg.amount_minor:
        return None
    if leg.side is Side.INTERNAL:
        return Line(f"clearing:{leg.source}", leg.currency, -leg.amount_minor, item)
    if leg.side is Side.BANK:
        if leg.kind is Kind.FEE:
            return None
        return Line(f"clearing:{leg.source}", leg.currency, leg.amount_minor, item)
    if leg.kind is Kind.PAYOUT:
        return Line(f"clearing:{leg.source}:payouts", leg.currency, leg.amount_minor, item)
    if pair == "psp~bank":
        if by_payout:
            return None
        return Line(f"psp_balance:{leg.source}", leg.currency, -leg.amount_minor)
    if leg.kind is Kind.FEE:
        return None
    return Line(f"clearing:{leg.source}", leg.currency, leg.amount_minor, item)
