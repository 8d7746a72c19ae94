"""The ledger on PostgreSQL: one call of ``ledger.post`` for a whole batch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from pardna.database.session import Connection, Database
from pardna.ledger.model import (
    Account,
    AccountType,
    Balance,
    Basis,
    CurrencyTotal,
    Hold,
    HoldOutcome,
    HoldRefusal,
    HoldStatus,
    Journal,
    LegMark,
    MatchState,
    OpenItem,
    Outcome,
    PastBalance,
    Refusal,
    StatementLine,
    Status,
    TrialBalance,
)
from pardna.ledger.ports import Book, LedgerRaced
from pardna.runtime.errors import InvalidInput, RefusedByRule, TooLarge
from pardna.transactions.model import Transaction, from_dict

#: Journals in one call of ``ledger.post``; larger batches are cut, and stay one transaction.
BATCH_MAX = 1_000

_BALANCES: LiteralString = (
    "SELECT code, currency, type, debits_minor, credits_minor FROM ledger.account_balances"
    " WHERE starts_with(code, %(prefix)s) AND (code, currency) > (%(code)s, %(currency)s)"
    " ORDER BY code, currency LIMIT %(limit)s"
)
_PAST_BALANCES: LiteralString = (
    "SELECT code, currency, type, CASE %(basis)s"
    " WHEN 'recorded' THEN ledger.balance_recorded(code, currency, %(moment)s)"
    " ELSE ledger.balance_effective(code, currency, %(moment)s) END FROM ledger.accounts"
    " WHERE starts_with(code, %(prefix)s) AND (code, currency) > (%(code)s, %(currency)s)"
    " ORDER BY code, currency LIMIT %(limit)s"
)


class PostgresBook:
    """A tenant's ledger on a connection whose transaction has entered the tenant.

    Other capabilities use it on their own transaction, so that their rows and their journals are
    committed together.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open_accounts(self, accounts: Sequence[Account]) -> None:
        """See LedgerBook."""
        rows = [
            {
                "code": a.code,
                "currency": a.currency,
                "type": a.type.value,
                "normal_side": a.type.normal_side,
                "minimum_minor": a.minimum_minor,
                "shards": a.shards,
                "parent": a.parent or None,
            }
            for a in accounts
        ]
        self._call("SELECT ledger.open_accounts(%s::jsonb)", (json.dumps(rows),))

    def post(self, journals: Sequence[Journal], all_or_nothing: bool = False) -> list[Outcome]:
        """See LedgerBook."""
        if all_or_nothing and len(journals) > BATCH_MAX:
            raise TooLarge("ledger.batch", f"at most {BATCH_MAX} journals all or nothing")
        outcomes: list[Outcome] = []
        for start in range(0, len(journals), BATCH_MAX):
            batch = [_document(journal) for journal in journals[start : start + BATCH_MAX]]
            answers = self._call(
                "SELECT ledger.post(%s::jsonb, %s)", (json.dumps(batch), all_or_nothing)
            )
            outcomes += [_outcome(answer) for answer in answers]
        return outcomes

    def balances(
        self, prefix: str = "", after: tuple[str, str] | None = None, limit: int | None = None
    ) -> list[Balance]:
        """See LedgerBook."""
        rows = self._connection.execute(_BALANCES, _page(prefix, after, limit))
        return [Balance(code, cur, AccountType(type_), d, c) for code, cur, type_, d, c in rows]

    def past_balances(
        self,
        moment: datetime,
        basis: Basis,
        prefix: str = "",
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> list[PastBalance]:
        """See LedgerBook."""
        asked = _page(prefix, after, limit) | {"moment": moment, "basis": basis.value}
        with _refusing_archived():
            rows = self._connection.execute(_PAST_BALANCES, asked)
        return [
            PastBalance(code, cur, AccountType(type_), total) for code, cur, type_, total in rows
        ]

    def totals(self) -> list[CurrencyTotal]:
        """See LedgerBook."""
        rows = self._connection.execute(
            "SELECT currency, debits_minor, credits_minor, accounts"
            " FROM ledger.trial_balance ORDER BY currency"
        )
        return [CurrencyTotal(cur, int(d), int(c), n) for cur, d, c, n in rows]

    def trial_balance(self) -> TrialBalance:
        """See LedgerBook."""
        return TrialBalance(tuple(self.balances()))

    def statement(
        self, account: str, currency: str, cursor: tuple[str, int] | None = None, limit: int = 100
    ) -> list[StatementLine]:
        """See LedgerBook."""
        journal_id, line = cursor or (None, None)
        with self._connection.cursor(row_factory=dict_row) as rows, _refusing_archived():
            rows.execute(
                "SELECT * FROM ledger.statement(%s, %s, %s::uuid, %s::smallint, %s)",
                (account, currency, journal_id, line, limit),
            )
            return [
                StatementLine(**r | {"journal_id": str(r["journal_id"]), "item": r["item"] or ""})
                for r in rows
            ]

    def closed_until(self) -> datetime | None:
        """See PeriodBook."""
        row = self._connection.execute("SELECT max(closed_until) FROM ledger.closings").fetchone()
        return row[0] if row else None

    def close_period(self, until: datetime) -> None:
        """See PeriodBook."""
        try:
            self._connection.execute("SELECT ledger.close_period(%s)", (until,))
        except psycopg.errors.InvalidParameterValue as error:
            raise InvalidInput("ledger.period", error.diag.message_primary or "refused") from None

    def mark_legs(self, marks: Sequence[LegMark]) -> set[str]:
        """See ClearingBook."""
        rows = [asdict(mark) | {"matched_at": mark.matched_at.isoformat()} for mark in marks]
        return set(self._call("SELECT ledger.mark_legs(%s::jsonb)", (json.dumps(rows),)))

    def marked(self, match_ids: Sequence[str]) -> set[MatchState]:
        """See ClearingBook."""
        rows = self._connection.execute(
            "SELECT DISTINCT match_id, version, status FROM ledger.matched_legs"
            " WHERE match_id = ANY(%s)",
            (list(match_ids),),
        )
        return {MatchState(*row) for row in rows}

    def open_items(self) -> list[OpenItem]:
        """See ClearingBook."""
        rows = self._connection.execute(
            "SELECT code, currency, coalesce(item, ''), amount_minor FROM ledger.open_items"
            " ORDER BY code, currency, item"
        )
        return [OpenItem(*row) for row in rows]

    def hold(self, holds: Sequence[Hold]) -> list[HoldOutcome]:
        """See HoldBook."""
        rows = [
            asdict(hold) | {"expires_at": hold.expires_at and hold.expires_at.isoformat()}
            for hold in holds
        ]
        answers = self._call("SELECT ledger.hold(%s::jsonb)", (json.dumps(rows),))
        return [_hold_outcome(answer) for answer in answers]

    def end_hold(
        self, key: str, action: HoldStatus, amount_minor: int | None = None
    ) -> HoldOutcome:
        """See HoldBook."""
        answer = self._call("SELECT ledger.end_hold(%s, %s, %s)", (key, action.value, amount_minor))
        return _hold_outcome(answer)

    def expire_holds(self, most: int = 1000) -> int:
        """See HoldBook."""
        return int(self._call("SELECT ledger.expire_holds(%s)", (most,)))

    def versions(self, transaction_ids: Sequence[str]) -> dict[str, list[Transaction]]:
        """See History."""
        rows = self._connection.execute(
            "SELECT transaction_id::text, body FROM platform.transaction_versions"
            " WHERE transaction_id = ANY(%s::uuid[]) ORDER BY transaction_id, version",
            (list(transaction_ids),),
        )
        found: dict[str, list[Transaction]] = {}
        for transaction_id, body in rows:
            found.setdefault(transaction_id, []).append(from_dict(body))
        return found

    def _call(self, statement: LiteralString, parameters: tuple[object, ...]) -> Any:
        """One function's answer; a race with a concurrent call becomes LedgerRaced."""
        try:
            row = self._connection.execute(statement, parameters).fetchone()
        except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected) as error:
            raise LedgerRaced("ledger.raced", "a concurrent posting came in between") from error
        return row[0] if row else None


