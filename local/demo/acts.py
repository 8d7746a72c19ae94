"""The acts of the story, in order. Each may be told again: the second telling finds it done.

What people and partners do is done by people and partners: staff through the API, members at the
card network and at their bank, the bank and the card processor by their own files and lists.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.demo import facts
from local.demo.facts import ADMIN, BANKER, OPERATOR, STAFF, TENANT, Circle, Days
from local.demo.player import Player

#: The first hand's round; the story tells one round of each circle.
ROUND = 1
#: How often the round's machine looks whether everybody has paid.
POLL_SECONDS = 1
#: Where receipts come from; the laptop's parameter NotificationSender says the same.
SENDER = "receipts@pardna.example"
STRIPE_SECRET = f"/pardna/local/{TENANT}/{facts.STRIPE_SOURCE}"
WEBHOOK_SECRET = "whsec_demo_0123456789abcdef"


@dataclass(slots=True)
class Told:
    """What the story learned on its way: ids, and what was answered to whom."""

    days: Days
    principals: dict[str, str] = field(default_factory=dict)
    circle_ids: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, Any] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    payouts: dict[str, Any] = field(default_factory=dict)
    approvals: dict[str, str] = field(default_factory=dict)
    runs: list[Any] = field(default_factory=list)
    reports: dict[str, dict[str, str]] = field(default_factory=dict)


def open_house(player: Player, told: Told) -> None:
    """Staff get logins; the platform's operator opens the tenant; its admin says who is who."""
    player.verify_sender(SENDER)
    for staff in STAFF:
        told.principals[staff.email] = player.person(
            staff.email, staff.name, platform=staff is OPERATOR
        )
    player.api(
        OPERATOR.email, "POST", "/tenants",
        {
            "tenant_id": TENANT,
            "name": facts.TENANT_NAME,
            "admin_principal": told.principals[ADMIN.email],
        },
    )  # fmt: skip
    for staff in STAFF:
        if staff.roles and staff is not ADMIN:
            player.api(
                ADMIN.email, "POST", f"/tenants/{TENANT}/memberships",
                {"principal": told.principals[staff.email], "roles": list(staff.roles)},
            )  # fmt: skip


def bank_secret(bank: facts.BankAccount) -> str:
    """Where the key for a bank's server is kept."""
    return f"/pardna/local/{TENANT}/{bank.source_id}"


def connect_partners(player: Player, _told: Told) -> None:
    """Keys into the secret store, sources through the API, the webhook's address at the network."""
    home = player.home
    player.secret(STRIPE_SECRET, {"api_key": home.stripe_key})
    player.secret(f"{STRIPE_SECRET}/webhook", {"webhook_secret": WEBHOOK_SECRET})
    key = Path(home.bank["client_key"]).read_text()
    for bank in facts.BANKS:
        player.secret(bank_secret(bank), {"private_key": key})
        player.api(ADMIN.email, "POST", f"/tenants/{TENANT}/sources", bank_profile(player, bank))
    player.api(ADMIN.email, "POST", f"/tenants/{TENANT}/sources", stripe_profile())
    url = f"{home.api_url}/webhooks/{TENANT}/{facts.STRIPE_SOURCE}"
    player.stripe_webhook("pardna", url, WEBHOOK_SECRET)


def stripe_profile() -> dict[str, Any]:
    """The card account, as it is registered: events come in, settlement data is fetched."""
    return {
        "source_id": facts.STRIPE_SOURCE,
        "provider": "stripe",
        "account": facts.STRIPE_ACCOUNT,
        "channels": ["webhook", "poll"],
        "secret_id": STRIPE_SECRET,
    }


def bank_profile(player: Player, bank: facts.BankAccount) -> dict[str, Any]:
    """A bank account, as it is registered: where its files lie, and the host key that is pinned."""
    said = player.home.bank
    return {
        "source_id": bank.source_id,
        "provider": bank.bank,
        "account": f"{bank.bank}:{bank.number}",
        "currency": bank.currency,
        "channels": ["sftp"],
        "holder": facts.TENANT_NAME,
        "bic": bank.bic,
        "sftp": {
            "host": said.get("host", "127.0.0.1"),
            "port": said["port"],
            "user": bank.bank,
            "host_key": said["host_key"],
            "secret_id": bank_secret(bank),
            "out_dir": "out",
            "in_dir": "in",
            "done_dir": "done",
        },
    }


