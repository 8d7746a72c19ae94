"""The card simulators as processes, met as the product meets them: by Stripe's SDK."""

from __future__ import annotations

import csv
import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stripe

from local.psp.launch import Running, running_localstripe, running_settlement
from local.serving import free_port

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk_test_12345"


@dataclass
class Cards:
    """Both card simulators, and the SDK's client for each."""

    localstripe: Running
    settlement: Running
    pay: stripe.StripeClient
    read: stripe.StripeClient
    folder: Path

    def charge(self, amount: int, currency: str, contribution: str) -> Any:
        customer = self.pay.v1.customers.create({"name": "Marcia Brown"})
        card = self.pay.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        intent = self.pay.v1.payment_intents.create(
            {
                "amount": amount,
                "currency": currency,
                "customer": customer.id,
                "payment_method": card.id,
                "confirm": True,
                "off_session": True,
                "metadata": {"contribution_id": contribution},
            }
        )
        return intent.latest_charge

    def decide(self, path: str, **body: Any) -> Any:
        return ask(f"{self.settlement.url}/_sim/{path}", body)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cards]:
    if not (ROOT / ".tools/bin/localstripe").exists():
        pytest.skip("localstripe is not installed: make setup")
    folder = tmp_path_factory.mktemp("cards")
    with (
        running_localstripe(folder / "stripe.pickle") as localstripe,
        running_settlement(localstripe.url, KEY, folder / "psp.json", rate=1000) as settlement,
    ):
        yield Cards(
            localstripe,
            settlement,
            stripe.StripeClient(KEY, base_addresses={"api": localstripe.url}),
            client_of(settlement),
            folder,
        )


@pytest.fixture
def cards(processes: Cards) -> Cards:
    """Both card simulators, empty."""
    ask(f"{processes.localstripe.url}/_config/data", method="DELETE")
    ask(f"{processes.settlement.url}/_sim/state", method="DELETE")
    return processes


def client_of(settlement: Running, key: str = KEY) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": settlement.url}, max_network_retries=3)


def ask(url: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method)) as response:
        answer = response.read()
    return json.loads(answer) if answer else None


def test_charges_become_balance_transactions_with_fees_and_the_same_ids(cards: Cards) -> None:
    charges = {
        one.id: one
        for one in [cards.charge(500_000, "jmd", "con_1"), cards.charge(10_000, "usd", "con_2")]
    }

    listed = cards.read.v1.balance_transactions.list({"expand": ["data.source"]})

    assert len(listed.data) == 2
    for transaction in listed.data:
        source: Any = transaction.source
        assert transaction.id == charges[source.id].balance_transaction
        assert transaction.net == transaction.amount - transaction.fee
        assert transaction.fee == sum(one.amount for one in transaction.fee_details)
        # The payment intent's metadata is on the charge, as Stripe puts it there.
        assert source.metadata["contribution_id"] in ("con_1", "con_2")
    fees = {one.currency: one.fee for one in listed.data}
    assert fees == {"jmd": 19_500, "usd": 320}


def test_the_sdk_pages_through_everything_once(cards: Cards) -> None:
    made = [cards.charge(1_000 + number, "usd", f"con_{number}").id for number in range(7)]

    listed = cards.read.v1.balance_transactions.list({"limit": 2, "type": "charge"})
    sources = [one.source for one in listed.auto_paging_iter()]

    assert sorted(map(str, sources)) == sorted(made)
    forwards = [one.id for one in cards.read.v1.charges.list({"limit": 100}).data]
    backwards = cards.read.v1.charges.list({"limit": 3, "ending_before": forwards[-1]})
    assert [one.id for one in backwards.data] == forwards[-4:-1]
    assert backwards.has_more