class PostgresBooks:
    """Opens a book per database transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def open(self, tenant_id: str, principal: str) -> Iterator[Book]:
        """See Books."""
        with self._database.transaction(tenant_id, principal) as connection:
            yield PostgresBook(connection)


@contextmanager
def _refusing_archived() -> Iterator[None]:
    """An answer that would need archived months is RefusedByRule (``ledger.archived``)."""
    try:
        yield
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        raise RefusedByRule("ledger.archived", error.diag.message_primary or "archived") from None


def _page(prefix: str, after: tuple[str, str] | None, limit: int | None) -> dict[str, Any]:
    code, currency = after or ("", "")
    return {"prefix": prefix, "code": code, "currency": currency, "limit": limit}


def _document(journal: Journal) -> dict[str, Any]:
    """The journal as ``ledger.post`` reads it. What is absent is left out: the request's hash is
    taken over this document, and must not change when a field is added later."""
    document: dict[str, Any] = {"key": journal.key, "kind": journal.kind}
    if journal.lines:
        document["lines"] = [
            {
                "account": line.account,
                "currency": line.currency,
                "amount_minor": line.amount_minor,
            }
            | ({"item": line.item} if line.item else {})
            for line in journal.lines
        ]
    if journal.reverses:
        document["reverses"] = journal.reverses
    if journal.effective_at is not None:
        document["effective_at"] = journal.effective_at.isoformat()
    if journal.move_late:
        document["late"] = "move"
    texts = {
        "description": journal.description,
        "refs": dict(journal.refs),
        "metadata": dict(journal.metadata),
    }
    return document | {name: value for name, value in texts.items() if value}


def _outcome(answer: Mapping[str, str]) -> Outcome:
    code = answer.get("code")
    return Outcome(
        status=Status(answer["outcome"]),
        journal_id=answer.get("journal_id", ""),
        refusal=Refusal(code) if code else None,
    )


def _hold_outcome(answer: Mapping[str, Any]) -> HoldOutcome:
    code = answer.get("code")
    return HoldOutcome(
        status=HoldStatus(answer["outcome"]),
        reference_id=answer.get("hold_id") or answer.get("journal_id") or "",
        refusal=HoldRefusal(code) if code else None,
        again=bool(answer.get("again", False)),
    )