def found_circle(player: Player, told: Told, circle: Circle) -> None:
    """The banker writes down what everybody agreed to; sending it again finds the same circle."""
    cards = save_cards(player, circle)
    body = {
        "reference": circle.reference,
        "name": circle.name,
        "currency": circle.currency,
        "hand_minor": circle.hand_minor,
        "frequency": circle.frequency,
        "starts_on": told.days.first.isoformat(),
        "bank_source_id": circle.bank.source_id,
        "card_source_id": facts.STRIPE_SOURCE,
        "banker": {"name": BANKER.name, "email": BANKER.email},
        "members": [_member_body(circle, member, cards) for member in circle.members],
    }
    made = player.api(BANKER.email, "POST", f"/tenants/{TENANT}/circles", body)
    told.circle_ids[circle.reference] = made["circle_id"]


def _member_body(
    circle: Circle, member: facts.Member, cards: dict[str, tuple[str, str]]
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "member_id": member.member_id,
        "name": member.name,
        "email": member.email,
        "phone": member.phone,
        "rail": member.rail,
        "payout": {"account": member.account, "bic": circle.bank.bic},
    }
    if member.member_id in cards:
        customer, method = cards[member.member_id]
        body["card"] = {"customer_id": customer, "payment_method_id": method}
    return body


def round_path(told: Told, circle: Circle) -> str:
    """Where the story's round of a circle lies in the API."""
    return f"/tenants/{TENANT}/circles/{told.circle_ids[circle.reference]}/rounds/{ROUND}"


def see_round(player: Player, told: Told, circle: Circle) -> Any:
    """The round as the banker sees it now."""
    told.rounds[circle.reference] = player.api(BANKER.email, "GET", round_path(told, circle))
    return told.rounds[circle.reference]


def start_round(player: Player, told: Told, circle: Circle) -> None:
    """The banker starts the round's state machine, and so asks for its payout."""
    player.api(
        BANKER.email, "POST", f"{round_path(told, circle)}/start", {"poll_seconds": POLL_SECONDS}
    )
    player.wait(
        f"the round of {circle.name} to open",
        lambda: see_round(player, told, circle)["contributions"],
        where="look at the execution of the payout-round state machine",
    )


def save_cards(player: Player, circle: Circle) -> dict[str, tuple[str, str]]:
    """Members save their cards with the network: member -> (customer, payment method)."""
    known = {c.email: c for c in player.stripe_all("customers")}
    saved = {}
    for member in circle.by_card:
        customer = known.get(member.email) or player.stripe.customers.create(
            {
                "name": member.name,
                "email": member.email,
                "phone": member.phone,
                "metadata": {"member_id": member.member_id},
            }
        )
        saved[member.member_id] = (customer.id, _card_of(player, customer.id))
    return saved


def _card_of(player: Player, customer_id: str) -> str:
    listed = player.stripe.payment_methods.list({"customer": customer_id, "type": "card"})
    if listed.data:
        return str(listed.data[0].id)
    method = player.stripe.payment_methods.create(
        {
            "type": "card",
            "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"},
        }
    )
    player.stripe.payment_methods.attach(method.id, {"customer": customer_id})
    return str(method.id)


def await_card_hands(player: Player, told: Told, circle: Circle) -> None:
    """The product charges the cards on file; their signed webhooks come back to our endpoint."""
    wanted = {member.member_id for member in circle.by_card}

    def charged() -> bool:
        seen = {
            str(charge.payment_intent)
            for charge in player.stripe_all("charges")
            if charge.status == "succeeded"
        }
        due = {
            hand["contribution_id"]
            for hand in told.rounds[circle.reference]["contributions"]
            if hand["member_id"] in wanted
        }
        return due <= {
            metadata.get("contribution_id")
            for intent, metadata in player.intents()
            if intent.id in seen
        }

    player.wait(
        f"{len(wanted)} cards of {circle.name} to be charged",
        charged,
        where="look at `make logs FUNCTION=ChargeCardFunction`, and at stripe.log",
    )


