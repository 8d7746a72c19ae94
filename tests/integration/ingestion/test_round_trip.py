"""Bytes in, canonical transactions out, through everything that is deployed, for each kind of source."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest

from local.demo.player import Player
from local.home import Home
from tests.support.ingestion import stripe_signature
from tests.unit.formats.test_stripe import event

pytestmark = pytest.mark.home

TENANT = "round-trip"
OPERATOR, ADMIN = "operator@round-trip.example", "admin@round-trip.example"
SECRET = "whsec_round_trip"
STRIPE_SECRET = f"/pardna/local/{TENANT}/cards"
BANK_SECRET = f"/pardna/local/{TENANT}/ncb"
ACCOUNT = "404385912"
TODAY = date(2026, 1, 30).isoformat()


@pytest.fixture(scope="module")
def player(home: Home) -> Player:
    """A tenant with a card account and a bank, registered through the API."""
    hands = Player(home)
    hands.person(OPERATOR, "Operator", platform=True)
    admin = hands.person(ADMIN, "Admin")
    hands.api(
        OPERATOR,
        "POST",
        "/tenants",
        {"tenant_id": TENANT, "name": "Round Trip", "admin_principal": admin},
    )
    hands.secret(STRIPE_SECRET, {"api_key": home.stripe_key})
    hands.secret(f"{STRIPE_SECRET}/webhook", {"webhook_secret": SECRET})
    hands.secret(BANK_SECRET, {"private_key": Path(home.bank["client_key"]).read_text()})
    card = {
        "source_id": "cards",
        "provider": "stripe",
        "channels": ["webhook", "poll"],
        "account": "acct_1RoundTrip",
        "secret_id": STRIPE_SECRET,
    }
    bank = {
        "source_id": "ncb",
        "provider": "ncb",
        "channels": ["sftp"],
        "account": ACCOUNT,
        "currency": "JMD",
        "sftp": {
            "host": home.bank.get("host", "127.0.0.1"),
            "port": home.bank["port"],
            "user": "ncb",
            "host_key": home.bank["host_key"],
            "secret_id": BANK_SECRET,
        },
    }
    for body in (card, bank):
        hands.api(ADMIN, "POST", f"/tenants/{TENANT}/sources", body)
    return hands


def rows(home: Home, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(home.database_superuser_url) as connection:
        return connection.execute(query.encode()).fetchall()


def heads(home: Home, prefix: str) -> list[tuple[Any, ...]]:
    return rows(
        home,
        "SELECT external_id, amount_minor, currency, raw_sha256 FROM platform.transactions t"
        " JOIN platform.transaction_versions v USING (tenant_id, transaction_id, version)"
        f" WHERE tenant_id = '{TENANT}' AND external_id LIKE '{prefix}%' ORDER BY external_id",
    )


def webhook(home: Home, body: bytes, signature: str) -> int:
    request = Request(
        f"{home.api_url}/webhooks/{TENANT}/cards",
        body,
        {"Stripe-Signature": signature, "Content-Type": "application/json"},
    )
    try:
        with urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as refused:
        with refused:
            return refused.code


def paid(number: int) -> bytes:
    intent = {
        "id": f"pi_rt{number}",
        "object": "payment_intent",
        "amount": 1_000 + number,
        "amount_received": 1_000 + number,
        "currency": "jmd",
        "metadata": {"contribution_id": f"con_rt{number}"},
        "latest_charge": f"ch_rt{number:04d}",
    }
    return event("payment_intent.succeeded", intent, f"evt_rt{number}")


def test_fifty_senders_at_once_lose_nothing_and_double_nothing(player: Player) -> None:
    home, now = player.home, datetime.now(UTC)
    bodies = [paid(n) for n in range(50)] + [paid(n) for n in range(0, 50, 5)]
    with ThreadPoolExecutor(50) as pool:
        said = pool.map(lambda b: webhook(home, b, stripe_signature(b, SECRET, now)), bodies)
        assert set(said) == {202}
    found = player.wait(
        "all charges to become canonical",
        lambda: heads(home, "ch_rt") if len(heads(home, "ch_rt")) >= 50 else None,
        seconds=120,
    )
    assert [(amount, currency) for _, amount, currency, _ in found] == [
        (1_000 + n, "JMD") for n in range(50)
    ]
    kept = {hashlib.sha256(paid(n)).hexdigest() for n in range(50)}
    assert {sha for _, _, _, sha in found} == kept
    raw = home.client("s3").get_object(
        Bucket=home.outputs["RawBucket"], Key=f"raw/{TENANT}/{found[0][3]}"
    )
    assert hashlib.sha256(raw["Body"].read()).hexdigest() == found[0][3]


def test_a_wrong_signature_is_400_at_the_door(player: Player) -> None:
    assert webhook(player.home, paid(99), "t=1,v1=0") == 400
    assert heads(player.home, "ch_rt0099") == []


def test_the_banks_statement_comes_by_sftp_once(player: Player) -> None:
    home = player.home
    player.bank(
        "/credits",
        {
            "account": ACCOUNT,
            "amount_minor": 500_000,
            "currency": "JMD",
            "name": "Trevor Lewis",
            "reference": "PDN-7K3Q-R01-04",
            "value_date": TODAY,
            "kind": "transfer",
        },
    )
    player.bank("/statements", {"account": ACCOUNT, "date": TODAY})
    first = home.invoke("PullFilesFunction", {"tenant_id": TENANT, "source_id": "ncb"})
    assert first["new_count"] >= 1
    query = (
        "SELECT body FROM platform.transactions"
        f" WHERE tenant_id = '{TENANT}' AND source = 'ncb:{ACCOUNT}'"
    )
    ((body,),) = player.wait("the bank's line", lambda: rows(home, query), seconds=60)
    assert body["amount_minor"] == 500_000
    assert {"type": "payment_reference", "value": "PDN-7K3Q-R01-04", "strength": "weak"} in body[
        "references"
    ]
    again = home.invoke("PullFilesFunction", {"tenant_id": TENANT, "source_id": "ncb"})
    assert again["new_count"] == 0


def test_a_bank_that_is_not_the_pinned_one_makes_the_pull_fail(player: Player) -> None:
    home = player.home
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    body = {
        "source_id": "ncb-forged",
        "provider": "ncb",
        "channels": ["sftp"],
        "sftp": {
            "host": "127.0.0.1",
            "port": home.bank["port"],
            "user": "ncb",
            "host_key": other,
            "secret_id": BANK_SECRET,
        },
    }
    player.api(ADMIN, "POST", f"/tenants/{TENANT}/sources", body)
    with pytest.raises(RuntimeError, match="host_key_changed"):
        home.invoke("PullFilesFunction", {"tenant_id": TENANT, "source_id": "ncb-forged"})


def test_the_processors_settlement_is_polled_once(player: Player) -> None:
    home = player.home
    customer = player.stripe.customers.create({"name": "Marcia Brown"})
    card = player.stripe.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    intent = player.stripe.payment_intents.create(
        {
            "amount": 500_000,
            "currency": "jmd",
            "customer": customer.id,
            "payment_method": card.id,
            "confirm": True,
            "off_session": True,
            "metadata": {"contribution_id": "con_poll"},
        }
    )
    player.settlement("/payouts", {"currency": "jmd", "date": "2026-12-01"})
    one = {"tenant_id": TENANT, "source_id": "cards"}
    assert home.invoke("PollProviderFunction", one)["new_count"] >= 2
    charge = intent.latest_charge.id
    query = (
        "SELECT gross_minor, fee_minor, net_minor, batch_id FROM platform.transactions"
        f" WHERE tenant_id = '{TENANT}' AND external_id = '{charge}' AND batch_id <> ''"
    )
    ((gross, fee, net, batch),) = player.wait(
        "the charge with its fee", lambda: rows(home, query), seconds=60
    )
    assert (gross, fee, net) == (500_000, 19_500, 480_500)
    assert batch.startswith("po_")
    assert home.invoke("PollProviderFunction", one)["new_count"] == 0


def test_everything_that_was_recorded_left_the_database(player: Player) -> None:
    home = player.home
    waiting = f"SELECT 1 FROM platform.outbox WHERE tenant_id = '{TENANT}' AND sent_at IS NULL"
    player.wait("the outbox to be empty", lambda: not rows(home, waiting), seconds=90)
    table = home.outputs.get("OutboxTable") or home.resources["OutboxTable"]

    def unpublished() -> int:
        pages = (
            home.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=table,
                FilterExpression="attribute_exists(unsent_pk) AND tenant_id = :t",
                ExpressionAttributeValues={":t": {"S": TENANT}},
            )
        )
        return sum(page["Count"] for page in pages)

    player.wait("all departures to be published", lambda: unpublished() == 0, seconds=90)
    assert home.invoke("RelayOutboxFunction", {})["moved_count"] == 0
    assert json.dumps(home.invoke("SweepRawFunction", {"tenant_id": TENANT}))
