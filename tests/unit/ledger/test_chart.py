"""The chart: templates hold what the posting rules post to, and first use opens the same account."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pardna.ledger import chart
from pardna.ledger.model import Account, AccountType
from pardna.ledger.posting_rules import RULES, RuleLine
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Side

SOURCES = {Side.INTERNAL: "pardna:kgn-1", Side.PSP: "stripe:acct_1", Side.BANK: "ncb:123"}
TEMPLATES = {
    Side.INTERNAL: chart.circle("kgn-1", "JMD"),
    Side.PSP: chart.psp("stripe:acct_1", "JMD"),
    Side.BANK: chart.bank("ncb:123", "JMD"),
}


def named(side: Side, lines: Sequence[RuleLine]) -> set[str]:
    source = SOURCES[side]
    return {line.account.format(source=source, scope=source.partition(":")[2]) for line in lines}


@pytest.mark.parametrize("side", list(Side))
def test_a_template_holds_exactly_what_its_side_posts_to(side: Side) -> None:
    posted = {a for (of, _), lines in RULES.items() if of is side for a in named(side, lines)}
    assert {account.code for account in TEMPLATES[side]} == posted


@pytest.mark.parametrize("side", list(Side))
def test_first_use_opens_what_the_template_says(side: Side) -> None:
    for opened in TEMPLATES[side]:
        assert chart.account(opened.code, "JMD") == opened


def test_what_every_payment_moves_is_split_and_a_circles_is_not() -> None:
    def shards(accounts: Sequence[Account]) -> set[int]:
        return {account.shards for account in accounts}

    assert shards(TEMPLATES[Side.INTERNAL]) == {1}
    assert shards(TEMPLATES[Side.PSP]) == shards(TEMPLATES[Side.BANK]) == {chart.HOT_SHARDS}


def test_sides_are_as_accountants_have_them() -> None:
    types = {a.code.partition(":")[0]: a.type for t in TEMPLATES.values() for a in t}
    assert types["pot"].normal_side == "credit"
    assert types["bank"] is AccountType.ASSET
    assert types["fees"] is AccountType.EXPENSE


@pytest.mark.parametrize("code", ["", ":", "pot", "pot:", "nothing:x", "Pot:x"])
def test_what_the_chart_does_not_know(code: str) -> None:
    assert not chart.describes(code)
    with pytest.raises(InvalidInput):
        chart.account(code, "JMD")
