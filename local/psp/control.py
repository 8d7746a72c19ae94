"""The simulator's own side, under `/_sim/`: what the world decides about the money.

    POST   /_sim/payouts      {"currency": "jmd", "date": "2026-11-23"}
    GET    /_sim/payouts/{id}/report.csv
    POST   /_sim/disputes     {"charge": "ch_...", "amount": 500, "reason": "fraudulent"}
    POST   /_sim/disputes/{id}/close   {"outcome": "won" | "lost"}
    POST   /_sim/adjustments  {"currency": "usd", "amount": -250, "description": "...",
                               "type": "adjustment" | "stripe_fee"}
    POST   /_sim/faults       {"name": "rate_limit" | "server_error", "times": 2}
    GET    /_sim/digest       one hash over everything known, to see whether anything changed
    GET    /_sim/health
    DELETE /_sim/state

Amounts are whole minor units. No key is asked for: the server binds to the loopback address.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from local.psp import objects, settle
from local.psp.answers import Answer, error_answer, json_answer
from local.psp.records import Json
from local.psp.report import payout_report
from local.psp.resources import find
from local.psp.simulator import Simulator
from local.psp.upstream import UpstreamUnavailable


class BadControl(ValueError):
    """A control request that cannot be read. The text says why."""


class Control:
    """Answers control requests."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def handle(self, method: str, path: str, body: bytes) -> Answer:
        """Answer one request and keep what it decided."""
        parts = path.strip("/").split("/")[1:]
        try:
            if method == "GET":
                answer = self._look(parts)
            elif method == "POST":
                answer = self._decide(parts, _asked(body))
            elif method == "DELETE" and parts == ["state"]:
                self._simulator.forget()
                answer = json_answer(200, {"ok": True})
            else:
                answer = None
        except (settle.Refused, BadControl) as refusal:
            return error_answer(400, str(refusal))
        except UpstreamUnavailable as gone:
            return error_answer(503, f"The card simulator did not answer. {gone}", "api_error")
        finally:
            self._simulator.save()
        return answer or error_answer(404, f"Unrecognized request URL ({method}: {path}).")

    def _look(self, parts: list[str]) -> Answer | None:
        if parts == ["health"]:
            return json_answer(200, {"ok": True})
        if parts == ["digest"]:
            self._simulator.refresh()
            text = self._simulator.records.canonical()
            return json_answer(200, {"sha256": hashlib.sha256(text.encode()).hexdigest()})
        if len(parts) == 3 and parts[0] == "payouts" and parts[2] == "report.csv":
            payout = self._simulator.records.payouts.get(parts[1])
            if payout is not None:
                report = payout_report(self._simulator.records, payout)
                return Answer(200, report.encode(), "text/csv; charset=utf-8")
        return None

    def _decide(self, parts: list[str], asked: Json) -> Answer | None:
        if parts == ["faults"]:
            return self._plan_fault(asked)
        self._simulator.refresh()
        records = self._simulator.records
        if parts == ["payouts"]:
            currency, day = _text(asked, "currency"), _text(asked, "date")
            paid, new = settle.pay_out(records, currency, day)
            return json_answer(201 if new else 200, objects.payout(records, paid))
        if parts == ["disputes"]:
            opened = settle.open_dispute(
                records,
                _text(asked, "charge"),
                _whole(asked, "amount"),
                asked.get("reason", "fraudulent"),
                _whole(asked, "created"),
            )
            return json_answer(200, objects.dispute(records, opened))
        if len(parts) == 3 and parts[0] == "disputes" and parts[2] == "close":
            outcome, when = _text(asked, "outcome"), _whole(asked, "created")
            closed = settle.close_dispute(records, parts[1], outcome, when)
            return json_answer(200, objects.dispute(records, closed))
        if parts == ["adjustments"]:
            made = settle.adjust(
                records,
                _text(asked, "currency"),
                _whole(asked, "amount") or 0,
                _text(asked, "description"),
                asked.get("type", "adjustment"),
                _whole(asked, "created"),
            )
            return json_answer(200, find(records, made["id"]) or {})
        return None

    def _plan_fault(self, asked: Json) -> Answer:
        if asked.get("name") not in ("rate_limit", "server_error"):
            raise BadControl("name must be rate_limit or server_error")
        self._simulator.faults.append({**asked, "times": _whole(asked, "times") or 1})
        return json_answer(200, {"planned": self._simulator.faults})


def _asked(body: bytes) -> Json:
    try:
        asked: Any = json.loads(body or b"{}", parse_float=_no_float)
    except ValueError as error:
        raise BadControl(f"body is not JSON with whole numbers: {error}") from None
    if not isinstance(asked, dict):
        raise BadControl("body must be a JSON object")
    return asked


def _no_float(text: str) -> int:
    raise ValueError(f"{text} is not a whole number of minor units")


def _text(asked: Json, name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise BadControl(f"{name} must be a text")
    return value


def _whole(asked: Json, name: str) -> int | None:
    value = asked.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise BadControl(f"{name} must be a whole number")
    return value
