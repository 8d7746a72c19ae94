"""Polling the simulated processor with Stripe's own SDK, as the product does."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import stripe

from local.psp.launch import Running, running_localstripe, running_settlement
from pardna.formats import registry, stripe_event
from pardna.ingestion.event_gaps import read_events
from pardna.ingestion.poll import PollProvider
from pardna.ingestion.retry import Retry
from pardna.ingestion.stripe_api import StripePoller
from pardna.runtime.errors import NotAuthenticated, NotFound, Unavailable
from pardna.transactions.merging import merge
from pardna.transactions.model import Kind, Reference, Strength, Transaction
from tests.fakes.ingestion import MemoryRawStore, MemorySources
from tests.support.ingestion import NOON, TENANT, a_stripe_source

ROOT = Path(__file__).resolve().parents[3]
KEY = "sk_test_12345"


@dataclass
class Cards:
    """A processor with two settled charges and an unsettled one."""

    network: Running
    settlement: Running
    intents: list[Any]
    payout: dict[str, Any]


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cards]:
    if not (ROOT / ".tools/bin/localstripe").exists():
        pytest.skip("localstripe is not installed: make setup")
    folder = tmp_path_factory.mktemp("poll")
    with (
        running_localstripe(folder / "stripe.pickle") as network,
        running_settlement(network.url, KEY, folder / "psp.json", rate=1000) as settlement,
    ):
        client = stripe.StripeClient(KEY, base_addresses={"api": network.url})
        intents = [pay(client, 500_000, "con_1"), pay(client, 300_000, "con_2")]
        answer = decide(settlement, "payouts", currency="jmd", date="2026-11-24")
        intents.append(pay(client, 100_000, "con_3"))
        yield Cards(network, settlement, intents, answer)


def pay(client: stripe.StripeClient, amount: int, contribution: str) -> Any:
    customer = client.v1.customers.create({"name": "Marcia Brown"})
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    return client.v1.payment_intents.create(
        {
            "amount": amount,
            "currency": "jmd",
            "customer": customer.id,
            "payment_method": card.id,
            "confirm": True,
            "off_session": True,
            "metadata": {"contribution_id": contribution},
        }
    )


def decide(settlement: Running, path: str, **body: Any) -> Any:
    request = Request(
        f"{settlement.url}/_sim/{path}",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def poller(cards: Cards, raw: MemoryRawStore, key: str = KEY) -> PollProvider:
    pollers = {"stripe": StripePoller(cards.settlement.url, lambda _: key, sleep=lambda _: None)}
    sources = MemorySources(a_stripe_source())
    return PollProvider(sources, pollers, raw, lambda: NOON, Retry(sleep=lambda _: None))


def heads(raw: MemoryRawStore) -> dict[str, Transaction]:
    known: dict[str, Transaction] = {}
    for data, _ in raw.objects.values():
        parsed = registry.parse(data, a_stripe_source().origin("0" * 64))
        assert parsed.problems == ()
        for t in parsed.transactions:
            known[t.external_id] = merge(known[t.external_id], t) if t.external_id in known else t
    return known


def test_every_charge_is_known_with_its_fee_and_its_payout(cards: Cards) -> None:
    raw = MemoryRawStore()
    service = poller(cards, raw)
    assert service.poll().new_count >= 3
    assert service.poll().new_count == 0
    known = heads(raw)
    charges = [known[i.latest_charge.id] for i in cards.intents]
    assert [c.gross_minor for c in charges] == [500_000, 300_000, 100_000]
    assert [c.fee_minor for c in charges] == [19_500, 13_700, 7_900]
    assert [bool(c.batch_id) for c in charges] == [True, True, False]
    (payout,) = [t for t in known.values() if t.kind is Kind.PAYOUT]
    assert payout.amount_minor == -sum(c.net_minor or 0 for c in charges[:2])
    assert Reference("contribution", "con_1", Strength.STRONG) in charges[0].references


def test_the_webhook_tells_of_the_same_charge(cards: Cards) -> None:
    raw = MemoryRawStore()
    poller(cards, raw).poll()
    with urlopen(
        Request(
            f"{cards.network.url}/v1/events?type=payment_intent.succeeded",
            headers={"Authorization": f"Bearer {KEY}"},
        ),
        timeout=10,
    ) as answer:
        events = json.loads(answer.read())["data"]
    known = heads(raw)
    for event in events:
        origin = a_stripe_source().origin("1" * 64)
        (told,) = stripe_event.read(json.dumps(event).encode(), origin).transactions
        polled = known[told.external_id]
        assert merge(told, polled).content_hash == merge(polled, told).content_hash
        assert polled.fee_minor is not None
        assert set(told.references) == set(polled.references)
    assert len(events) == 3


def test_a_wrong_key_is_named_and_not_tried_again(cards: Cards) -> None:
    raw = MemoryRawStore()
    with pytest.raises(NotAuthenticated, match=r"stripe\.key_refused"):
        poller(cards, raw, "sk_test_wrong").poll(TENANT, "stripe")
    assert raw.objects == {}


def test_a_processor_that_is_down_is_unavailable() -> None:
    down = StripePoller("http://127.0.0.1:9", lambda _: KEY, retries=0)
    with pytest.raises(Unavailable, match=r"stripe\.unavailable"):
        down.page(a_stripe_source(), "payouts", 0, "")
    assert down.resources()[0] == "payouts"


def test_every_list_is_read_and_each_alone_knows_the_same_charges(cards: Cards) -> None:
    raw = MemoryRawStore()
    poller(cards, raw).poll()
    found: dict[str, dict[str, Transaction]] = {}
    for data, receipt in raw.objects.values():
        resource = receipt.name.partition("/")[0]
        parsed = registry.parse(data, a_stripe_source().origin("0" * 64))
        assert parsed.problems == ()
        for t in parsed.transactions:
            found.setdefault(resource, {})[t.external_id] = t
    charges = {i.latest_charge.id for i in cards.intents}
    for resource in ("balance_transactions", "charges", "events"):
        assert charges <= found[resource].keys()
    whole = heads(raw)
    for alone in found.values():  # whatever a list says alone, the others only add to it
        for external_id, t in alone.items():
            assert merge(whole[external_id], t).content_hash == whole[external_id].content_hash


def test_a_throttled_page_is_asked_again(cards: Cards) -> None:
    raw = MemoryRawStore()
    decide(cards.settlement, "faults", name="rate_limit", times=3, should_retry=False)
    poller(cards, raw).poll()
    assert heads(raw).keys() >= {i.latest_charge.id for i in cards.intents}


def test_a_place_that_is_gone_is_named(cards: Cards) -> None:
    service = StripePoller(cards.settlement.url, lambda _: KEY)
    with pytest.raises(NotFound, match=r"poll\.place"):
        service.page(a_stripe_source(), "charges", 0, "ch_gone")


def events_of(cards: Cards) -> list[bytes]:
    """What would have been sent as webhooks, each as its own body."""
    asked = Request(
        f"{cards.settlement.url}/v1/events?limit=100", headers={"Authorization": f"Bearer {KEY}"}
    )
    with urlopen(asked, timeout=10) as answer:
        return [json.dumps(one).encode() for one in json.loads(answer.read())["data"]]


def test_the_list_names_what_was_sent_as_a_webhook_by_the_webhooks_id(cards: Cards) -> None:
    """Else every webhook would count as a gap that polling filled."""
    sent = Request(
        f"{cards.network.url}/v1/events?limit=100&type=payment_intent.succeeded",
        headers={"Authorization": f"Bearer {KEY}"},
    )
    with urlopen(sent, timeout=10) as answer:
        told = {one["id"] for one in json.loads(answer.read())["data"]}
    raw = MemoryRawStore()
    poller(cards, raw).poll()
    documents = [d for d, receipt in raw.objects.values() if receipt.name.startswith("events/")]
    polled = {e.event_id for d in documents for e in read_events(d)}
    assert told
    assert told <= polled
    kinds = {json.loads(e)["type"] for e in events_of(cards)}
    assert "charge.succeeded" not in kinds  # localstripe sends none
    assert len(polled - told) == len([t for t in heads(raw).values() if t.kind is Kind.PAYOUT])


def test_every_kind_of_money_is_polled(tmp_path: Path) -> None:
    """Charges, refunds, disputes, payouts and what moved the balance, each by its own list."""
    if not (ROOT / ".tools/bin/localstripe").exists():
        pytest.skip("localstripe is not installed: make setup")
    with (
        running_localstripe(tmp_path / "stripe.pickle") as network,
        running_settlement(network.url, KEY, tmp_path / "psp.json", rate=1000) as settlement,
    ):
        client = stripe.StripeClient(KEY, base_addresses={"api": network.url})
        first, second = (pay(client, 500_000, f"con_{n}") for n in (1, 2))
        refund = client.v1.refunds.create({"charge": first.latest_charge.id, "amount": 1_000})
        decide(settlement, "disputes", charge=second.latest_charge.id, reason="fraudulent")
        decide(settlement, "payouts", currency="jmd", date="2026-11-24")
        cards = Cards(network, settlement, [first, second], {})
        raw = MemoryRawStore()
        service = poller(cards, raw)
        service.poll()
        kept = dict(raw.objects)
        assert service.poll().new_count == 0
    lists = {receipt.name.partition("/")[0] for _, receipt in kept.values()}
    assert lists >= {
        *("charges", "refunds", "disputes", "payouts", "balance_transactions", "events"),
    }
    known = heads(raw)
    assert {t.kind for t in known.values()} >= {
        *(Kind.CHARGE, Kind.REFUND, Kind.DISPUTE, Kind.PAYOUT),
    }
    assert known[refund.id].amount_minor == -1_000
    for resource, kind in (("refunds", Kind.REFUND), ("disputes", Kind.DISPUTE)):
        documents = [data for data, r in kept.values() if r.name.startswith(f"{resource}/")]
        origin = a_stripe_source().origin("0" * 64)
        alone = [t for data in documents for t in registry.parse(data, origin).transactions]
        assert {t.kind for t in alone} == {kind}


def folded(documents: Iterable[bytes]) -> dict[str, str]:
    """Content hash of every transaction, after the documents were read in this order."""
    known: dict[str, Transaction] = {}
    for data in documents:
        for t in registry.parse(data, a_stripe_source().origin("0" * 64)).transactions:
            known[t.external_id] = merge(known[t.external_id], t) if t.external_id in known else t
    return {external_id: t.content_hash for external_id, t in known.items()}


@pytest.mark.parametrize("seed", range(8))
def test_webhooks_in_any_order_and_with_gaps_end_where_all_of_them_would(
    cards: Cards, seed: int
) -> None:
    raw = MemoryRawStore()
    poller(cards, raw).poll()
    polled = [data for data, _ in raw.objects.values()]
    events = events_of(cards)
    whole = folded([*events, *polled])
    chance = random.Random(seed)
    arrived = chance.sample(events, chance.randrange(len(events)))
    mixed = [*arrived, *polled]
    chance.shuffle(mixed)
    assert folded(mixed) == whole
    assert folded(polled) == whole
    assert len(whole) >= 4
