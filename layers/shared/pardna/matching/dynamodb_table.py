"""The match table: its models, the one way to write transactions on it, and how a leg is taken."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist, PutError, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from pardna.matching.acts import Act, Deed, canonical
from pardna.matching.items import Item, act_attributes, item_class, member_attributes
from pardna.matching.model import Leg, Match, Pair
from pardna.runtime import keys
from pardna.runtime.errors import Unavailable
from pardna.transactions.model import Reference

#: How often a contended write is tried.
ATTEMPTS = 8


class Lost(Exception):
    """A condition did not hold: somebody else was first. Never leaves matching's adapters."""


class MatchTable:
    """The table's models and the one way to write transactions on it."""

    def __init__(self, table: str, region: str) -> None:
        self.name, self.region = table, region
        self.item = item_class(table, region)
        self._connection = Connection(region=region, max_retry_attempts=8)

    def transact(self, fill: Callable[[TransactWrite], None]) -> None:
        """Write a transaction; contention is tried again. Raises Lost, or Unavailable at the end."""
        for attempt in range(ATTEMPTS):
            try:
                with TransactWrite(connection=self._connection) as writing:
                    fill(writing)
                return
            except TransactWriteError as error:
                codes = {r.code for r in error.cancellation_reasons if r is not None}
                if "ConditionalCheckFailed" in codes:
                    raise Lost from None
                if not codes and error.cause_response_code not in (
                    "TransactionInProgressException",
                    "TransactionCanceledException",
                ):
                    raise
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311  (spreads contention)
        raise Unavailable("matching.contended", "the match table is busy; try again")

    def get(self, key: tuple[str, str]) -> Item | None:
        """One item, consistently read, or None."""
        try:
            return self.item.get(*key, consistent_read=True)
        except DoesNotExist:
            return None

    def set_of(self, values: dict[str, Any]) -> list[Action]:
        """Update actions that make an item say `values`; None removes the attribute."""
        return [
            getattr(self.item, name).remove()
            if value is None
            else getattr(self.item, name).set(value)
            for name, value in values.items()
        ]

    def take(self, writing: TransactWrite, leg: Leg, identifier: str, status: str) -> None:
        """Take a leg, and close it in the pairs where it must not be matched as well."""
        item = self.item
        free = item.match_id.does_not_exist() | (item.match_id == identifier)
        closing = {"open_pk": None, "open_sk": None} if status == "matched" else {}
        writing.update(
            item(*leg_key(leg)),
            actions=self.set_of({"status": status, "match_id": identifier, **closing}),
            condition=free & (item.version == leg.version),
        )
        for other in leg.exclusive:
            writing.update(
                item(*keys.leg(leg.tenant_id, other.value, leg.transaction_id)),
                actions=self.set_of({"status": "elsewhere", "match_id": identifier, **closing}),
                condition=free & item.pk.exists(),
            )

    def save_act(self, writing: TransactWrite, one: Act, *, listed: bool) -> None:
        """Append to a subject's history; an act that is there is never written over."""
        item = self.item
        key = keys.history(one.tenant_id, one.subject, one.at, one.act_id)
        writing.save(item(*key, **act_attributes(one, listed=listed)), item.pk.does_not_exist())

    def save_deed(self, writing: TransactWrite, deed: Deed) -> None:
        """Append a request's acts, and keep its answer; Lost when the request was answered before."""
        item, by = self.item, deed.asked
        for one in deed.acts:
            self.save_act(writing, one, listed=True)
        body = canonical({"request_hash": by.request_hash, "answer": dict(deed.answer)})
        answered = item(
            *keys.once(by.tenant_id, by.principal, by.key),
            tenant_id=by.tenant_id, kind="answered", body=body,
        )  # fmt: skip
        writing.save(answered, item.pk.does_not_exist())

    def save_member(self, writing: TransactWrite, match: Match, leg: Leg) -> None:
        key = keys.match_member(leg.tenant_id, match.match_id, leg.transaction_id)
        writing.save(self.item(*key, **member_attributes(match, leg)))


def leg_key(leg: Leg) -> tuple[str, str]:
    """Where a leg's item is."""
    return keys.leg(leg.tenant_id, leg.pair.value, leg.transaction_id)


def reference_key(leg: Leg, reference: Reference) -> tuple[str, str]:
    """Where a leg's reference is."""
    return keys.reference(
        leg.tenant_id,
        leg.pair.value,
        leg.currency,
        reference.type,
        reference.value,
        leg.side.value,
        leg.transaction_id,
    )


def opened(leg: Leg, pair: Pair | None = None) -> dict[str, Any]:
    """The index attributes of an open leg."""
    at = (pair or leg.pair).value
    return {
        "open_pk": keys.open_leg_index(leg.tenant_id, at, leg.currency, leg.transaction_id),
        "open_sk": leg.transaction_id,
    }


def places(leg: Leg, status: str) -> list[tuple[Pair, str]]:
    """Where a leg has items: its own pair, and those that its match closes."""
    return [(leg.pair, status), *((pair, "elsewhere") for pair in leg.exclusive)]


def update(target: Item, actions: list[Action], condition: Condition) -> None:
    """A conditional update; raises Lost when the condition does not hold."""
    try:
        target.update(actions=actions, condition=condition)
    except UpdateError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            raise Lost from None
        raise


def update_if(target: Item, actions: list[Action], condition: Condition) -> bool:
    """Like `update`; False instead of raising."""
    try:
        update(target, actions, condition)
    except Lost:
        return False
    return True


def put_if(item: Item, condition: Any) -> bool:
    """Put on a condition; False when it does not hold."""
    try:
        item.save(condition)
    except PutError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            return False
        raise
    return True
