"""The control port: what happens at the bank, as small JSON requests on the loopback address.

    POST   /accounts       {"bank": "ncb", "account": "1", "currency": "JMD", "owner": "...",
                            "opening_minor": 0}
    POST   /credits        {"account": "...", "amount_minor": 500000, "currency": "JMD",
                            "name": "...", "reference": "...", "value_date": "2026-11-23",
                            "end_to_end": "...", "creditor_reference": "...", "nth": 1,
                            "counter_account": "...", "counter_bic": "...", "charges_minor": 0,
                            "kind": "transfer" | "settlement" | "return" | "interest"}
    POST   /debits         the same, with "kind": "charge" (money out that no payment file asked for)
    POST   /statements     {"account": "...", "date": "2026-11-23", "name": "again.xml",
                            "corrupt": "closing_balance" | "missing_page" | "truncated"}
    POST   /notifications  {"account": "...", "date": "2026-11-23"}
    GET    /payments       every instruction received, and how many were paid
    POST   /refusals       {"creditor_account": "...", "reason": "AC04"}
    GET    /accounts       balances
    GET    /faults   POST /faults {"name": ..., "bank": ..., "times": 1, ...}   DELETE /faults
    GET    /digest         a hash per visible file and one over the books
    GET    /health

Amounts are whole minor units. A credit is the same credit when everything in it is the same; give
`nth` 2, 3 ... for another one that looks alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from local.bank.books import entry_id
from local.bank.desk import Desk
from local.bank.faults import Fault, Faults
from local.bank.model import Account, Entry, Refused, checked_date
from local.bank.payments import known_reason

Json = dict[str, Any]


class Control:
    """Answers control requests. `changed` is called after the planned faults changed."""

    def __init__(self, desk: Desk, faults: Faults, changed: Callable[[], None]) -> None:
        self._desk = desk
        self._faults = faults
        self._changed = changed
        self._routes: dict[tuple[str, str], Callable[[Json], Json]] = {
            ("GET", "/health"): lambda _: {"ok": True},
            ("GET", "/digest"): lambda _: {"sha256": desk.digest()},
            ("GET", "/accounts"): lambda _: self._accounts(),
            ("POST", "/accounts"): self._open_account,
            ("POST", "/credits"): lambda asked: self._book(asked, 1),
            ("POST", "/debits"): lambda asked: self._book(asked, -1),
            ("POST", "/statements"): self._statement,
            ("POST", "/notifications"): self._notification,
            ("GET", "/payments"): lambda _: self._payments(),
            ("POST", "/refusals"): self._refuse,
            ("GET", "/faults"): lambda _: {"faults": faults.listed()},
            ("POST", "/faults"): self._plan,
            ("DELETE", "/faults"): lambda _: self._clear(),
        }

    def handle(self, method: str, path: str, body: bytes) -> tuple[int, Json]:
        """Status and answer. Never raises for what a client sent."""
        route = self._routes.get((method, path))
        if route is None:
            return 404, {"error": f"no such control: {method} {path}"}
        try:
            return 200, route(_asked(body))
        except Refused as refusal:
            return 400, {"error": str(refusal)}

    def _accounts(self) -> Json:
        with self._desk.lock:
            books = self._desk.books
            listed = [
                {**asdict(one), "balance_minor": books.balance_minor(one.number)}
                for one in books.accounts.values()
            ]
        return {"accounts": listed}

    def _open_account(self, asked: Json) -> Json:
        with self._desk.lock:
            account = self._desk.books.open_account(
                Account(
                    bank=_text(asked, "bank"),
                    number=_text(asked, "account"),
                    currency=_text(asked, "currency").upper(),
                    owner=_text(asked, "owner", "Pardna Client Funds"),
                    opening_minor=_whole(asked, "opening_minor", 0),
                )
            )
            self._desk.save()
        return asdict(account)

    def _book(self, asked: Json, sign: int) -> Json:
        number, amount = _text(asked, "account"), _whole(asked, "amount_minor")
        if amount <= 0:
            raise Refused("amount_minor must be positive")
        with self._desk.lock:
            currency = self._desk.books.account(number).currency
            if _text(asked, "currency", currency).upper() != currency:
                raise Refused(f"account {number} is in {currency}")
            day = _text(asked, "value_date")
            checked_date(day)
            entry = Entry(
                id="",
                account=number,
                amount_minor=sign * amount,
                booking_date=day,
                value_date=day,
                kind=_text(asked, "kind", "transfer" if sign > 0 else "charge"),
                name=_text(asked, "name", ""),
                counter_account=_text(asked, "counter_account", ""),
                counter_bic=_text(asked, "counter_bic", ""),
                remittance=_text(asked, "reference", ""),
                creditor_reference=_text(asked, "creditor_reference", ""),
                end_to_end=_text(asked, "end_to_end", ""),
                charges_minor=_whole(asked, "charges_minor", 0),
            )
            nth = _whole(asked, "nth", 1)
            entry.id = entry_id("CR" if sign > 0 else "DB", nth, *asdict(entry).values())
            return asdict(self._desk.book(entry))

    def _statement(self, asked: Json) -> Json:
        path = self._desk.write_statement(
            _text(asked, "account"),
            _text(asked, "date"),
            _text(asked, "name", "") or None,
            _text(asked, "corrupt", "") or None,
        )
        return {"file": f"out/{path.name}", "bytes": path.stat().st_size}

    def _notification(self, asked: Json) -> Json:
        path = self._desk.write_notification(_text(asked, "account"), _text(asked, "date"))
        return {"file": f"out/{path.name}", "bytes": path.stat().st_size}

    def _payments(self) -> Json:
        with self._desk.lock:
            payments = [asdict(one) for one in self._desk.books.payments]
            received = sum(self._desk.books.messages.values())
        paid = [one for one in payments if one["status"] == "ACSC"]
        return {"files_received": received, "paid": len(paid), "payments": payments}

    def _refuse(self, asked: Json) -> Json:
        reason = _text(asked, "reason", "AC04")
        if not known_reason(reason):
            raise Refused(f"not a reason code of this bank: {reason}")
        with self._desk.lock:
            self._desk.books.refusals[_text(asked, "creditor_account")] = reason
            self._desk.save()
        return {"refusals": self._desk.books.refusals}

    def _plan(self, asked: Json) -> Json:
        unknown = set(asked) - {"name", "bank", "times", "after_bytes", "delay_ms"}
        if unknown:
            raise Refused(f"unknown: {', '.join(sorted(unknown))}")
        self._faults.plan(
            Fault(
                name=_text(asked, "name"),
                bank=_text(asked, "bank", "") or None,
                times=_whole(asked, "times", 0) or None,
                after_bytes=_whole(asked, "after_bytes", 0),
                delay_ms=_whole(asked, "delay_ms", 0),
            )
        )
        self._apply()
        return {"faults": self._faults.listed()}

    def _clear(self) -> Json:
        self._faults.clear()
        self._apply()
        return {"faults": []}

    def _apply(self) -> None:
        self._desk.holding = self._faults.active("hold_payments")
        self._changed()
        self._desk.sweep()


def _asked(body: bytes) -> Json:
    try:
        asked: Any = json.loads(body or b"{}", parse_float=_no_float)
    except ValueError as error:
        raise Refused(f"body is not JSON with whole numbers: {error}") from None
    if not isinstance(asked, dict):
        raise Refused("body must be a JSON object")
    return asked


def _no_float(text: str) -> int:
    raise ValueError(f"{text} is not a whole number of minor units")


def _text(asked: Json, name: str, default: str | None = None) -> str:
    value = asked.get(name, default)
    if not isinstance(value, str):
        raise Refused(f"{name} must be a text")
    return value


def _whole(asked: Json, name: str, default: int | None = None) -> int:
    value = asked.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(f"{name} must be a whole number")
    return value
