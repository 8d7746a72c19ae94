"""What the story came to: read from the deployed system, held against the story's own sums."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from local.demo.acts import Told
from local.demo.closing import arrived_minor
from local.demo.facts import AUDITOR, CIRCLES, TENANT, Circle
from local.demo.player import Player


@dataclass(frozen=True, slots=True)
class Match:
    """A committed match: its level, the rule that made it, and why."""

    level: str
    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that is shown at the end. `wrong` lists what the story did not come to."""

    books: Any
    breaks: list[Any]
    matches: list[Match]
    journals: int
    mails: list[Any]
    texts: list[Any]
    payments: list[Any]
    wrong: tuple[str, ...]

    @property
    def matches_by_level(self) -> dict[str, int]:
        """How many matches each level made."""
        return by_level(self.matches)

    @property
    def trial_balance(self) -> dict[str, int]:
        """Debits less credits by currency, in minor units."""
        return dict(self.books["differences_minor"])


def read(player: Player, told: Told) -> Result:
    """Read what became of the story, and check it."""
    books = player.api(AUDITOR.email, "GET", f"/tenants/{TENANT}/trial-balance")
    breaks = player.api(AUDITOR.email, "GET", f"/tenants/{TENANT}/breaks")["breaks"]
    opened = [one for one in breaks if one["status"] == "open"]
    matches, journals = _matches(player), _journals(player)
    payments = player.bank("/payments")["payments"]
    mails, texts = player.sent_mail(), player.sent_sms()
    wrong = [
        *_books_wrong(told, books),
        *_breaks_wrong(books, opened),
        *_levels_wrong(by_level(matches)),
        *(problem for circle in CIRCLES for problem in _round_wrong(told, circle, payments)),
    ]
    if not mails or not texts:
        wrong.append("nobody was sent a receipt by mail and by SMS")
    return Result(books, opened, matches, journals, mails, texts, payments, tuple(wrong))


def by_level(matches: list[Match]) -> dict[str, int]:
    """How many matches each level made."""
    return dict(sorted(Counter(match.level for match in matches).items()))


def _books_wrong(told: Told, books: Any) -> list[str]:
    """Debits are credits, and the bank accounts hold what the banks say moved."""
    wrong = [
        f"the trial balance in {currency} is {difference}, not zero"
        for currency, difference in books["differences_minor"].items()
        if difference
    ]
    if sorted(books["differences_minor"]) != ["JMD", "USD"]:
        wrong.append(f"the ledger knows {sorted(books['differences_minor'])}, not JMD and USD")
    for circle in CIRCLES:
        code = f"bank:{circle.bank.bank}:{circle.bank.number}"
        held = {a["account"]: a["balance_minor"] for a in books["accounts"]}.get(code)
        moved = arrived_minor(told, circle) - circle.pot_minor
        if held != moved:
            wrong.append(f"{code} holds {held} in the ledger, and {moved} moved at the bank")
    return wrong


def _breaks_wrong(books: Any, opened: list[Any]) -> list[str]:
    """One break is open, the stranger's money, and it explains all that clearing still holds."""
    wrong = []
    expected = [(c.currency, c.stranger_minor) for c in CIRCLES if c.stranger_minor]
    found = [(one["currency"], one["amount_minor"]) for one in opened]
    if found != expected:
        wrong.append(f"open breaks are {found}, not {expected}")
    named = {transaction for one in opened for transaction in one["transaction_ids"]}
    left: Counter[tuple[str, str]] = Counter()
    for item in books["open_items"]:
        if item["transaction_id"] not in named:
            left[item["account"], item["currency"]] += item["amount_minor"]
    wrong += [f"{account} holds {amount} {currency} that no open break explains"
              for (account, currency), amount in left.items() if amount]  # fmt: skip
    return wrong


def _levels_wrong(levels: dict[str, int]) -> list[str]:
    """Hands by card and draws by identity, transfers and the reversal by rule, payouts by proof."""
    expected = {
        "1": sum(len(c.by_card) + 1 for c in CIRCLES),
        "2": sum(len(c.by_bank) + bool(c.twice) for c in CIRCLES),
        "3": len(CIRCLES),
    }
    return [] if levels == expected else [f"matches by level are {levels}, not {expected}"]


def _round_wrong(told: Told, circle: Circle, payments: list[Any]) -> list[str]:
    """Everybody has paid, the round is closed, and the bank has paid its pot exactly once."""
    seen = told.rounds[circle.reference]
    draw = seen["draw"] or {}
    paid = [p for p in payments if p["end_to_end"] == draw.get("end_to_end_id")]
    checks = (
        (seen["status"] == "closed", f"the round is {seen['status']}"),
        (seen["paid_minor"] == circle.pot_minor, f"{seen['paid_minor']} were paid in"),
        (draw.get("net_minor") == circle.pot_minor, f"the draw is {draw.get('net_minor')}"),
        (draw.get("payment_status") == "confirmed", f"the payment is {draw.get('payment_status')}"),
        (draw.get("requested_by") != draw.get("approved_by"), "one person asked and approved"),
        (
            [p["amount_minor"] for p in paid] == [circle.pot_minor],
            f"the bank paid {[p['amount_minor'] for p in paid]}",
        ),
    )
    return [f"{circle.name}: {problem}" for holds, problem in checks if not holds]


def _matches(player: Player) -> list[Match]:
    """Committed matches, read from the match table; there is no list of them in the API yet."""
    client, table = player.client("dynamodb"), player.home.outputs["MatchTable"]
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    found = []
    for item in (item for page in pages for item in page["Items"]):
        plain = {name: next(iter(value.values())) for name, value in item.items()}
        if plain.get("kind") == "match" and plain.get("status") == "committed":
            told = json.loads(plain["explanation"])
            found.append(Match(str(plain["level"]), plain["rule_id"], told["sentence"]))
    return sorted(found, key=lambda match: (match.level, match.rule, match.sentence))


def _journals(player: Player) -> int:
    """Journals of the ledger, counted behind row-level security."""
    import psycopg

    with psycopg.connect(player.home.database_superuser_url) as connection:
        row = connection.execute("SELECT count(*) FROM ledger.journals").fetchone()
    return int(row[0]) if row else 0
