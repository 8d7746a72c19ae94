"""From bytes to canonical transactions through the real handlers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from local.psp import report
from pardna.ingestion import store_wiring, wiring
from pardna.ingestion.model import Receipt
from tests.integration.ingestion.conftest import BANK, STRIPE, Deployed
from tests.support.counted import counted_calls
from tests.support.formats import a_camt053, an_entry
from tests.support.ingestion import SECRET_ID, TENANT, stripe_signature
from tests.unit.formats.test_pain002 import REPORT
from tests.unit.formats.test_stripe import event, listing, settled

EVENTS = Path(__file__).resolve().parents[3] / "events"
INTENT = {
    "id": "pi_00000000000001",
    "object": "payment_intent",
    "amount": 500_000,
    "amount_received": 500_000,
    "currency": "jmd",
    "metadata": {"contribution_id": "con_1"},
    "latest_charge": "ch_00000000000001",
}
PAID = event("payment_intent.succeeded", INTENT)


def keep(data: bytes, source_id: str, name: str, channel: str = "sftp") -> None:
    """As a pull or a poll keeps it."""
    receipt = Receipt(source_id, channel, name, datetime.now(UTC))
    store_wiring.raw_store().put_named(TENANT, data, receipt)


def test_a_signed_webhook_becomes_one_transaction_however_often_it_comes(
    deployed: Deployed,
) -> None:
    assert deployed.register(STRIPE)["statusCode"] == 201
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: deployed.webhook(PAID), range(10)))
    assert {a["statusCode"] for a in answers} == {202}
    (key,) = deployed.keys()
    assert deployed.s3.get_object(Bucket="raw", Key=key)["Body"].read() == PAID
    for _ in range(3):
        assert deployed.normalise(key) == []
    heads = deployed.rows(
        "SELECT external_id, amount_minor, currency, version FROM platform.transactions"
    )
    assert heads == [("ch_00000000000001", 500_000, "JMD", 1)]
    assert deployed.departures == 1
    assert deployed.rows("SELECT count(*) FROM platform.outbox WHERE sent_at IS NULL") == [(0,)]


def test_a_webhook_is_answered_after_one_object_write_and_no_other(deployed: Deployed) -> None:
    deployed.register(STRIPE)
    deployed.webhook(PAID + b" ")  # profile and secret are read by the first
    services = ("s3", "dynamodb", "sqs", "kinesis", "sns", "events", "secretsmanager")
    with ExitStack() as stack:
        calls = {name: stack.enter_context(counted_calls(name)) for name in services}
        assert deployed.webhook(PAID)["statusCode"] == 202
    assert calls["s3"] == ["PutObject"]
    reads = ("GetItem", "Query", "GetSecretValue")
    others = [call for name in services[1:] for call in calls[name]]
    assert [call for call in others if call not in reads] == []
    with counted_calls("s3") as again:
        assert deployed.webhook(PAID)["statusCode"] == 202
    assert again == ["PutObject"]  # that it is there already is this write's answer


def test_a_wrong_or_stale_signature_is_400_counted_and_stores_nothing(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.register(STRIPE)
    stale = stripe_signature(PAID, at=datetime.now(UTC) - timedelta(seconds=400))
    for signature in ("", "t=1,v1=0", stale):
        answer = deployed.webhook(PAID, signature=signature)
        assert answer["statusCode"] == 400
        assert json.loads(answer["body"])["code"] == "webhook.refused"
    assert deployed.webhook(PAID, source_id="nobody")["statusCode"] == 400
    assert deployed.keys() == []
    assert capsys.readouterr().out.count('"WebhookRefused":[1.0]') == 4


@pytest.mark.parametrize("body", [PAID, b"\xff\xfe\x00 not text \x80", b"", "é∑".encode()])
def test_base64_and_bodies_that_are_no_text_are_kept_exactly(
    deployed: Deployed, body: bytes
) -> None:
    deployed.register(STRIPE)
    assert deployed.webhook(body, as_base64=True)["statusCode"] == 202
    (key,) = deployed.keys()
    assert deployed.s3.get_object(Bucket="raw", Key=key)["Body"].read() == body
    assert deployed.normalise(key) == []
    ((status,),) = deployed.rows("SELECT status FROM platform.deliveries")
    assert status == ("accepted" if body == PAID else "refused")


def test_one_charge_by_three_routes_in_all_six_orders_is_one_head(deployed: Deployed) -> None:
    known, payout = settled()
    ends = set()
    for number, order in enumerate(permutations(("webhook", "poll", "report"))):
        source = STRIPE | {"source_id": f"stripe-{number}", "account": f"acct_{number}"}
        deployed.register(source)
        routes = {
            "webhook": PAID,
            "poll": listing(known, payout),
            "report": report.payout_report(known, payout).encode(),
        }
        for route in order:
            # Other bytes for each order, or they would be the same raw object.
            data = routes[route] + b" " * (number + 1) if route != "report" else routes[route]
            if route == "report":
                data = data.replace(b"REFUND FOR CHARGE", f"REFUND FOR CHARGE {number}".encode())
            keep(data, f"stripe-{number}", f"{route}-{number}", "poll")
            assert deployed.normalise(*deployed.keys()) == []
        ((body,),) = deployed.rows(
            "SELECT body FROM platform.transactions WHERE external_id = 'ch_00000000000001'"
            f" AND source = 'stripe:acct_{number}'"
        )
        plain = {k: v for k, v in body.items() if k not in ("source", "account", "raw_sha256", "raw_position")}  # fmt: skip
        ends.add(json.dumps(plain, sort_keys=True))
    assert len(ends) == 1
    end = json.loads(ends.pop())
    assert (end["gross_minor"], end["fee_minor"], end["net_minor"]) == (500_000, 19_500, 480_500)
    assert end["batch_id"] == payout["id"]


def test_a_file_that_partly_adds_up_and_the_same_under_another_name(deployed: Deployed) -> None:
    deployed.register(BANK)
    keep(a_camt053(an_entry(reference="OK")), "ncb", "good.xml")
    keep(a_camt053(an_entry(reference="NO"), closing="1.00"), "ncb", "bad.xml")
    assert deployed.normalise() == []
    keep(a_camt053(an_entry(reference="OK")), "ncb", "good again.xml")
    assert deployed.normalise() == []
    deliveries = deployed.rows("SELECT name, status FROM platform.deliveries ORDER BY name")
    assert deliveries == [
        ("bad.xml", "quarantined"),
        ("good again.xml", "duplicate"),
        ("good.xml", "accepted"),
    ]
    ((code, reason),) = deployed.rows("SELECT code, reason FROM platform.quarantine")
    assert code == "statement.does_not_tie"
    assert "S-1" in reason
    heads = deployed.rows("SELECT source, external_id FROM platform.transactions")
    assert heads == [("ncb:404385912", "OK|2026-01-31|500000")]
    assert deployed.rows("SELECT ties FROM platform.statements ORDER BY ties") == [
        (False,),
        (True,),
    ]


def test_a_banks_answer_reaches_payments_and_an_unknown_one_harms_nothing(
    deployed: Deployed,
) -> None:
    deployed.register(BANK)
    keep(REPORT.format(version="03").encode(), "ncb", "pain002_x.xml")
    assert deployed.normalise() == []
    assert deployed.rows("SELECT format, status FROM platform.deliveries") == [
        ("pain.002", "accepted")
    ]


def test_a_source_that_is_gone_fails_its_message_and_the_sweep_finds_it_later(
    deployed: Deployed,
) -> None:
    keep(a_camt053(an_entry()), "ncb", "early.xml")
    (key,) = deployed.keys()
    assert deployed.normalise() == [{"itemIdentifier": key}]
    deployed.register(BANK)
    later = wiring.sweep_raw()
    object.__setattr__(later, "clock", lambda: datetime.now(UTC) + timedelta(hours=1))
    assert (later.sweep("c-1"), later.sweep("c-1")) == (1, 0)
    assert deployed.rows("SELECT count(*) FROM platform.transactions") == [(1,)]


@pytest.mark.parametrize(
    ("change", "principal", "status"),
    [
        ({}, "admin-sub", 201),
        ({}, "", 401),
        ({}, "stranger", 403),
        ({"secret_id": "/pardna/local/kgn-two/stripe"}, "admin-sub", 400),
        ({"secret_id": ""}, "admin-sub", 400),
        ({"channels": ["pigeon"]}, "admin-sub", 400),
        ({"format": "docx"}, "admin-sub", 400),
        ({"surprise": 1}, "admin-sub", 400),
        ({"currency": "ZZZ"}, "admin-sub", 400),
        ({"channels": ["sftp"]}, "admin-sub", 400),
    ],
)
def test_sources_are_registered_by_who_may_and_never_with_anothers_secret(
    deployed: Deployed, change: dict[str, Any], principal: str, status: int
) -> None:
    answer = deployed.register(STRIPE | change, principal)
    assert answer["statusCode"] == status
    assert STRIPE["secret_id"] == SECRET_ID


@pytest.mark.parametrize("name", ["register_source.stripe.json", "register_source.bank.json"])
def test_sample_bodies_are_accepted(deployed: Deployed, name: str) -> None:
    from functions.ingestion import register_source
    from tests.support.handlers import Context

    sample = json.loads((EVENTS / "ingestion" / name).read_text())
    sample["pathParameters"]["tenant_id"] = TENANT
    sample["requestContext"]["authorizer"]["claims"]["sub"] = "admin-sub"
    assert register_source.handler(sample, Context())["statusCode"] == 201
