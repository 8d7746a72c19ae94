"""Signed calls against a real HTTP server that misbehaves: what is tried again, and what is not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.credentials import Credentials

from benchmarks.matching.memory_table import MemoryTable, _told
from pardna.matching import dynamodb_http
from pardna.matching.dynamodb_http import ATTEMPTS, Refusal, SignedCalls
from pardna.matching.dynamodb_wire import Wire
from pardna.runtime.errors import Unavailable

TABLE = "match-table"
SPACE = "com.amazonaws.dynamodb.v20120810#"
#: Status and body; None: the connection is cut without an answer; 0: in the middle of a good one.
Answer = tuple[int, bytes] | None
OK: Answer = (200, b'{"done": true}')


def error(code: str, status: int = 400, **more: Any) -> Answer:
    return status, json.dumps({"__type": SPACE + code, "message": "no", **more}).encode()


class Server:
    """Answers in the order of `script`, then as `otherwise` does; remembers what it was asked."""

    def __init__(self) -> None:
        self.script: list[Answer | Callable[[str, bytes], Answer]] = []
        self.otherwise: Callable[[str, bytes], Answer] = lambda _operation, _body: OK
        self.asked: list[tuple[str, bytes, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                server.asked.append((operation, body, self.headers["Authorization"]))
                answer = server._next(operation, body)
                if answer is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                status, data = answer
                self.send_response(status or 200)
                self.send_header("Content-Length", str(len(data) + (0 if status else 10)))
                self.end_headers()
                self.wfile.write(data)
                self.close_connection = not status

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def _next(self, operation: str, body: bytes) -> Answer:
        found = self.script.pop(0) if self.script else self.otherwise
        return found(operation, body) if callable(found) else found


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    port = made.http.server_address[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "first")
    monkeypatch.setattr(dynamodb_http.time, "sleep", lambda _: None)
    yield made
    made.http.shutdown()
    made.http.server_close()
    made.thread.join()


def calls() -> SignedCalls:
    return SignedCalls("us-east-1", 2)


@pytest.mark.parametrize(
    "trouble",
    [
        error("ProvisionedThroughputExceededException"), error("ThrottlingException"),
        error("RequestLimitExceeded"), error("InternalServerError", 500),
        (503, b"<html>busy</html>"), (500, b""), (502, b"[]"), None, (0, b'{"do'), error("ExpiredTokenException"),
    ],
    ids=[
        "throughput", "throttling", "limit", "500", "503 as HTML", "500 empty", "502", "cut", "cut in the middle", "expired",
    ],
)  # fmt: skip
def test_what_passes_is_tried_again_with_the_same_body(server: Server, trouble: Answer) -> None:
    server.script = [trouble] * (ATTEMPTS - 1)
    assert calls().call("GetItem", '{"said": 1}') == {"done": True}
    assert len(server.asked) == ATTEMPTS
    assert {(operation, body) for operation, body, _ in server.asked} == {
        ("GetItem", b'{"said": 1}')
    }


def test_one_that_never_passes_is_unavailable(server: Server) -> None:
    server.otherwise = lambda *_: (500, b"")
    with pytest.raises(Unavailable, match=r"matching\.unreachable"):
        calls().call("GetItem", "{}")
    assert len(server.asked) == ATTEMPTS


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (error("ValidationException"), "ValidationException"),
        (error("AccessDeniedException"), "AccessDeniedException"),
        (error("ConditionalCheckFailedException"), "ConditionalCheckFailedException"),
        ((413, b"too large"), ""),
        ((400, b'["no object"]'), ""),
    ],
)
def test_a_no_is_a_no_at_once(server: Server, answer: Answer, code: str) -> None:
    server.script = [answer]
    with pytest.raises(Refusal) as refused:
        calls().call("PutItem", "{}")
    assert refused.value.code == code
    assert len(server.asked) == 1


def test_nobody_there_is_unavailable_not_a_crash(server: Server) -> None:
    made = calls()
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(Unavailable):
        made.call("GetItem", "{}")


def test_credentials_that_are_replaced_while_it_tries_are_used(server: Server) -> None:
    made = calls()

    def expired(_operation: str, _body: bytes) -> Answer:
        made._credentials = Credentials("second", "second", "token")
        return error("ExpiredTokenException")

    server.script = [expired]
    assert made.call("GetItem", "{}") == {"done": True}
    signed = [authorization.partition("Credential=")[2] for _, _, authorization in server.asked]
    assert [s.partition("/")[0] for s in signed] == ["first", "second"]


def a_put(wire: Wire, key: str) -> str:
    item = f'{{"pk":{{"S":"{key}"}},"sk":{{"S":"s"}},"kind":{{"S":"x"}}}}'
    return wire.put(item, ',"ConditionExpression":"attribute_not_exists(pk)"')


def test_a_transaction_whose_answer_is_lost_is_sent_again_under_its_token(server: Server) -> None:
    """DynamoDB knows a token for ten minutes: it answers what it has done, and does it once."""
    table, done = MemoryTable(TABLE), {}

    def apply(operation: str, body: bytes) -> Answer:
        token = json.loads(body)["ClientRequestToken"]
        if token not in done:
            done[token] = _told(table, operation, body)
        return done[token]

    def lose(operation: str, body: bytes) -> Answer:
        apply(operation, body)
        return None

    server.script, server.otherwise = [lose, (500, b"")], apply
    wire = Wire(TABLE, "us-east-1")
    assert wire.transact([a_put(wire, "a"), a_put(wire, "b")]) == []
    assert wire.transact([a_put(wire, "b"), a_put(wire, "c")]) == [True, False]
    assert set(table.partitions) == {"a", "b"}
    assert (len(server.asked), len(done)) == (4, 2)


def test_a_transaction_that_others_are_in_is_repeated_until_it_is_not(server: Server) -> None:
    busy = error(
        "TransactionCanceledException",
        CancellationReasons=[{"Code": "TransactionConflict"}, {"Code": "None"}],
    )
    server.script = [busy, error("TransactionInProgressException"), busy]
    wire = Wire(TABLE, "us-east-1")
    assert wire.transact([a_put(wire, "a"), a_put(wire, "b")]) == []
    assert len(server.asked) == 4


def test_a_transaction_that_can_never_be_says_so(server: Server) -> None:
    reasons = [{"Code": "ValidationError"}, {"Code": "None"}]
    server.script = [error("TransactionCanceledException", CancellationReasons=reasons)]
    wire = Wire(TABLE, "us-east-1")
    with pytest.raises(Refusal, match="TransactionCanceled"):
        wire.transact([a_put(wire, "a"), a_put(wire, "b")])


def test_what_a_batch_left_is_sent_again_and_nothing_else(server: Server) -> None:
    wire = Wire(TABLE, "us-east-1")
    items = [f'{{"pk":{{"S":"{n}"}},"sk":{{"S":"s"}}}}' for n in range(3)]
    written: list[str] = []

    def some(_operation: str, body: bytes) -> Answer:
        [requests] = json.loads(body)["RequestItems"].values()
        taken, left = requests[:1], requests[1:]
        written.extend(r["PutRequest"]["Item"]["pk"]["S"] for r in taken)
        return 200, json.dumps({"UnprocessedItems": {TABLE: left} if left else {}}).encode()

    server.otherwise = some
    wire.put_all(items)
    assert written == ["0", "1", "2"]


def test_keys_that_a_read_left_are_asked_for_again(server: Server) -> None:
    wire = Wire(TABLE, "us-east-1")

    def one(_operation: str, body: bytes) -> Answer:
        [request] = json.loads(body)["RequestItems"].values()
        first, left = request["Keys"][0], request["Keys"][1:]
        found = {TABLE: [first | {"version": {"N": "7"}}]}
        rest = {TABLE: {"Keys": left}} if left else {}
        return 200, json.dumps({"Responses": found, "UnprocessedKeys": rest}).encode()

    server.otherwise = one
    assert wire.versions([("a", "s"), ("b", "s"), ("c", "s")]) == {
        ("a", "s"): 7, ("b", "s"): 7, ("c", "s"): 7,
    }  # fmt: skip
