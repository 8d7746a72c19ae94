"""The itemised payout reconciliation report: every transaction that a payout paid, as CSV.

Columns are named as in Stripe's report of that name; amounts are decimals of the major unit, times
are UTC. The payout's own transaction is not a line: the lines' nets sum to the payout.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from local.psp.balance import balance_transactions
from local.psp.records import Json, Records

COLUMNS = (
    "automatic_payout_id",
    "automatic_payout_effective_at",
    "balance_transaction_id",
    "created",
    "available_on",
    "currency",
    "gross",
    "fee",
    "net",
    "reporting_category",
    "source_id",
    "description",
    "charge_id",
    "payment_intent_id",
    "customer_id",
    "payment_method_type",
    "card_brand",
    "card_country",
    "card_funding",
    "customer_facing_amount",
    "customer_facing_currency",
    "trace_id",
    "trace_id_status",
)


def payout_report(records: Records, payout: Json) -> str:
    """The report of one payout, oldest line first. Metadata keys become extra columns, sorted."""
    members = set(payout["members"])
    lines = [one for one in balance_transactions(records) if one["id"] in members]
    charges = {one["id"]: _charge_behind(records, one) for one in lines}
    keys = sorted({key for charge in charges.values() for key in charge.get("metadata", {})})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*COLUMNS, *(f"payment_metadata[{key}]" for key in keys)])
    for one in reversed(lines):
        charge = charges[one["id"]]
        card = charge.get("card") or {}
        metadata = charge.get("metadata", {})
        writer.writerow(
            [
                payout["id"],
                _time(payout["arrival_date"]),
                one["id"],
                _time(one["created"]),
                _time(one["available_on"]),
                one["currency"],
                decimal(one["amount"]),
                decimal(one["fee"]),
                decimal(one["net"]),
                one["reporting_category"],
                one["source"] or "",
                one["description"] or "",
                charge.get("id", ""),
                charge.get("payment_intent") or "",
                charge.get("customer") or "",
                "card" if charge else "",
                card.get("brand", ""),
                card.get("country", ""),
                card.get("funding", ""),
                decimal(one["amount"]) if one["type"] in ("charge", "refund") else "",
                one["currency"] if one["type"] in ("charge", "refund") else "",
                payout["trace_id"],
                "supported",
                *(metadata.get(key, "") for key in keys),
            ]
        )
    return out.getvalue()


def decimal(minor: int) -> str:
    """Minor units as a decimal of the major unit; both currencies have two digits."""
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100}.{abs(minor) % 100:02d}"


def _charge_behind(records: Records, transaction: Json) -> Json:
    source: str = transaction["source"] or ""
    source = str(records.refunds.get(source, {}).get("charge", source))
    source = str(records.disputes.get(source, {}).get("charge", source))
    return records.charges.get(source, {})


def _time(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
