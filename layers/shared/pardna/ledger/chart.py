"""The chart of accounts: what an account's code says about it, so that first use can open it.

clearing:{source}            what this side has reported and no other side has confirmed yet
clearing:{source}:payouts    payouts that a provider has announced and no bank has shown yet
pot:{circle}                 what a circle owes to its members
psp_balance:{source}         what a provider holds for us
bank:{source}                what a bank holds for us
fees:{source}                what a provider or bank has kept
variance:{pair}              what was left over when two sides were matched within tolerance
exchange:{name}              the two sides of a currency conversion
income:{name}  reserve:{name}  equity:{name}     as their names say

`FAMILIES` says what each kind of account is, `circle`, `psp` and `bank` which accounts such a thing
has. What no template names is opened when it is first posted to, from the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pardna.ledger.model import Account, AccountType
from pardna.runtime.errors import InvalidInput

#: Rows over which a hot account's balance is split, so that writers do not queue for one.
HOT_SHARDS = 8


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of account. `hot`: every payment of its source moves it."""

    type: AccountType
    hot: bool = False


FAMILIES: Mapping[str, Family] = {
    "clearing": Family(AccountType.ASSET, hot=True),
    "pot": Family(AccountType.LIABILITY),
    "psp_balance": Family(AccountType.ASSET, hot=True),
    "bank": Family(AccountType.ASSET, hot=True),
    "fees": Family(AccountType.EXPENSE, hot=True),
    "variance": Family(AccountType.EXPENSE),
    "exchange": Family(AccountType.EQUITY),
    "income": Family(AccountType.INCOME),
    "reserve": Family(AccountType.LIABILITY),
    "equity": Family(AccountType.EQUITY),
}


def describes(code: str) -> bool:
    """Whether the chart knows this kind of account."""
    family, _, name = code.partition(":")
    return family in FAMILIES and bool(name)


def account(code: str, currency: str) -> Account:
    """The account that `code` describes; raises InvalidInput for a code outside the chart."""
    name, _, of = code.partition(":")
    if not describes(code):
        raise InvalidInput("ledger.chart", f"no account is called {code!r}; see the chart")
    family = FAMILIES[name]
    # A circle has a few payments a month, each source of a provider or bank thousands a day.
    hot = family.hot and not of.startswith("pardna:")
    return Account(
        code=code,
        currency=currency,
        type=family.type,
        shards=HOT_SHARDS if hot else 1,
        parent=name,
    )


def circle(circle_id: str, currency: str) -> tuple[Account, ...]:
    """What a circle has: its pot, and what its own books say that no other side confirmed."""
    return _accounts(currency, f"pot:{circle_id}", f"clearing:pardna:{circle_id}")


def psp(source: str, currency: str) -> tuple[Account, ...]:
    """What a payment provider's account in one currency has."""
    return _accounts(
        currency,
        f"psp_balance:{source}",
        f"fees:{source}",
        f"clearing:{source}",
        f"clearing:{source}:payouts",
    )


def bank(source: str, currency: str) -> tuple[Account, ...]:
    """What a bank account has."""
    return _accounts(currency, f"bank:{source}", f"fees:{source}", f"clearing:{source}")


def _accounts(currency: str, *codes: str) -> tuple[Account, ...]:
    return tuple(account(code, currency) for code in codes)
