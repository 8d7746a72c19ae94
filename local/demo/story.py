"""The story, from the first login to the report; telling it again finds everything done."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

from local.console import step
from local.demo import acts, closing
from local.demo.acts import Told
from local.demo.facts import CIRCLES, Circle, Days
from local.demo.player import Player
from local.home import Home

#: Jamaica keeps UTC-5 all year; the story's days are days there, as the banks' are.
_JAMAICA = timezone(timedelta(hours=-5))


def story_days(home: Home) -> Days:
    """The story's days in this home: chosen once, then kept, so that it repeats byte for byte."""
    kept = home.paths.run / "demo" / "story.json"
    if kept.exists():
        return Days(date.fromisoformat(json.loads(kept.read_text())["first"]))
    today = datetime.now(UTC).astimezone(_JAMAICA).date()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"first": today.isoformat()}))
    return Days(today)


def tell(home: Home) -> Told:
    """Play the story through the deployed system. `Unanswered` names what did not happen."""
    player, told = Player(home), Told(story_days(home))
    with step("staff log in, a tenant opens"):
        acts.open_house(player, told)
    with step("banks and cards are connected"):
        acts.connect_partners(player, told)
    _each("two circles of five are founded", player, told, acts.found_circle)
    _each("their rounds start", player, told, acts.start_round)
    _each("six cards are charged", player, told, acts.await_card_hands)
    with step("four transfers, one mistake, one dispute"):
        for circle in CIRCLES:
            acts.pay_by_transfer(player, told, circle)
            acts.pay_twice_by_mistake(player, circle)
            acts.dispute_and_win(player, told, circle)
            acts.send_strange_money(player, told, circle)
            acts.settle_cards(player, told, circle)
            acts.close_bank_day(player, circle, told.days.first.isoformat())
    with step("a schedule pulls files and settlements") as notes:
        acts.pull_by_schedule(player)
        notes.append("EventBridge Scheduler")
    with step("everything is parsed, gated and posted"):
        closing.await_records(player, told)
    with step("level 1 to 3 are run") as notes:
        notes.append(closing.reconcile(player, told, told.days.debited))
    with step("the draws wait for a second person") as notes:
        for circle in CIRCLES:
            closing.await_approval(player, told, circle)
            closing.decide(player, told, circle)
        notes.append(f"the requester was refused: {told.refusals[0]}")
    _each("payment files reach the banks", player, told, closing.await_payment)
    with step("the banks confirm"):
        acts.pull(player)
        for circle in CIRCLES:
            closing.await_closed(player, told, circle)
    with step("the next day's statements"):
        for circle in CIRCLES:
            acts.close_bank_day(player, circle, told.days.debited.isoformat())
        acts.pull(player)
        closing.await_debits(player)
    with step("everything is reconciled again") as notes:
        notes.append(closing.reconcile(player, told, told.days.looked_back_from))
    _each("reports are written", player, told, closing.write_reports)
    with step("the dust settles"):
        closing.await_quiet(player)
    return told


def _each(
    name: str, player: Player, told: Told, act: Callable[[Player, Told, Circle], None]
) -> None:
    with step(name):
        for circle in CIRCLES:
            act(player, told, circle)
