"""The chart of accounts: what an account's code says about it, so that first use can open it.

clearing:{source}            what this side has reported and no other side has confirmed yet
clearing:{source}:payouts    payouts that a provider has announced and no bank has shown yet
pot:{circle}                 what a circle owes to its members
psp_balance:{source}         what a provider holds for us
bank:{source}                what a bank holds for us
fees:{source}                what a provider or bank has kept
variance:{pair}              what was left over when two sides were matched within tolerance
exchange:{name}              the two sides of a currency conversion
hold:{code}                  reserved out of the account {code}
"""

from __future__ import annotations

from pardna.ledger.model import Account, AccountType
from pardna.runtime.errors import InvalidInput

_TYPES = {
    "clearing": AccountType.ASSET,
    "pot": AccountType.LIABILITY,
    "psp_balance": AccountType.ASSET,
    "bank": AccountType.ASSET,
    "fees": AccountType.EXPENSE,
    "variance": AccountType.EXPENSE,
    "exchange": AccountType.EQUITY,
    "income": AccountType.INCOME,
    "reserve": AccountType.LIABILITY,
    "equity": AccountType.EQUITY,
}


def describes(code: str) -> bool:
    """Whether the chart knows this kind of account."""
    return code.partition(":")[0] in _TYPES


def account(code: str, currency: str) -> Account:
    """The account that `code` describes; raises InvalidInput for a code outside the chart."""
    family, _, _ = code.partition(":")
    if family not in _TYPES:
        raise InvalidInput("ledger.chart", f"no kind of account is called {family!r}")
    return Account(code=code, currency=currency, type=_TYPES[family], parent=family)
