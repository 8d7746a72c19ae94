"""Two records of one money object become one: what is known after both have been heard."""

from __future__ import annotations

from dataclasses import replace

from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import REFERENCES_MAX, Counterparty, Transaction


def merge(old: Transaction, new: Transaction) -> Transaction:
    """What is known after both records have been heard, whichever came first.

    Field by field the choice is a maximum over a total order, hence commutative, associative and
    idempotent: three routes in six orders end in one content. The four amounts are one fact and
    travel together (the record that knows more of them wins); texts prefer the longer; instants
    the earliest; references are united. Provenance is `new`'s.

    Raises InvalidInput ``transaction.contradiction`` when the records cannot be one movement: a
    provider does not turn one money object into another kind, side or currency.
    """
    for field in ("tenant_id", "source", "external_id", "side", "kind", "currency"):
        if getattr(old, field) != getattr(new, field):
            raise contradiction(field, getattr(old, field), new)
    amounts = max(_amounts(old), _amounts(new), key=_amounts_order)
    dates = [d for d in (old.value_date, new.value_date) if d is not None]
    return replace(
        new,
        amount_minor=amounts[0] or 0,
        gross_minor=amounts[1],
        fee_minor=amounts[2],
        net_minor=amounts[3],
        occurred_at=min(old.occurred_at, new.occurred_at),
        value_date=max(dates) if dates else None,
        account=_fuller(old.account, new.account),
        counterparty=Counterparty(
            _fuller(old.counterparty.name, new.counterparty.name),
            _fuller(old.counterparty.account, new.counterparty.account),
        ),
        description=_fuller(old.description, new.description),
        references=tuple(sorted({*old.references, *new.references})[:REFERENCES_MAX]),
        batch_id=_fuller(old.batch_id, new.batch_id),
    )


_Amounts = tuple[int | None, int | None, int | None, int | None]


def _amounts(t: Transaction) -> _Amounts:
    return t.amount_minor, t.gross_minor, t.fee_minor, t.net_minor


def _amounts_order(amounts: _Amounts) -> tuple[int, tuple[int, ...]]:
    known = sum(a is not None for a in amounts)
    return known, tuple(-(2**63) if a is None else a for a in amounts)


def _fuller(first: str, second: str) -> str:
    return max(first, second, key=lambda text: (len(text), text))


def contradiction(field: str, was: str, new: Transaction) -> InvalidInput:
    """What is said of a record that says something else of a money object than another did."""
    words = f"{field} of {new.source}/{new.external_id} was {was}"
    return InvalidInput("transaction.contradiction", words)