def pay_by_transfer(player: Player, told: Told, circle: Circle) -> None:
    """Members who have no card transfer from their own banks, quoting their reference."""
    references = {
        hand["member_id"]: hand["payment_reference"]
        for hand in told.rounds[circle.reference]["contributions"]
    }
    for member in circle.by_bank:
        player.bank(
            "/credits",
            {
                "account": circle.bank.number,
                "amount_minor": circle.hand_minor,
                "currency": circle.currency,
                "name": member.name,
                "reference": references[member.member_id],
                "value_date": told.days.first.isoformat(),
                "counter_account": member.account,
                "kind": "transfer",
            },
        )


def pay_twice_by_mistake(player: Player, circle: Circle) -> None:
    """A member pays again by card, notices it, and the house refunds the second payment."""
    if not circle.twice:
        return
    mark = f"again-{circle.reference}"
    known = [intent for intent, metadata in player.intents() if metadata.get("mark") == mark]
    intent = known[0] if known else _pay_again(player, circle, mark)
    # Looked at apart: whoever was interrupted between the two must still refund, and once.
    if not any(one.payment_intent == intent.id for one in player.stripe_all("refunds")):
        player.stripe.refunds.create({"payment_intent": intent.id})


def _pay_again(player: Player, circle: Circle, mark: str) -> Any:
    customer, method = save_cards(player, circle)[circle.twice]
    return player.stripe.payment_intents.create(
        {
            "amount": circle.hand_minor,
            "currency": circle.currency.lower(),
            "customer": customer,
            "payment_method": method,
            "confirm": True,
            "off_session": True,
            "metadata": {"mark": mark},
        }
    )


def dispute_and_win(player: Player, told: Told, circle: Circle) -> None:
    """A cardholder's bank takes a hand back, the house shows its receipt, and gets it again."""
    if not circle.disputed:
        return
    hand = next(
        one["contribution_id"]
        for one in told.rounds[circle.reference]["contributions"]
        if one["member_id"] == circle.disputed
    )
    intent = next(i for i, m in player.intents() if m.get("contribution_id") == hand)
    charge = next(c for c in player.stripe_all("charges") if c.payment_intent == intent.id)
    dispute = player.settlement("/disputes", {"charge": charge.id, "reason": "unrecognized"})
    player.settlement(f"/disputes/{dispute['id']}/close", {"outcome": "won"})


def send_strange_money(player: Player, told: Told, circle: Circle) -> None:
    """Somebody unknown pays in: the break that the story leaves open."""
    if circle.stranger_minor:
        player.bank(
            "/credits",
            {
                "account": circle.bank.number,
                "amount_minor": circle.stranger_minor,
                "currency": circle.currency,
                "name": facts.STRANGER,
                "reference": facts.STRANGER_TEXT,
                "value_date": told.days.first.isoformat(),
                "counter_account": "990099009",
                "kind": "transfer",
            },
        )


def settle_cards(player: Player, told: Told, circle: Circle) -> None:
    """The processor pays out what the cards brought, less fees, and the bank credits it."""
    payout = player.settlement(
        "/payouts", {"currency": circle.currency.lower(), "date": told.days.first.isoformat()}
    )
    told.payouts[circle.reference] = payout
    trace = payout["trace_id"]["value"]
    # MT940 has no underscore and little room: there the payout is known by its trace alone.
    named = "" if circle.bank.statement == "MT940" else f" {payout['id']}"
    player.bank(
        "/credits",
        {
            "account": circle.bank.number,
            "amount_minor": payout["amount"],
            "currency": circle.currency,
            "name": "STRIPE",
            "reference": f"STRIPE PAYOUT{named}",
            "end_to_end": trace,
            "value_date": told.days.first.isoformat(),
            "kind": "settlement",
        },
    )


def close_bank_day(player: Player, circle: Circle, day: str) -> None:
    """The bank writes the day's statement into the folder that we fetch from."""
    player.bank("/statements", {"account": circle.bank.number, "date": day})


def pull_by_schedule(player: Player) -> None:
    """EventBridge's scheduler starts the pull of files, and the poll of settlement data."""
    schedules = {
        "demo-pull-files": "PullFilesFunction",
        "demo-poll-provider": "PollProviderFunction",
    }
    for name, function in schedules.items():
        player.schedule_now(function, name)
    for name in schedules:
        player.wait(
            f"the schedule {name} to fire",
            lambda name=name: player.schedule_done(name),
            where="the emulator's scheduler looks every 10 s: see its log, aws.log",
        )


def pull(player: Player) -> None:
    """The same pull at once, as an operator would start it by hand."""
    player.home.invoke("PullFilesFunction", {})
