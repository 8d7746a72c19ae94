"""Bytes in, canonical transactions out, through everything that is deployed, for each kind of source."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
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
#: At the other bank, whose files are fetched by a schedule that the API made.
DOLLARS = "831047265"
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
    sftp = bank["sftp"] | {"user": "bns", "secret_id": f"/pardna/local/{TENANT}/bns"}
    other = bank | {"source_id": "bns", "provider": "bns", "account": DOLLARS, "currency": "USD"}
    private_key = Path(home.bank["client_key"]).read_text()
    for body, secrets in (
        (card, {"webhook": SECRET, "poll": home.stripe_key}),
        (bank, {"sftp": private_key}),
        (other | {"sftp": sftp}, {"sftp": private_key}),
    ):
        hands.api(ADMIN, "POST", f"/tenants/{TENANT}/sources", body)
        place = f"/tenants/{TENANT}/sources/{body['source_id']}"
        for channel, secret in secrets.items():
            told = {"channel": channel, "secret": secret}
            hands.api(ADMIN, "POST", f"{place}/secret", told)
    credit = {"account": DOLLARS, "amount_minor": 12_300, "currency": "USD", "name": "Ann Lewis"}
    credit |= {"reference": "PDN-7K3Q-R01-05", "value_date": TODAY, "kind": "transfer"}
    hands.bank("/credits", credit)
    hands.bank("/statements", {"account": DOLLARS, "date": TODAY})
    # The last test waits for it: by then the others have taken most of the time.
    soon = datetime.now(UTC) + timedelta(seconds=75)
    daily = {"sftp": f"cron({soon.minute} {soon.hour} * * ? *)"}
    hands.api(ADMIN, "POST", f"/tenants/{TENANT}/sources/bns", {"schedules": daily})
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


def raw(home: Home, digest: str) -> bytes:
    """What lies in the raw bucket under a hash, which must be that of the bytes."""
    key = f"raw/{TENANT}/{digest}"
    kept = home.client("s3").get_object(Bucket=home.outputs["RawBucket"], Key=key)
    data = bytes(kept["Body"].read())
    assert hashlib.sha256(data).hexdigest() == digest
    return data


def sent_by_the_bank(home: Home, name: str) -> bytes:
    """A file as it lies on the bank's server."""
    (path,) = home.paths.run.rglob(name)
    return path.read_bytes()


def activity(player: Player) -> dict[str, Any]:
    """What the API says was last heard of the card account."""
    shown = player.api(ADMIN, "GET", f"/tenants/{TENANT}/sources/cards")
    return dict(shown["activity"])


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


def a_charge(player: Player, contribution: str) -> str:
    """A card is charged; the charge's id."""
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
            "metadata": {"contribution_id": contribution},
        }
    )
    return str(intent.latest_charge.id)


def listed(home: Home, what: str) -> Any:
    """What the processor's API answers."""
    asked = Request(
        f"{home.settlement_url}/v1/{what}", headers={"Authorization": f"Bearer {home.stripe_key}"}
    )
    with urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read())


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
    assert {raw(home, sha) for sha in kept} == {paid(n) for n in range(50)}


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
    assert raw(home, body["raw_sha256"]) == sent_by_the_bank(
        home, f"camt053_{ACCOUNT}_{TODAY.replace('-', '')}.xml"
    )
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
    charge = a_charge(player, "con_poll")
    player.settlement("/payouts", {"currency": "jmd", "date": "2026-12-01"})
    one = {"tenant_id": TENANT, "source_id": "cards"}
    assert home.invoke("PollProviderFunction", one)["new_count"] >= 2
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
    polled = rows(
        home,
        "SELECT raw_sha256 FROM platform.deliveries"
        f" WHERE tenant_id = '{TENANT}' AND channel = 'poll' AND name LIKE 'charges/%'",
    )
    documents = [json.loads(raw(home, digest)) for (digest,) in polled]
    kept = {row["id"]: row for document in documents for row in document["data"]}
    assert kept[charge] == listed(home, f"charges/{charge}")


def test_webhooks_that_never_came_are_filled_in_by_polling_and_counted(player: Player) -> None:
    home, one = player.home, {"tenant_id": TENANT, "source_id": "cards"}
    first = paid(200)
    assert webhook(home, first, stripe_signature(first, SECRET, datetime.now(UTC))) == 202
    player.wait("the first webhook", lambda: heads(home, "ch_rt0200"), seconds=60)
    home.invoke("PollProviderFunction", one)
    settled = (
        f"SELECT 1 FROM platform.deliveries WHERE tenant_id = '{TENANT}' AND name LIKE 'events/%'"
    )
    if listed(home, "events?limit=1")["data"]:
        player.wait("what happened before", lambda: rows(home, settled), seconds=60)
    before = activity(player)["filled_by_polling_count"]
    charges = [a_charge(player, f"con_gap{n}") for n in range(3)]
    events = {
        e["data"]["object"]["latest_charge"]["id"]: e
        for e in listed(home, "events?limit=100&type=payment_intent.succeeded")["data"]
    }
    for charge in (charges[2], charges[0]):  # out of order, and the second never comes
        body = json.dumps(events[charge]).encode()
        assert webhook(home, body, stripe_signature(body, SECRET, datetime.now(UTC))) == 202
    for charge in (charges[2], charges[0]):
        player.wait("a charge by webhook", lambda c=charge: heads(home, c), seconds=60)
    assert heads(home, charges[1]) == []
    home.invoke("PollProviderFunction", one)
    found = player.wait(
        "the gap to be counted",
        lambda: seen if (seen := activity(player))["filled_by_polling_count"] > before else None,
        seconds=60,
    )
    player.wait("the charge that no webhook told of", lambda: heads(home, charges[1]), seconds=60)
    assert found["filled_by_polling_count"] == before + 1
    assert None not in found.values()


def test_a_schedule_that_the_api_made_has_a_source_visited_at_its_own_time(player: Player) -> None:
    home = player.home
    query = (
        "SELECT raw_sha256, channel FROM platform.deliveries"
        f" WHERE tenant_id = '{TENANT}' AND source_id = 'bns' AND status = 'accepted'"
    )
    # Nobody invokes anything here: EventBridge Scheduler does, up to ten seconds after the minute.
    ((digest, channel),) = player.wait(
        "the scheduled visit", lambda: rows(home, query), seconds=180
    )
    assert channel == "sftp"
    name = f"MT940_{DOLLARS}_{TODAY.replace('-', '')}.sta"
    assert raw(home, digest) == sent_by_the_bank(home, name)
    shown = player.api(ADMIN, "GET", f"/tenants/{TENANT}/sources/bns")
    assert shown["schedules"].keys() == {"sftp"}
    assert shown["activity"]["last_delivery_at"]


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
