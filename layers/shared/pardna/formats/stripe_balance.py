"""Balance transactions and payouts of Stripe's API, in the documents that our poller keeps.

A document is ``{"object": "pardna.stripe_listing", "resource": "balance_transactions" | "payouts",
"payout": "po_..." | null, "data": [objects as the API gave them]}``. The API's own pages do not say
which payout they were asked for, so the document does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pardna.formats import json_text
from pardna.formats.model import Origin, Parsed, Problem
from pardna.formats.stripe_objects import from_balance_transaction, from_payout, identifier
from pardna.runtime.errors import InvalidInput, UnreadableFile
from pardna.transactions.model import Transaction

FORMAT = "stripe.balance"
OBJECT = "pardna.stripe_listing"


def read(data: bytes, origin: Origin) -> Parsed:
    """The transactions of one document. Raises UnreadableFile when it is none of ours."""
    document = json_text.loads(data)
    if not isinstance(document, Mapping) or document.get("object") != OBJECT:
        raise UnreadableFile("stripe.no_listing", "this is not a listing of Stripe objects")
    rows, payout = document.get("data"), identifier(document.get("payout"))
    if not isinstance(rows, list):
        raise UnreadableFile("stripe.no_listing", "the listing has no data")
    found: list[Transaction] = []
    problems: list[Problem] = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(_one(row, origin, f"row {number}", payout))
        except InvalidInput as error:
            problems.append(Problem(error.code, f"row {number}", error.detail))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"the object lacks or garbles a field ({type(error).__name__})"
            problems.append(Problem("stripe.row", f"row {number}", reason))
    return Parsed(FORMAT, transactions=tuple(found), problems=tuple(problems))


def _one(row: Any, origin: Origin, position: str, payout: str) -> Transaction:
    if row["object"] == "payout":
        return from_payout(row, origin, position)
    if row["object"] == "balance_transaction":
        return from_balance_transaction(row, origin, position, payout)
    raise InvalidInput("stripe.row", "neither a balance transaction nor a payout")
