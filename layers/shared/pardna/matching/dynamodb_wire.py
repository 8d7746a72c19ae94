"""Many items of the match table at a time: requests are written as JSON text, sent by threads.

boto3 and pynamodb walk through every attribute of every item several times, which costs ten times
what matching the rows costs. Here an item is rendered once (`legs_wire`, `item_text`), put into the
request's body as it is, and sent (`dynamodb_http`).
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pardna.matching.dynamodb_http import Refusal, SignedCalls
from pardna.matching.dynamodb_table import ATTEMPTS
from pardna.runtime.clock import uuid7
from pardna.runtime.errors import Unavailable

#: DynamoDB's limits of a call: items of a transaction, of a batch to read, of a batch to write.
TRANSACT_MAX, GET_MAX, PUT_MAX = 100, 100, 25
THREADS = 4
#: The codes of a transaction's items that say "not now" and not "no".
_BUSY = frozenset({"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})  # fmt: skip
_CANCELED = ("TransactionCanceledException", "TransactionInProgressException")
_render = json.JSONEncoder(separators=(",", ":")).encode
_quoted = json.encoder.encode_basestring_ascii

Key = tuple[str, str]
T = TypeVar("T")
U = TypeVar("U")


def item_text(key: Key, values: Mapping[str, str | int | None], text: str = "") -> str:
    """An item as DynamoDB's JSON: its key, `values`, and `text`, which is rendered already."""
    parts = (_key_text(key), attributes_text(values), text)
    return "{" + ",".join(part for part in parts if part) + "}"


def attributes_text(values: Mapping[str, str | int | None]) -> str:
    """Attributes as DynamoDB's JSON, without braces; one that is None is absent."""
    return ",".join([
        f'"{name}":{{"S":{_quoted(value)}}}' if isinstance(value, str) else f'"{name}":{{"N":"{value:d}"}}'
        for name, value in values.items()
        if value is not None
    ])  # fmt: skip


def _key_text(key: Key) -> str:
    return f'"pk":{{"S":{_quoted(key[0])}}},"sk":{{"S":{_quoted(key[1])}}}'


def in_threads(work: Callable[[T], U], items: Sequence[T]) -> list[U]:
    """`work` on each, in their order, several at a time: most of it waits for an answer."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))


class Wire:
    """Calls on one table with bodies that are rendered already."""

    def __init__(self, table: str, region: str) -> None:
        self._calls = SignedCalls(region, THREADS)
        self._table = table
        self.name = _render(table)

    def put(self, item: str, condition: str = "") -> str:
        """A transaction's put; `condition` is rendered text that follows the item, or ""."""
        return f'{{"Put":{{"TableName":{self.name},"Item":{item}{condition}}}}}'

    def transact(self, writes: Sequence[str]) -> list[bool]:
        """Write all or nothing. Empty when written, else which writes' conditions did not hold.

        Raises Unavailable when others are at the same items all the time.
        """
        body = f'{{"ClientRequestToken":"{uuid7()}","TransactItems":[{",".join(writes)}]}}'
        for attempt in range(ATTEMPTS):
            try:
                self._calls.call("TransactWriteItems", body)
            except Refusal as error:
                if error.code not in _CANCELED:
                    raise
                reasons = error.answer.get("CancellationReasons", ())
                codes = [reason.get("Code", "None") for reason in reasons]
                if "ConditionalCheckFailed" in codes:
                    return [code == "ConditionalCheckFailed" for code in codes]
                if not _BUSY.issuperset(codes):
                    raise
            else:
                return []
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311  (spreads contention)
        raise Unavailable("matching.contended", "the match table is busy; try again")

    def put_all(self, items: Sequence[str]) -> None:
        """Write items over what there is, none of them twice. Raises Unavailable."""
        some = [items[at : at + PUT_MAX] for at in range(0, len(items), PUT_MAX)]
        in_threads(self._put_batch, some)

    def _put_batch(self, items: Sequence[str]) -> None:
        requests = ",".join(f'{{"PutRequest":{{"Item":{item}}}}}' for item in items)
        text = f"[{requests}]"
        for attempt in range(ATTEMPTS):
            body = f'{{"RequestItems":{{{self.name}:{text}}}}}'
            left = self._calls.call("BatchWriteItem", body).get("UnprocessedItems")
            if not left:
                return
            text = _render(left[self._table])
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311  (spreads contention)
        raise Unavailable("matching.contended", "the match table is busy; try again")

    def versions(self, wanted: Sequence[Key]) -> dict[Key, int]:
        """The attribute ``version`` of those items that exist, consistently read. Raises Unavailable."""
        some = [wanted[at : at + GET_MAX] for at in range(0, len(wanted), GET_MAX)]
        return {key: v for found in in_threads(self._versions, some) for key, v in found}

    def _versions(self, wanted: Sequence[Key]) -> list[tuple[Key, int]]:
        asked = "[" + ",".join(f"{{{_key_text(key)}}}" for key in wanted) + "]"
        found: list[tuple[Key, int]] = []
        for attempt in range(ATTEMPTS):
            body = (
                f'{{"RequestItems":{{{self.name}:{{"ConsistentRead":true,"Keys":{asked},'
                '"ProjectionExpression":"pk,sk,#v","ExpressionAttributeNames":{"#v":"version"}}}}'
            )
            answer = self._calls.call("BatchGetItem", body)
            found += (
                ((i["pk"]["S"], i["sk"]["S"]), int(i.get("version", {"N": "0"})["N"]))
                for i in answer["Responses"].get(self._table, ())
            )
            left = answer.get("UnprocessedKeys")
            if not left:
                return found
            asked = _render(left[self._table]["Keys"])
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311  (spreads contention)
        raise Unavailable("matching.contended", "the match table is busy; try again")


def packed(units: Sequence[Sequence[str]], bytes_max: int = 2_000_000) -> Iterator[list[int]]:
    """Places of units (writes that belong together) that fit into one transaction, in order."""
    pack: list[int] = []
    count = size = 0
    for place, unit in enumerate(units):
        length = sum(map(len, unit))
        if pack and (count + len(unit) > TRANSACT_MAX or size + length > bytes_max):
            yield pack
            pack, count, size = [], 0, 0
        pack.append(place)
        count, size = count + len(unit), size + length
    if pack:
        yield pack
