"""The result on a terminal: tables that line up, amounts as J$ and US$, no colours needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from local.console import say
from local.demo import facts
from local.demo.acts import Told
from local.demo.digest import Difference
from local.demo.facts import CIRCLES, STAFF, Circle
from local.demo.player import PASSWORD
from local.demo.result import Result
from local.home import Home
from pardna.money.model import Money

_LEVELS = {"1": "identity", "2": "rule", "3": "settlement proved to zero", "4": "probability"}


def show(home: Home, told: Told, result: Result) -> None:
    """Everything that the story came to."""
    for circle in CIRCLES:
        _round(told, circle)
    _matching(result)
    _ledger(result)
    _messages(result)
    _doors(home, told)
    _things_to_try(told)


def show_repeat(difference: Difference, kinds: dict[str, int]) -> None:
    """What the second telling changed."""
    title("The same story a second time")
    covered = ", ".join(f"{count} {kind}s" for kind, count in kinds.items())
    say(f"  compared: {covered}")
    say(f"  changed by the second telling: {difference.count}")
    for line in difference.lines():
        bullet(line)


def _round(told: Told, circle: Circle) -> None:
    seen, draw = told.rounds[circle.reference], told.rounds[circle.reference]["draw"]
    title(f"{circle.name}: round {seen['round_number']} of {len(circle.members)}, {seen['status']}")
    table(
        ("member", "hand", "rail", "reference", "status"),
        [
            (
                circle.member(hand["member_id"]).name,
                hand["amount"],
                hand["rail"],
                hand["payment_reference"],
                hand["status"],
            )
            for hand in seen["contributions"]
        ],
        right=(1,),
    )
    payout = told.payouts[circle.reference]
    approver = next(s.name for s in STAFF if told.principals.get(s.email) == draw["approved_by"])
    asker = next(s.name for s in STAFF if told.principals.get(s.email) == draw["requested_by"])
    pairs(
        [
            ("card payout", f"{money(payout['amount'], circle.currency)} in {payout['id']}"),
            ("draw", f"{draw['net']} to {circle.member(draw['member_id']).name}"),
            ("asked by", f"{asker}, whose own approval was refused: {told.refusals[0]}"),
            ("approved by", approver),
            ("payment", f"{draw['end_to_end_id']} in file {draw['batch_id']}"),
            ("bank says", draw["payment_status"]),
        ]
    )


def _matching(result: Result) -> None:
    title("Matching")
    table(
        ("level", "how", "matches"),
        [(level, _LEVELS[level], str(n)) for level, n in result.matches_by_level.items()],
        right=(2,),
    )
    say("\n  each with its reason")
    for match in result.matches:
        bullet(f"level {match.level}, {match.rule}: {match.sentence}")
    say("\n  open breaks")
    table(
        ("class", "amount", "since", "reason"),
        [
            (
                one["class"],
                money(one["amount_minor"], one["currency"]),
                one["opened_on"],
                one["reason"].replace("|", " "),
            )
            for one in result.breaks
        ],
        right=(1,),
    )


def _ledger(result: Result) -> None:
    title(f"Ledger: {result.journals} journals")
    table(
        ("account", "", "debits", "credits", "balance"),
        [
            (
                one["account"],
                one["currency"],
                *(money(one[f"{what}_minor"], one["currency"]) for what in _AMOUNTS),
            )
            for one in sorted(result.books["accounts"], key=lambda a: (a["currency"], a["account"]))
        ],
        right=(2, 3, 4),
    )
    for currency, difference in result.trial_balance.items():
        say(f"  trial balance {currency}: {money(difference, currency)}")
    named = {t: one["class"] for one in result.breaks for t in one["transaction_ids"]}
    say("\n  what clearing accounts still hold, and why")
    table(
        ("account", "amount", "explained by"),
        [_open_item(item, named) for item in result.books["open_items"]],
        right=(1,),
    )


_AMOUNTS = ("debits", "credits", "balance")


def _open_item(item: Any, named: dict[str, str]) -> tuple[str, str, str]:
    found = named.get(item["transaction_id"])
    why = (
        f"the open break {found}" if found else "a dispute taken away and given back: together zero"
    )
    return item["account"], money(item["amount_minor"], item["currency"]), why


def _messages(result: Result) -> None:
    title(f"Sent: {len(result.mails)} mails, {len(result.texts)} SMS")
    subjects: dict[str, int] = {}
    for mail in result.mails:
        subjects[mail["Subject"]] = subjects.get(mail["Subject"], 0) + 1
    for subject, count in sorted(subjects.items()):
        bullet(f"{count} × {subject}")


def _doors(home: Home, told: Told) -> None:
    title("Where things are")
    rows = [
        ("API", home.api_url),
        ("AWS", f"{home.endpoint_url}  (any key, region us-east-1)"),
        ("mails", f"{home.endpoint_url}/_ministack/ses/messages"),
        ("SMS", f"{home.endpoint_url}/_ministack/sns/sms-messages"),
        ("card network", home.stripe_url),
        ("settlements", home.settlement_url),
        ("bank", f"sftp port {home.bank['port']}, control {home.bank_control_url}/payments"),
        ("database", f"psql '{home.database_superuser_url}'"),
        ("logs", str(home.paths.logs)),
    ]
    for circle in CIRCLES:
        rows.append(("report", told.reports[circle.reference]["html"]))
        rows.append(("", told.reports[circle.reference]["csv"]))
    pairs(rows)
    title(f"Logins (password {PASSWORD})")
    table(
        ("e-mail", "name", "may"),
        [(s.email, s.name, ", ".join(s.roles) or "platform operator") for s in STAFF],
    )


def _things_to_try(told: Told) -> None:
    circle = CIRCLES[0]
    path = f"circles/{told.circle_ids[circle.reference]}/rounds/1"
    title("Things to try")
    for text in (
        "open the report above in a browser",
        "make demo             tell the story again: nothing changes",
        "make logs             what functions wrote; FUNCTION=CaptureWebhookFunction for one",
        "make invoke FUNCTION=PullFilesFunction EVENT=events/ingestion/pull_files.scheduled.json",
        f"start the next hand: POST /tenants/{facts.TENANT}/{path.replace('/1', '/2')}/start",
        "make down             stop everything that was started here",
    ):
        bullet(text)


def money(amount_minor: int, currency: str) -> str:
    """An amount as people read it: ``J$5,000.00``."""
    return str(Money(amount_minor, currency))


def title(text: str) -> None:
    """A heading."""
    say(f"\n{text}\n{'─' * len(text)}")


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()
) -> None:
    """Columns as wide as what stands in them; those of `right` are aligned to the right."""
    shown = [list(heads), *(list(map(str, row)) for row in rows)]
    if len(shown) == 1:
        say("  (none)")
        return
    widths = [max(len(row[at]) for row in shown) for at in range(len(heads))]
    numbers = frozenset(right)
    for number, row in enumerate(shown):
        cells = [
            cell.rjust(widths[at]) if at in numbers else cell.ljust(widths[at])
            for at, cell in enumerate(row)
        ]
        say(f"  {'  '.join(cells)}".rstrip())
        if number == 0:
            say(f"  {'  '.join('─' * width for width in widths)}")


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values in two columns."""
    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        say(f"  {name.ljust(width)}  {value}")


def bullet(text: str) -> None:
    """One line of a list."""
    say(f"  · {text}")
