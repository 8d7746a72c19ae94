"""The main job from end to end, and whether a second telling changes anything.

Sums are computed here from what the story says about itself (members, hands, fees as the processor
publishes them), never from what the product has computed.
"""

from __future__ import annotations

import csv
import json
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.demo import digest, facts
from local.demo.facts import CIRCLES, JMD_CIRCLE, TENANT, USD_CIRCLE, Circle
from local.demo.player import Player
from local.home import Home
from tests.e2e.conftest import Told, run_demo

pytestmark = pytest.mark.home

#: What the processor keeps: 2.9 % and a fixed sum of each charge, and a sum of each dispute.
FIXED_FEE_MINOR = {"JMD": 5_000, "USD": 30}
DISPUTE_FEE_MINOR = {"JMD": 240_000, "USD": 1_500}


def charges_count(circle: Circle) -> int:
    return len(circle.by_card) + bool(circle.twice)


def fees_minor(circle: Circle) -> int:
    """All that the processor keeps of a circle's round, each fee rounded half up."""
    one = (circle.hand_minor * 29 + 500) // 1_000 + FIXED_FEE_MINOR[circle.currency]
    disputes = DISPUTE_FEE_MINOR[circle.currency] if circle.disputed else 0
    return one * charges_count(circle) + disputes


def payout_minor(circle: Circle) -> int:
    """What reaches the bank: a dispute that was won comes back, a refund and fees do not."""
    refunded = circle.hand_minor if circle.twice else 0
    return circle.hand_minor * charges_count(circle) - refunded - fees_minor(circle)


def bank_movement_minor(circle: Circle) -> int:
    """Everything that moved on the house's account at the bank, the draw included."""
    transfers = circle.hand_minor * len(circle.by_bank)
    return payout_minor(circle) + transfers + circle.stranger_minor - circle.pot_minor


