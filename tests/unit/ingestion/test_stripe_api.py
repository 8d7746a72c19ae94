"""Stripe's own SDK against a server of the tests: what it is told to wait, it waits."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pardna.ingestion.stripe_api import EVENT_TYPES, StripePoller
from pardna.runtime.errors import NotAuthenticated, Unavailable
from tests.support.counted import counted, forget_counts
from tests.support.ingestion import a_stripe_source

PAGE = {"object": "list", "has_more": True, "data": [{"id": "ch_1", "created": 1}]}
Answer = tuple[int, dict[str, str], Any]


@contextmanager
def serving(*answers: Answer) -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A server that gives these answers in order, then the last for ever; and what it was asked."""
    asked: list[dict[str, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers[min(len(asked), len(answers) - 1)]
            asked.append(parse_qs(urlsplit(self.path).query))
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (headers | {"content-length": str(len(data))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def error(status: int, kind: str, **more: str) -> Answer:
    return status, {}, {"error": {"type": kind, "message": "no"} | more}


def throttled(after: str = "") -> Answer:
    status, _, body = error(429, "invalid_request_error", code="rate_limit")
    return status, {"Retry-After": after} if after else {}, body


def test_it_waits_as_long_as_it_is_told_and_a_little_more() -> None:
    waited: list[float] = []
    forget_counts()
    with serving(throttled("7"), throttled(), throttled("soon"), (200, {}, PAGE)) as (url, asked):
        poller = StripePoller(url, lambda _: "sk_test_1", sleep=waited.append, fraction=lambda: 0.5)
        page = poller.page(a_stripe_source(), "charges", 100, "ch_0")
    assert ([r["id"] for r in page.rows], page.more) == (["ch_1"], True)
    assert waited == [7.5, 1.0, 2.0]
    assert counted("PollThrottled") == 3
    assert asked[0] == {"limit": ["100"], "created[gte]": ["100"], "starting_after": ["ch_0"]}


def test_its_patience_has_an_end() -> None:
    waited: list[float] = []
    with serving(throttled("99999")) as (url, asked):
        poller = StripePoller(url, lambda _: "sk_test_1", sleep=waited.append)
        with pytest.raises(Unavailable, match=r"stripe\.rate_limited"):
            poller.page(a_stripe_source(), "charges", 0, "")
    assert len(asked) == 6
    assert waited == [30.0] * 5


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(401, "authentication_error"), NotAuthenticated),
        (error(403, "permission_error"), NotAuthenticated),
        (error(400, "invalid_request_error", param="limit"), Unavailable),
        (error(500, "api_error"), Unavailable),
        ((200, {}, {"object": "list", "data": "rows"}), Unavailable),
        ((200, {}, {"object": "list", "data": [7]}), Unavailable),
        ((200, {}, {"object": "list", "data": [{"id": "ch_1"}]}), Unavailable),
        ((200, {}, {"object": "list", "data": [{"id": "ch_1", "created": True}]}), Unavailable),
        ((200, {}, {"object": "list", "data": [], "has_more": False}), None),
    ],
)
def test_other_answers_have_names(answer: Answer, expected: type[Exception] | None) -> None:
    with serving(answer) as (url, _):
        poller = StripePoller(url, lambda _: "sk_test_1", retries=0)
        if expected is None:
            assert poller.page(a_stripe_source(), "charges", 0, "").rows == ()
        else:
            with pytest.raises(expected):
                poller.page(a_stripe_source(), "charges", 0, "")


def test_a_key_that_is_refused_is_read_anew_and_asked_with_once_more() -> None:
    keys = ["sk_test_old"]

    def renewed(_: object, refused: str) -> bool:
        keys.append("sk_test_new")
        return keys[-1] != refused

    refusal = error(401, "authentication_error")
    with serving(refusal, (200, {}, PAGE)) as (url, asked):
        poller = StripePoller(url, lambda _: keys[-1], retries=0, renewed=renewed)
        assert poller.page(a_stripe_source(), "charges", 0, "").rows
    assert (len(asked), keys) == (2, ["sk_test_old", "sk_test_new"])
    with serving(refusal) as (url, asked):
        poller = StripePoller(url, lambda _: keys[-1], retries=0, renewed=renewed)
        with pytest.raises(NotAuthenticated):
            poller.page(a_stripe_source(), "charges", 0, "")
    assert len(asked) == 1  # the same key again would be refused again


def test_members_of_a_payout_and_events_are_asked_for_by_name() -> None:
    with serving((200, {}, PAGE)) as (url, asked):
        poller = StripePoller(url, lambda _: "sk_test_1")
        poller.page(a_stripe_source(), poller.members("payouts"), 5, "", "po_1")
        poller.page(a_stripe_source(), "events", 5, "")
    assert asked[0] == {"limit": ["100"], "payout": ["po_1"], "expand[0]": ["data.source"]}
    assert sorted(v for k, (v,) in asked[1].items() if k.startswith("types")) == list(EVENT_TYPES)
    assert len(EVENT_TYPES) <= 20
