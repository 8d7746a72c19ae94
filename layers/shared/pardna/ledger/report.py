"""The ledger as JSON for people, programs and state machines that ask it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pardna.ledger.consume import MatchConsumer
from pardna.ledger.model import Balance, Basis, OpenItem, PastBalance, StatementLine
from pardna.ledger.service import Ledger
from pardna.runtime.clock import utc_now
from pardna.runtime.errors import InvalidInput
from pardna.runtime.paging import decode_cursor, encode_cursor, page_size

#: Open items that an answer names; all are counted.
OPEN_ITEMS_MAX = 1_000
_CODE_MAX = 200


def trial_balance_report(
    ledger: Ledger, tenant_id: str, principal: str, query: Mapping[str, str]
) -> dict[str, Any]:
    """A page of accounts, and the differences of all by currency (all zero).

    `query` may hold ``prefix``, ``limit``, ``cursor``. The first page names the open items behind
    clearing accounts as well (at most 1,000 of ``open_items_count``). With ``as_of`` (an instant)
    and ``basis`` (``recorded`` or ``effective``, the default) the accounts are as they stood then.
    Raises InvalidInput.
    """
    prefix, size = _text(query, "prefix"), page_size(query)
    place = decode_cursor(query.get("cursor", ""), str, str)
    after = (str(place[0]), str(place[1])) if place else None
    if query.get("as_of"):
        moment, basis = _instant(query["as_of"]), _basis(query)
        past, more = ledger.past_balances_page(
            tenant_id, principal, moment, basis, prefix, after, size
        )
        return {
            "tenant_id": tenant_id,
            "as_of": moment.isoformat(),
            "basis": basis.value,
            "accounts": [_past(balance) for balance in past],
            "next_cursor": _next(past, more),
        }
    page = ledger.balances_page(tenant_id, principal, prefix, after, size)
    answer = {
        "tenant_id": tenant_id,
        "is_zero": all(t.debits_minor == t.credits_minor for t in page.totals),
        "differences_minor": {t.currency: t.debits_minor - t.credits_minor for t in page.totals},
        "closed_until": page.closed_until.isoformat() if page.closed_until else None,
        "accounts": [_present(balance) for balance in page.accounts],
        "next_cursor": _next(page.accounts, page.more),
    }
    if after is None:
        items = ledger.explain_clearing(tenant_id, principal)
        answer["open_items"] = [_open_item(item) for item in items[:OPEN_ITEMS_MAX]]
        answer["open_items_count"] = len(items)
    return answer


def statement_report(
    ledger: Ledger, tenant_id: str, principal: str, query: Mapping[str, str]
) -> dict[str, Any]:
    """A page of the statement of ``account`` in ``currency``; amounts debit positive.

    ``next_cursor`` is there on each page that has lines, also on the last: ask with it again later
    for what was posted since. Raises InvalidInput.
    """
    account, currency = _text(query, "account"), query.get("currency", "")
    if not account or not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise InvalidInput("ledger.statement", "name an account and its currency, as account=...")
    place = decode_cursor(query.get("cursor", ""), str, int)
    cursor = _journal_place(str(place[0]), int(place[1])) if place else None
    lines = ledger.statement_page(tenant_id, principal, account, currency, cursor, page_size(query))
    return {
        "tenant_id": tenant_id,
        "account": account,
        "currency": currency,
        "lines": [_statement_line(line) for line in lines],
        "next_cursor": encode_cursor(lines[-1].journal_id, lines[-1].line)
        if lines
        else query.get("cursor") or None,
    }


def _text(query: Mapping[str, str], name: str) -> str:
    text = query.get(name) or ""
    if len(text) > _CODE_MAX or not (text.isascii() and text.isprintable()):
        raise InvalidInput("ledger.account", f"{name} is part of an account's code")
    return text


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or not 1970 <= moment.year <= 9000:
            raise ValueError(text)
    except ValueError:
        raise InvalidInput(
            "ledger.as_of", "as_of is an instant with its zone, as 2026-01-31T23:59:59Z"
        ) from None
    return moment


def _basis(query: Mapping[str, str]) -> Basis:
    try:
        return Basis(query.get("basis") or Basis.EFFECTIVE)
    except ValueError:
        raise InvalidInput("ledger.basis", "basis is recorded or effective") from None


def _journal_place(journal_id: str, line: int) -> tuple[str, int]:
    try:
        place = str(UUID(journal_id)), line
    except ValueError:
        raise InvalidInput("request.cursor", "cursor is not one that we gave") from None
    if not 0 <= line < 2**15:
        raise InvalidInput("request.cursor", "cursor is not one that we gave")
    return place


def _next(accounts: tuple[Balance, ...] | list[PastBalance], more: bool) -> str | None:
    return encode_cursor(accounts[-1].account, accounts[-1].currency) if more else None


def _present(balance: Balance) -> dict[str, Any]:
    return {
        "account": balance.account,
        "currency": balance.currency,
        "type": balance.type.value,
        "debits_minor": balance.debits_minor,
        "credits_minor": balance.credits_minor,
        "balance_minor": balance.balance_minor,
    }


def _past(balance: PastBalance) -> dict[str, Any]:
    return {
        "account": balance.account,
        "currency": balance.currency,
        "type": balance.type.value,
        "balance_minor": balance.balance_minor,
    }


def _open_item(item: OpenItem) -> dict[str, Any]:
    return {
        "account": item.account,
        "currency": item.currency,
        "transaction_id": item.item,
        "amount_minor": item.amount_minor,
    }


def _statement_line(line: StatementLine) -> dict[str, Any]:
    return {
        "journal_id": line.journal_id,
        "line": line.line,
        "amount_minor": line.amount_minor,
        "balance_minor": line.balance_minor,
        "key": line.key,
        "kind": line.kind,
        "description": line.description,
        "effective_at": line.effective_at.isoformat(),
        "recorded_at": line.recorded_at.isoformat(),
        "transaction_id": line.item,
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