def test_a_payout_settles_once_and_ties_to_its_members_and_its_report(cards: Cards) -> None:
    first = cards.charge(500_000, "jmd", "con_1")
    second = cards.charge(500_000, "jmd", "con_2")
    cards.charge(10_000, "usd", "con_3")
    cards.pay.v1.refunds.create({"charge": first.id, "amount": 5_000})
    cards.decide("disputes", charge=second.id, reason="fraudulent")

    payout = cards.decide("payouts", currency="jmd", date="2026-11-23")
    again = cards.decide("payouts", currency="jmd", date="2026-11-23")

    assert again == payout
    members = list(
        cards.read.v1.balance_transactions.list({"payout": payout["id"]}).auto_paging_iter()
    )
    assert sum(one.net for one in members) == 0
    assert {one.reporting_category for one in members} == {"charge", "refund", "dispute", "payout"}
    with urllib.request.urlopen(
        f"{cards.settlement.url}/_sim/payouts/{payout['id']}/report.csv"
    ) as response:
        rows = list(csv.DictReader(io.StringIO(response.read().decode())))
    assert sum(Decimal(row["net"]) for row in rows) * 100 == payout["amount"]
    assert {row["balance_transaction_id"] for row in rows} == {
        one.id for one in members if one.type != "payout"
    }
    retrieved = cards.read.v1.payouts.retrieve(payout["id"])
    assert (retrieved.amount, retrieved.status) == (payout["amount"], "paid")
    assert [one.id for one in cards.read.v1.disputes.list({"charge": second.id}).data]
    assert [one.charge for one in cards.read.v1.refunds.list().data] == [first.id]


def test_a_restart_gives_the_same_answers(cards: Cards) -> None:
    cards.charge(500_000, "jmd", "con_1")
    cards.decide("payouts", currency="jmd", date="2026-11-23")
    cards.decide("adjustments", currency="jmd", amount=-250, description="Correction")
    before = str(cards.read.v1.balance_transactions.list({"limit": 100}))

    with running_settlement(cards.localstripe.url, KEY, cards.folder / "psp.json") as restarted:
        after = str(client_of(restarted).v1.balance_transactions.list({"limit": 100}))

    assert after == before


def test_the_sdk_waits_out_a_rate_limit(cards: Cards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe._http_client.HTTPClient.INITIAL_DELAY", 0.01)
    cards.charge(10_000, "usd", "con_1")
    cards.decide("faults", name="rate_limit", times=2)

    assert len(cards.read.v1.balance_transactions.list().data) == 1

    cards.decide("faults", name="rate_limit", should_retry=False)
    with pytest.raises(stripe.RateLimitError) as limited:
        cards.read.v1.balance_transactions.list()
    assert limited.value.http_status == 429
    body: Any = limited.value.json_body
    assert body["error"]["code"] == "rate_limit"


def test_errors_are_those_of_the_api(cards: Cards) -> None:
    with pytest.raises(stripe.AuthenticationError) as wrong:
        client_of(cards.settlement, "sk_test_another").v1.payouts.list()
    assert str(wrong.value.request_id).startswith("req_")
    with pytest.raises(stripe.InvalidRequestError) as missing:
        cards.read.v1.payouts.retrieve("po_x")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match="between 1 and 100"):
        cards.read.v1.charges.list({"limit": 500})
    request = urllib.request.Request(f"{cards.settlement.url}/v1/payouts")
    with pytest.raises(urllib.error.HTTPError) as nobody:
        urllib.request.urlopen(request)
    with nobody.value as refused:
        assert refused.status == 401
        assert json.load(refused)["error"]["type"] == "invalid_request_error"


def test_without_its_source_it_says_so_and_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stripe._http_client.HTTPClient.INITIAL_DELAY", 0.01)
    nobody = f"http://127.0.0.1:{free_port()}"

    with running_settlement(nobody, KEY, tmp_path / "psp.json") as settlement:
        with pytest.raises(stripe.APIError, match="did not answer"):
            client_of(settlement).v1.payouts.list()

        assert ask(f"{settlement.url}/_sim/health") == {"ok": True}
