"""The ledger as JSON for people, programs and state machines that ask it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pardna.ledger.consume import MatchConsumer
from pardna.ledger.service import Ledger
from pardna.runtime.clock import utc_now
from pardna.runtime.errors import InvalidInput


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


#: How far back a reconciliation looks for matches that the stream lost, unless it says otherwise.
CATCH_UP = timedelta(days=35)
#: A state holds 256 KiB; a refusal too many is counted, not named.
NAMED_MAX = 100


def clearing_outcome(consumer: MatchConsumer, event: Mapping[str, Any]) -> dict[str, Any]:
    """Catch up for ``event["tenant_id"]`` since ``event["since"]`` (ISO 8601; default 35 days).

    Outcome ``posted``, or ``refused`` with the matches whose clearing the ledger refused.
    Raises InvalidInput for an event that names no tenant or no instant.
    """
    tenant_id, since = str(event.get("tenant_id", "")), str(event.get("since", ""))
    try:
        start = datetime.fromisoformat(since) if since else utc_now() - CATCH_UP
    except ValueError:
        raise InvalidInput("ledger.since", "since is an ISO 8601 instant") from None
    if not tenant_id or start.tzinfo is None:
        raise InvalidInput("ledger.event", "tenant_id is missing, or since has no zone")
    posted = consumer.catch_up(tenant_id, start)
    return {
        "outcome": "refused" if posted.refused else "posted",
        "posted_count": posted.new,
        "refused_count": len(posted.refused),
        "refused": [
            {"match_id": r.subject, "code": f"ledger.{r.refusal}"}
            for r in posted.refused[:NAMED_MAX]
        ],
    }
