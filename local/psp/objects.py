"""Charges, refunds, disputes and payouts in the shape in which Stripe's API returns them.

Field sets follow Stripe's published OpenAPI description (the objects' required fields and those
that a card payment fills); tests compare them with it and with the classes generated from it.
"""

from __future__ import annotations

from local.psp import balance
from local.psp.identifiers import derived_id
from local.psp.records import Json, Records

_EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)
# Visa's published reason code for each of Stripe's reasons.
_NETWORK_REASON = {
    "credit_not_processed": "13.7",
    "duplicate": "12.6",
    "fraudulent": "10.4",
    "general": "10.4",
    "product_not_received": "13.1",
    "product_unacceptable": "13.3",
    "subscription_canceled": "13.2",
    "unrecognized": "10.4",
}
_ANSWER_WITHIN_SECONDS = 9 * 86_400
_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def charge(records: Records, one: Json) -> Json:
    """A charge, with the payment intent's metadata on it as Stripe puts it there."""
    refunded = sum(r["amount"] for r in records.refunds.values() if r["charge"] == one["id"])
    succeeded = one["status"] == "succeeded"
    captured = succeeded and bool(one["captured"])
    return {
        "id": one["id"],
        "object": "charge",
        "amount": one["amount"],
        "amount_captured": one["amount"] if captured else 0,
        "amount_refunded": refunded,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": balance.charge_transaction_id(one) if captured else None,
        "billing_details": _billing(one.get("billing_details") or {}),
        "calculated_statement_descriptor": "PARDNA" if succeeded else None,
        "captured": bool(one["captured"]) and succeeded,
        "created": one["created"],
        "currency": one["currency"],
        "customer": one.get("customer"),
        "description": one.get("description"),
        "disputed": any(d["charge"] == one["id"] for d in records.disputes.values()),
        "failure_balance_transaction": None,
        "failure_code": one.get("failure_code"),
        "failure_message": one.get("failure_message"),
        "fraud_details": {},
        "livemode": False,
        "metadata": one.get("metadata") or {},
        "on_behalf_of": None,
        "outcome": _outcome(succeeded),
        "paid": succeeded,
        "payment_intent": one.get("payment_intent"),
        "payment_method": one.get("payment_method"),
        "payment_method_details": {"card": _card(one), "type": "card"},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": refunded >= one["amount"],
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": one.get("statement_descriptor"),
        "statement_descriptor_suffix": None,
        "status": one["status"],
        "transfer_data": None,
        "transfer_group": None,
    }


def refund(records: Records, one: Json) -> Json:
    """A refund, tied to its charge and payment intent."""
    of = records.charges.get(one["charge"], {})
    return {
        "id": one["id"],
        "object": "refund",
        "amount": one["amount"],
        "balance_transaction": balance.refund_transaction_id(one),
        "charge": one["charge"],
        "created": one["created"],
        "currency": one["currency"],
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": one.get("metadata") or {},
        "payment_intent": one.get("payment_intent") or of.get("payment_intent"),
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": one["status"],
        "transfer_reversal": None,
    }


def dispute(records: Records, one: Json) -> Json:
    """A dispute with the balance transactions that withdrew and perhaps returned the money."""
    movements = [t for t in balance.balance_transactions(records) if t["source"] == one["id"]]
    card = _card(records.charges.get(one["charge"], {}))
    return {
        "id": one["id"],
        "object": "dispute",
        "amount": one["amount"],
        "balance_transactions": sorted(movements, key=lambda t: t["reporting_category"]),
        "charge": one["charge"],
        "created": one["created"],
        "currency": one["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": one["created"] + _ANSWER_WITHIN_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": one["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": card["brand"] or "visa",
                "case_type": "chargeback",
                "network_reason_code": _NETWORK_REASON[one["reason"]],
            },
            "type": "card",
        },
        "reason": one["reason"],
        "status": one["outcome"] or "needs_response",
    }


def payout(_: Records, one: Json) -> Json:
    """An automatic payout that has arrived. `trace_id.value` is what the bank line can carry."""
    return {
        "id": one["id"],
        "object": "payout",
        "amount": one["amount"],
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": one["arrival_date"],
        "automatic": True,
        "balance_transaction": one["balance_transaction"],
        "created": one["created"],
        "currency": one["currency"],
        "description": "STRIPE PAYOUT",
        "destination": derived_id("ba_", "settlement account", one["currency"]),
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "completed",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "paid",
        "trace_id": {"status": "supported", "value": one["trace_id"]},
        "type": "bank_account",
    }


def _outcome(succeeded: bool) -> Json:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if succeeded else "declined_by_network",
        "reason": None if succeeded else "generic_decline",
        "risk_level": "normal",
        "seller_message": "Payment complete." if succeeded else "The bank declined the payment.",
        "type": "authorized" if succeeded else "issuer_declined",
    }


def _billing(details: Json) -> Json:
    address = details.get("address") or {}
    return {
        "address": {key: address.get(key) for key in _ADDRESS},
        "email": details.get("email"),
        "name": details.get("name"),
        "phone": details.get("phone"),
        "tax_id": None,
    }


def _card(one: Json) -> Json:
    card = one.get("card") or {}
    return {
        "amount_authorized": one.get("amount"),
        "authorization_code": None,
        "brand": card.get("brand"),
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": card.get("country"),
        "exp_month": card.get("exp_month"),
        "exp_year": card.get("exp_year"),
        "fingerprint": card.get("fingerprint"),
        "funding": card.get("funding"),
        "installments": None,
        "last4": card.get("last4"),
        "mandate": None,
        "network": card.get("brand"),
        "network_token": {"used": False},
        "network_transaction_id": None,
        "regulated_status": None,
        "three_d_secure": None,
        "wallet": None,
    }
