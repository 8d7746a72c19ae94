"""The listable kinds of object: how each is produced from the records, and found by id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from local.psp import objects
from local.psp.balance import balance_transactions
from local.psp.events import events
from local.psp.records import Json, Records


@dataclass(frozen=True)
class Resource:
    """One kind: its noun for error texts, the filters of its list, the table of the records that it
    comes from, and how one row is shaped; or (None) how all rows are derived."""

    noun: str
    filters: frozenset[str]
    table: str = ""
    shape: Callable[[Records, Json], Json] | None = None
    derive: Callable[[Records], list[Json]] = balance_transactions

    def rows(self, records: Records) -> list[Json]:
        """All of them, newest first."""
        if self.shape is None:
            return self.derive(records)
        shaped = [self.shape(records, one) for one in getattr(records, self.table).values()]
        return sorted(shaped, key=lambda one: (one["created"], one["id"]), reverse=True)


RESOURCES = {
    "balance_transactions": Resource(
        "balance transaction",
        frozenset({"type", "currency", "created", "available_on", "source", "payout"}),
    ),
    "charges": Resource(
        "charge", frozenset({"customer", "payment_intent", "created"}), "charges", objects.charge
    ),
    "refunds": Resource(
        "refund", frozenset({"charge", "payment_intent", "created"}), "refunds", objects.refund
    ),
    "disputes": Resource(
        "dispute", frozenset({"charge", "payment_intent", "created"}), "disputes", objects.dispute
    ),
    "payouts": Resource(
        "payout",
        frozenset({"status", "arrival_date", "created", "destination"}),
        "payouts",
        objects.payout,
    ),
    "events": Resource("event", frozenset({"type", "types", "created"}), derive=events),
}
# Which list holds an id, by its prefix.
_BY_PREFIX = {
    "txn_": "balance_transactions",
    "ch_": "charges",
    "re_": "refunds",
    "dp_": "disputes",
    "po_": "payouts",
    "evt_": "events",
}


def find(records: Records, identifier: str) -> Json | None:
    """The object with this id, whatever its kind."""
    name = _BY_PREFIX.get(identifier.partition("_")[0] + "_")
    return find_in(RESOURCES[name], records, identifier) if name else None


def find_in(resource: Resource, records: Records, identifier: str) -> Json | None:
    """The object of one kind with this id."""
    if resource.shape is not None:
        one = getattr(records, resource.table).get(identifier)
        return None if one is None else resource.shape(records, one)
    for one in resource.rows(records):
        if one["id"] == identifier:
            return one
    return None
