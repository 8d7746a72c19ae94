"""A DynamoDB table in memory behind botocore's HTTP session: for volumes that emulators cannot hold.

It answers what the match state asks of one table with two indexes: gets, puts, updates, queries by
partition, batches, transactions with conditions, all or none. Every look-up is by key, so its own
cost does not grow with the table. It counts calls, items and capacity units, and the CPU time that
it takes itself, so that a measurement can leave that out. It is no emulator: no limits, no streams,
no scans.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

INDEXES = {"open": ("open_pk", "open_sk"), "listing": ("list_pk", "list_sk")}
_TOKEN = re.compile(r"#\w+|:\w+|\w+|<=|>=|<>|[=<>(),+]")
_UNIT = {"write": 1_024, "read": 4_096}

Item = dict[str, dict[str, Any]]


class Refused(Exception):
    """A condition does not hold."""


class MemoryTable:
    """The table; `counts` holds what it was asked, `cpu_s` what answering took."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.partitions: dict[str, dict[str, Item]] = defaultdict(dict)
        self.indexes: dict[str, dict[str, dict[tuple[str, str], Item]]] = {
            name: defaultdict(dict) for name in INDEXES
        }
        self.counts: Counter[str] = Counter()
        self.cpu_s = 0.0
        self.lock = threading.Lock()

    # ---------------------------------------------------------------- storage

    def item(self, key: Item) -> Item | None:
        return self.partitions.get(key["pk"]["S"], {}).get(key["sk"]["S"])

    def store(self, new: Item) -> None:
        """Write an item over what was there, and into the indexes that it belongs to."""
        pk, sk = new["pk"]["S"], new["sk"]["S"]
        old = self.partitions[pk].get(sk)
        self.partitions[pk][sk] = new
        for index, (hash_name, _) in INDEXES.items():
            for one, keep in ((old, False), (new, True)):
                if one and hash_name in one:
                    place = self.indexes[index][one[hash_name]["S"]]
                    if keep:
                        place[pk, sk] = one
                    else:
                        del place[pk, sk]
                    self.counts["index_writes"] += keep or hash_name not in new

    # ---------------------------------------------------------------- operations

    def answer(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of one call."""
        try:
            with self.lock:  # a transaction checks, then writes; nobody comes between
                self.counts["calls"] += 1
                self.counts[operation] += 1
                return 200, getattr(self, f"_{operation}")(asked)
        except Refused:
            code = "ConditionalCheckFailedException"
            return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "refused"}

    def _DescribeTable(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        def schema(names: tuple[str, str]) -> list[dict[str, str]]:
            return [
                {"AttributeName": n, "KeyType": k} for n, k in zip(names, ("HASH", "RANGE"), strict=True)
            ]  # fmt: skip

        names = ["pk", "sk", *(n for pair in INDEXES.values() for n in pair)]
        table = {
            "TableName": self.name, "TableStatus": "ACTIVE", "KeySchema": schema(("pk", "sk")),
            "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in names],
            "GlobalSecondaryIndexes": [
                {"IndexName": n, "KeySchema": schema(pair), "Projection": {"ProjectionType": "ALL"}}
                for n, pair in INDEXES.items()
            ],
        }  # fmt: skip
        return {"Table": table}

    def _GetItem(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self.item(asked["Key"])
        self._read(found)
        return {"Item": found} if found else {}

    def _PutItem(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._check(asked, asked["Item"])
        self._write(asked["Item"])
        return {}

    def _UpdateItem(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._check(asked, asked["Key"])
        new = self._updated(asked)
        self._write(new)
        return {"Attributes": new}

    def _BatchGetItem(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        request = asked["RequestItems"][self.name]
        found = [self.item(key) for key in request["Keys"]]
        for one in found:
            self._read(one)
        names = request.get("ExpressionAttributeNames", {})
        kept = [names.get(n, n) for n in request.get("ProjectionExpression", "").split(",") if n]
        if kept:
            found = [one and {n: one[n] for n in kept if n in one} for one in found]
        return {"Responses": {self.name: [x for x in found if x]}, "UnprocessedKeys": {}}

    def _BatchWriteItem(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for request in asked["RequestItems"][self.name]:
            self._write(request["PutRequest"]["Item"])
        return {"UnprocessedItems": {}}

    def _TransactWriteItems(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        reasons, writes = [], []
        for one in asked["TransactItems"]:
            [(kind, what)] = one.items()
            key = what["Item"] if kind == "Put" else what["Key"]
            try:
                self._check(what, key)
            except Refused:
                reasons.append({"Code": "ConditionalCheckFailed", "Message": "refused"})
            else:
                reasons.append({"Code": "None"})
            if kind != "ConditionCheck":
                writes.append((kind, what))
        if any(reason["Code"] != "None" for reason in reasons):
            raise Cancelled(reasons)
        for kind, what in writes:
            self._write(what["Item"] if kind == "Put" else self._updated(what), factor=2)
        return {}

    def _Query(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        index = asked.get("IndexName")
        hash_name, range_name = INDEXES[index] if index else ("pk", "sk")
        tokens = _TOKEN.findall(asked["KeyConditionExpression"])
        words = _Words(tokens, asked)
        wanted = words.equality(hash_name)
        place = self.indexes[index][wanted] if index else self.partitions.get(wanted, {})
        found = sorted(place.values(), key=lambda item: item[range_name]["S"])
        found = [x for x in found if _Words(tokens, asked).holds(x)]
        start = asked.get("ExclusiveStartKey")
        if start:
            found = [x for x in found if (x[range_name]["S"], x["pk"]["S"]) > (start[range_name]["S"], start["pk"]["S"])]  # fmt: skip
        limit = min(asked.get("Limit") or 1_000, 1_000)
        page = found[:limit]
        for one in page:
            self._read(one)
        answer: dict[str, Any] = {"Count": len(page), "ScannedCount": len(page)}
        if asked.get("Select") != "COUNT":
            answer["Items"] = page
        if len(found) > limit:
            names = {"pk", "sk", hash_name, range_name}
            answer["LastEvaluatedKey"] = {n: page[-1][n] for n in names}
        return answer

    # ---------------------------------------------------------------- parts

    def _check(self, asked: dict[str, Any], key: Item) -> None:
        expression = asked.get("ConditionExpression")
        if expression and not _Words(_TOKEN.findall(expression), asked).holds(self.item(key) or {}):
            raise Refused

    def _updated(self, asked: dict[str, Any]) -> Item:
        item = dict(self.item(asked["Key"]) or asked["Key"])
        words = _Words(_TOKEN.findall(asked["UpdateExpression"]), asked)
        return words.update(item)

    def _write(self, item: Item, factor: int = 1) -> None:
        self.store(item)
        self.counts["items_written"] += 1
        self.counts["write_units"] += factor * -(-len(json.dumps(item)) // _UNIT["write"])

    def _read(self, item: Item | None) -> None:
        self.counts["items_read"] += item is not None
        size = len(json.dumps(item)) if item else 1
        self.counts["read_units"] += -(-size // _UNIT["read"])


class Cancelled(Exception):
    """A transaction was cancelled, for reasons in the order of its items."""

    def __init__(self, reasons: list[dict[str, str]]) -> None:
        super().__init__("cancelled")
        self.reasons = reasons


class _Words:
    """An expression's tokens, read from left to right."""

    def __init__(self, tokens: list[str], asked: dict[str, Any]) -> None:
        self._tokens = tokens
        self._place = 0
        self._names = asked.get("ExpressionAttributeNames", {})
        self._values = asked.get("ExpressionAttributeValues", {})

    def _next(self) -> str:
        self._place += 1
        return self._tokens[self._place - 1]

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def equality(self, name: str) -> str:
        """The value that a key condition wants an attribute to equal."""
        for first, middle, last in zip(self._tokens, self._tokens[1:], self._tokens[2:], strict=False):  # fmt: skip
            if self._names.get(first, first) == name and middle == "=":
                return str(self._values[last]["S"])
        raise ValueError(f"no equality of {name}")

    def holds(self, item: Item) -> bool:
        """Whether the condition holds for an item."""
        found = self._all(item)
        while self._peek() == "OR":
            self._next()
            found = self._all(item) or found
        return found

    def _all(self, item: Item) -> bool:
        found = self._one(item)
        while self._peek() == "AND":
            self._next()
            found = self._one(item) and found
        return found

    def _one(self, item: Item) -> bool:
        word = self._next()
        if word == "NOT":
            return not self._one(item)
        if word == "(":
            found = self.holds(item)
            self._next()
            return found
        if word in ("attribute_not_exists", "attribute_exists"):
            self._next()
            there = self._names.get(name := self._next(), name) in item
            self._next()
            return there is (word == "attribute_exists")
        left, how = self._value(word, item), self._next()
        if how == "IN":
            options = []
            while self._next() != ")":
                if self._peek() not in (")", ","):
                    options.append(self._values[self._peek()])
            return left is not None and left in [_plain(o) for o in options]
        right = self._value(self._next(), item)
        if left is None or right is None:
            return False
        return bool({
            "=": left == right, "<>": left != right, "<": left < right, ">": left > right,
            "<=": left <= right, ">=": left >= right,
        }[how])  # fmt: skip

    def _value(self, word: str, item: Item) -> Any:
        if word.startswith(":"):
            return _plain(self._values[word])
        found = item.get(self._names.get(word, word))
        return None if found is None else _plain(found)

    def update(self, item: Item) -> Item:
        """The item after SET and REMOVE clauses."""
        clause = ""
        while self._peek():
            word = self._next()
            if word in ("SET", "REMOVE"):
                clause = word
            elif word != ",":
                name = self._names.get(word, word)
                if clause == "REMOVE":
                    item.pop(name, None)
                else:
                    self._next()
                    item[name] = self._operand(item)
                    while self._peek() == "+":
                        self._next()
                        more = int(self._operand(item)["N"])
                        item[name] = {"N": str(int(item[name]["N"]) + more)}
        return item

    def _operand(self, item: Item) -> dict[str, Any]:
        word = self._next()
        if word == "(":
            found = self._operand(item)
            self._next()
            return found
        if word == "if_not_exists":
            self._next()
            name = self._names.get(self._peek(), self._next())
            self._next()
            default: dict[str, Any] = self._values[self._next()]
            self._next()
            return item.get(name, default)
        if word.startswith(":"):
            return dict(self._values[word])
        return item[self._names.get(word, word)]


def _plain(value: dict[str, Any]) -> Any:
    [(kind, plain)] = value.items()
    return int(plain) if kind == "N" else plain


class _Raw(BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def _told(table: MemoryTable, operation: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a request."""
    try:
        status, answer = table.answer(operation, json.loads(body))
    except Cancelled as cancelled:
        code = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
        codes = ", ".join(r["Code"] for r in cancelled.reasons)
        said = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"  # fmt: skip
        status, answer = 400, {"__type": code, "message": said, "Message": said, "CancellationReasons": cancelled.reasons}  # fmt: skip
    return status, json.dumps(answer).encode()


@contextmanager
def answered_by(answer: Callable[[str, bytes], tuple[int, bytes]]) -> Iterator[None]:
    """While inside, what botocore sends to DynamoDB (operation, body) is answered like this."""
    original = URLLib3Session.send

    def send(session: Any, request: Any) -> Any:
        target = request.headers.get("X-Amz-Target", b"")
        target = target.decode() if isinstance(target, bytes) else target
        if not target.startswith("DynamoDB_"):
            return original(session, request)
        status, data = answer(target.rpartition(".")[2], request.body)
        headers: Any = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "memory"}
        return AWSResponse(request.url, status, headers, _Raw(data))

    URLLib3Session.send = send  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        URLLib3Session.send = original  # type: ignore[method-assign]


@contextmanager
def serving(table: MemoryTable) -> Iterator[MemoryTable]:
    """While inside, whatever botocore sends to DynamoDB is answered by `table`."""

    def answer(operation: str, body: bytes) -> tuple[int, bytes]:
        started = time.thread_time()  # of this thread only: several may be here
        found = _told(table, operation, body)
        with table.lock:
            table.cpu_s += time.thread_time() - started
        return found

    with answered_by(answer):
        yield table


class Apart:
    """A table in a process of its own, so that its size and its work are nobody else's."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()  # a pipe holds one question at a time
        self.calls = 0

    def answer(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """What the table answers."""
        with self._lock:
            self.calls += 1
            self._pipe.send_bytes(operation.encode() + b" " + body)
            status, _, data = self._pipe.recv_bytes().partition(b" ")
        return int(status), data

    def counts(self) -> Counter[str]:
        """What the table was asked since this was asked last; `open_legs` is what it holds."""
        self._pipe.send_bytes(b"counts {}")
        return Counter(json.loads(self._pipe.recv_bytes().partition(b" ")[2]))


def _serve(pipe: Connection, make: Callable[[], MemoryTable]) -> None:
    table = make()
    gc.freeze()
    pipe.send_bytes(b"ready")
    while True:
        try:
            operation, _, body = pipe.recv_bytes().partition(b" ")
        except EOFError:
            return
        if operation == b"counts":
            held = sum(len(place) for place in table.indexes["open"].values())
            status, data = 200, json.dumps({**table.counts, "open_legs": held}).encode()
            table.counts.clear()
        else:
            status, data = _told(table, operation.decode(), body)
        pipe.send_bytes(b"%d " % status + data)


@contextmanager
def serving_apart(make: Callable[[], MemoryTable]) -> Iterator[Apart]:
    """Like `serving`, by a table that another process makes and keeps."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=_serve, args=(theirs, make), daemon=True)
    process.start()
    theirs.close()
    ours.recv_bytes()
    apart = Apart(ours)
    try:
        with answered_by(apart.answer):
            yield apart
    finally:
        process.kill()
        process.join()