def rows(home: Home, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(home.database_superuser_url) as connection:
        return connection.execute(query.encode(), values).fetchall()


def account(home: Home, code: str, currency: str) -> int:
    """Debits less credits of an account, added up from the ledger's entries."""
    [(total,)] = rows(
        home,
        "SELECT coalesce(sum(e.amount_minor), 0)::bigint FROM ledger.entries e"
        " JOIN ledger.accounts a USING (tenant_id, account_id)"
        " WHERE a.code = %s AND a.currency = %s",
        code,
        currency,
    )
    return int(total)


def test_the_command_says_that_the_story_held(told: Told) -> None:
    assert told.status == 0, told.output[-3000:] + told.errors[-3000:]
    outcome = told.outcome
    assert outcome["ok"] is True
    assert outcome["second_run_changed"] == 0
    assert outcome["open_breaks"] == 1
    assert outcome["trial_balance"] == {"JMD": 0, "USD": 0}
    kept = json.loads((told.home.paths.home / "demo.json").read_text())
    assert kept["ok"] is True
    assert kept["output"]
    assert kept["output"] == told.output.splitlines()[:-1]


@pytest.mark.parametrize("circle", CIRCLES, ids=lambda circle: circle.currency)
def test_every_hand_is_paid_and_the_pot_is_paid_out_once(told: Told, circle: Circle) -> None:
    home = told.home
    hands = rows(
        home,
        "SELECT n.member_id, n.rail, n.amount_minor, n.status FROM circles.contributions n"
        " JOIN circles.circles c USING (tenant_id, circle_id) WHERE c.reference = %s",
        circle.reference,
    )
    assert sorted(hands) == sorted(
        (member.member_id, member.rail, circle.hand_minor, "paid") for member in circle.members
    )
    paid = [
        payment
        for payment in Player(home).bank("/payments")["payments"]
        if payment["account"] == circle.bank.number
    ]
    assert [(p["amount_minor"], p["status"]) for p in paid] == [(circle.pot_minor, "ACSC")]
    assert paid[0]["creditor_account"] == circle.members[0].account


@pytest.mark.parametrize("circle", CIRCLES, ids=lambda circle: circle.currency)
def test_the_ledger_holds_what_moved_at_the_bank_and_the_processor(
    told: Told, circle: Circle
) -> None:
    home, currency = told.home, circle.currency
    stripe = f"stripe:{facts.STRIPE_ACCOUNT}"
    bank = f"{circle.bank.bank}:{circle.bank.number}"

    assert account(home, f"bank:{bank}", currency) == bank_movement_minor(circle)
    assert account(home, f"fees:{stripe}", currency) == fees_minor(circle)
    assert account(home, f"psp_balance:{stripe}", currency) == 0
    assert account(home, f"clearing:{stripe}", currency) == 0
    assert account(home, f"clearing:{stripe}:payouts", currency) == 0
    assert account(home, f"clearing:{bank}", currency) == -circle.stranger_minor
    [(unbalanced,)] = rows(
        home,
        "SELECT count(*) FROM (SELECT journal_id FROM ledger.entries"
        " GROUP BY journal_id, currency HAVING sum(amount_minor) <> 0) AS broken",
    )
    assert unbalanced == 0
    assert not rows(home, "SELECT * FROM ledger.discrepancies")


def test_the_bank_and_the_ledger_agree_on_every_movement(told: Told) -> None:
    accounts = {a["number"]: a for a in Player(told.home).bank("/accounts")["accounts"]}
    for circle in CIRCLES:
        held = accounts[circle.bank.number]
        moved = held["balance_minor"] - held["opening_minor"]
        assert moved == bank_movement_minor(circle)


def test_one_charge_is_one_transaction_by_webhook_and_by_poll(told: Told) -> None:
    charges = rows(
        told.home,
        "SELECT currency, amount_minor, fee_minor, version FROM platform.transactions"
        " WHERE side = 'psp' AND kind = 'charge'",
    )
    assert len(charges) == sum(charges_count(circle) for circle in CIRCLES)
    assert all(fee is not None for _, _, fee, _ in charges), "the poll brought the fees"
    assert all(version >= 2 for *_, version in charges), "the webhook came first, without them"
    assert Counter(rows(told.home, "SELECT channel FROM platform.deliveries"))[("sftp",)] == 6
    refused = rows(
        told.home,
        "SELECT name, problems FROM platform.deliveries WHERE status <> 'accepted'",
    )
    assert not refused


def test_matches_are_made_at_the_level_that_fits(told: Told) -> None:
    assert told.outcome["matches_by_level"] == {
        "1": sum(len(c.by_card) + 1 for c in CIRCLES),  # hands by card, and each draw
        "2": sum(len(c.by_bank) for c in CIRCLES) + 1,  # transfers by reference, and the refund
        "3": len(CIRCLES),  # each payout
    }


def test_the_strangers_money_is_the_one_open_break_and_says_why(told: Told) -> None:
    player = Player(told.home)
    answer = player.api(facts.AUDITOR.email, "GET", f"/tenants/{TENANT}/breaks")

    [found] = [one for one in answer["breaks"] if one["status"] == "open"]

    assert (found["currency"], found["amount_minor"]) == ("JMD", JMD_CIRCLE.stranger_minor)
    assert "J$1,234.00" in found["reason"]


def test_nobody_approves_what_they_asked_for(told: Told) -> None:
    [*payments] = rows(told.home, "SELECT requested_by, approved_by FROM payments.payments")

    assert len(payments) == len(CIRCLES)
    assert all(asked and approved and asked != approved for asked, approved in payments)
    assert "403 approval.own_request" in told.output


def test_receipts_reached_everybody(told: Told) -> None:
    player = Player(told.home)
    mailed = {address for mail in player.sent_mail() for address in mail["To"]}
    texted = {text["PhoneNumber"] for text in player.sent_sms()}

    for circle in CIRCLES:
        assert {member.email for member in circle.members} <= mailed
        assert {member.phone for member in circle.members} <= texted


@pytest.mark.parametrize("circle", CIRCLES, ids=lambda circle: circle.currency)
def test_the_report_is_readable_and_adds_up(told: Told, circle: Circle) -> None:
    page, table = (
        Path(path)
        for path in told.outcome["reports"]
        if Path(path).name.startswith(circle.reference)
    )
    text = page.read_text()
    for member in circle.members:
        assert member.name in text
    assert "<script" not in text
    with table.open(newline="") as lines:
        listed = list(csv.DictReader(lines))
    paid = [row for row in listed if row["section"] == "payment"]
    assert Counter(row["kind"] for row in paid) == {
        "Card": len(circle.by_card),
        "Bank transfer": len(circle.by_bank),
    }
    minor = sum(int(row["amount"].replace(".", "")) for row in paid)
    assert minor == circle.pot_minor
    assert not [row for row in listed if row["status"] in ("NOT EXPLAINED", "DOES NOT BALANCE")]


def test_a_stranger_gets_no_report(told: Told) -> None:
    """A link needs a login, a membership, and lives for minutes."""
    player = Player(told.home)
    [(circle_id,)] = rows(
        told.home,
        "SELECT circle_id FROM circles.circles WHERE reference = %s",
        USD_CIRCLE.reference,
    )
    path = f"/tenants/{TENANT}/circles/{circle_id}/rounds/1/report"

    assert player.ask(facts.OPERATOR.email, "GET", path).status == 403
    link = player.api(facts.AUDITOR.email, "GET", f"{path}?format=csv")
    assert link["expires_in_seconds"] <= 900
    with urllib.request.urlopen(link["url"]) as answer:
        assert answer.headers["Content-Type"].startswith("text/csv")


def test_one_planted_change_of_each_kind_is_counted(told: Told) -> None:
    """One row, one item, one object, one file, one message: each is seen, and nothing else is."""
    home = told.home
    before = digest.take(home)
    with psycopg.connect(home.database_superuser_url) as connection:
        connection.execute(
            "INSERT INTO app.audit_log (tenant_id, principal, action, subject)"
            " VALUES ('planted-tenant', 'a-test', 'test.planted', 'row')"
        )
    home.client("dynamodb").put_item(
        TableName=home.outputs["MatchTable"],
        Item={"pk": {"S": "T#planted-tenant#PLANTED"}, "sk": {"S": "HEAD"}},
    )
    home.client("s3").put_object(
        Bucket=home.outputs["PacksBucket"], Key="planted/object.txt", Body=b"planted"
    )
    planted = home.paths.run / "bank" / "ncb" / "done" / "planted.txt"
    planted.write_text("planted")
    home.client("sns").publish(PhoneNumber="+18765550199", Message="planted")

    difference = digest.compare(before, digest.take(home))

    assert sorted(name.split("/")[0] for name in difference.added) == [
        "file", "item", "message", "object", "row",
    ]  # fmt: skip
    assert difference.count == 5, difference.lines()
    planted.write_text("planted again")
    again = digest.compare(before, digest.take(home))
    assert again.count == 5, "the same file, changed, is still one difference"


def test_a_third_telling_changes_nothing_either(told: Told) -> None:
    """The command itself, once more, in the home as it is now."""
    again = run_demo(told.home)

    assert again.status == 0, again.output[-3000:] + again.errors[-3000:]
    assert again.outcome["second_run_changed"] == 0
    assert again.outcome["journals"] == told.outcome["journals"]
    assert again.outcome["reports"] == told.outcome["reports"]
