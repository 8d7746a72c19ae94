"""The ledger as JSON for people and programs that read it through the API."""

from __future__ import annotations

from typing import Any

from pardna.ledger.service import Ledger


def trial_balance_report(ledger: Ledger, tenant_id: str, principal: str) -> dict[str, Any]:
    """Accounts, differences by currency (all zero), and the open items behind clearing accounts."""
    balance = ledger.trial_balance(tenant_id, principal)
    items = ledger.explain_clearing(tenant_id, principal)
    return {
        "tenant_id": tenant_id,
        "is_zero": balance.is_zero,
        "differences_minor": balance.differences(),
        "accounts": [
            {
                "account": a.account,
                "currency": a.currency,
                "type": a.type.value,
                "debits_minor": a.debits_minor,
                "credits_minor": a.credits_minor,
                "balance_minor": a.balance_minor,
            }
            for a in balance.accounts
        ],
        "open_items": [
            {
                "account": i.account,
                "currency": i.currency,
                "transaction_id": i.item,
                "amount_minor": i.amount_minor,
            }
            for i in items
        ],
    }
