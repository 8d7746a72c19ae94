"""The canonical transaction: one movement of money as one side of it reports it.

Identity rule. `source` is the account at the provider (``stripe:acct_1``, ``ncb:001-12345``),
never the channel that brought the bytes; `external_id` is the provider's money object
(``txn_…``, the bank's entry reference), never an event or file id. Together with the tenant they
*are* the transaction: `transaction_id` is computed from them, by every part, without asking.

Version rule. The same content again changes nothing. Different content (a report brings the fee
that a webhook lacked) is the next version; what a later, poorer report does not know is kept
(`merging.merge`), so that the order in which channels deliver does not matter.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from typing import Any, NamedTuple

from pardna.money.model import Money, exponent
from pardna.runtime.errors import InvalidInput

_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,38})[a-z0-9]")
_SOURCE = re.compile(r"[a-z0-9_]{2,20}:[A-Za-z0-9._/-]{1,64}")
_INT64 = 2**63
TEXT_MAX = 500
#: Halves of UTF-16 pairs, which are no characters.
_HALF = re.compile("[\ud800-\udfff]")
_WRITABLE = "at most {} characters without NUL and without halves of characters"
REFERENCES_MAX = 50


class Side(StrEnum):
    """Who reports: our own books, the payment provider, or the bank."""

    INTERNAL = "internal"
    PSP = "psp"
    BANK = "bank"


class Kind(StrEnum):
    """What the money did."""

    CHARGE = "charge"
    REFUND = "refund"
    FEE = "fee"
    PAYOUT = "payout"
    DISPUTE = "dispute"
    DISPUTE_REVERSAL = "dispute_reversal"
    TRANSFER = "transfer"
    ADJUSTMENT = "adjustment"
    CONTRIBUTION = "contribution"
    DRAW = "draw"


class Strength(StrEnum):
    """Whether a reference alone identifies the payment."""

    STRONG = "strong"
    WEAK = "weak"


class Reference(NamedTuple):
    """A reference that the record carries, e.g. ``Reference("charge", "ch_1", STRONG)``.

    Types in use: contribution, draw, charge, payment_intent, payout, refund, dispute, end_to_end,
    bank_reference, payment_reference, text.
    """

    type: str
    value: str
    strength: Strength = Strength.WEAK


@dataclass(frozen=True, slots=True)
class Counterparty:
    """The other party, as the record names it; personal data, never logged."""

    name: str = ""
    account: str = ""


class _Unsealed:
    """A transaction while its fields are being set; see `Transaction.__init__`."""

    __slots__ = (
        *("tenant_id", "source", "external_id", "side", "kind", "amount_minor", "currency"),
        *("occurred_at", "raw_sha256", "raw_position", "value_date", "account", "gross_minor"),
        *("fee_minor", "net_minor", "counterparty", "description", "references", "batch_id"),
    )


_NOBODY = Counterparty()
_set = object.__setattr__


@dataclass(frozen=True, slots=True, init=False)
class Transaction:
    """One movement. Amounts are signed integers of minor units: money to us is positive.

    `amount_minor` is what moved on `account`; for a PSP record `gross_minor - fee_minor =
    net_minor` where known (None means *not known yet*, zero means *none*). `batch_id` is the
    provider's payout that settles it. `raw_sha256` and `raw_position` lead back to the bytes; they
    are provenance, not content: the same movement in another file is the same version.
    """

    tenant_id: str
    source: str
    external_id: str
    side: Side
    kind: Kind
    amount_minor: int
    currency: str
    occurred_at: datetime
    raw_sha256: str
    raw_position: str
    value_date: date | None = None
    account: str = ""
    gross_minor: int | None = None
    fee_minor: int | None = None
    net_minor: int | None = None
    counterparty: Counterparty = _NOBODY
    description: str = ""
    references: tuple[Reference, ...] = ()
    batch_id: str = ""

    def __init__(
        self,
        tenant_id: str,
        source: str,
        external_id: str,
        side: Side,
        kind: Kind,
        amount_minor: int,
        currency: str,
        occurred_at: datetime,
        raw_sha256: str,
        raw_position: str,
        value_date: date | None = None,
        account: str = "",
        gross_minor: int | None = None,
        fee_minor: int | None = None,
        net_minor: int | None = None,
        counterparty: Counterparty = _NOBODY,
        description: str = "",
        references: tuple[Reference, ...] = (),
        batch_id: str = "",
    ) -> None:
        # What a frozen dataclass would do by itself, at a quarter of its time, once a row of every
        # file: fields are set while the object is of a class with the same slots that is not frozen.
        _set(self, "__class__", _Unsealed)
        t: Any = self
        t.tenant_id = tenant_id
        t.source = source
        t.external_id = external_id
        t.side = side
        t.kind = kind
        t.amount_minor = amount_minor
        t.currency = currency
        t.occurred_at = occurred_at
        t.raw_sha256 = raw_sha256
        t.raw_position = raw_position
        t.value_date = value_date
        t.account = account
        t.gross_minor = gross_minor
        t.fee_minor = fee_minor
        t.net_minor = net_minor
        t.counterparty = counterparty
        t.description = description
        t.references = references
        t.batch_id = batch_id
        t.__class__ = Transaction
        problems = _problems(self)
        if problems:
            raise InvalidInput("transaction.invalid", "; ".join(problems))

    @property
    def transaction_id(self) -> str:
        """See `transaction_id`."""
        return transaction_id(self.tenant_id, self.source, self.external_id)

    @property
    def amount(self) -> Money:
        """The amount as money."""
        return Money(self.amount_minor, self.currency)

    @property
    def content_hash(self) -> str:
        """SHA-256 over everything but provenance; equal hashes mean nothing new was said."""
        return canonical(self)[1]


def transaction_id(tenant_id: str, source: str, external_id: str) -> str:
    """The UUID (version 8, RFC 9562) that tenant, source and external id determine."""
    h = hashlib.sha256("\x1f".join((tenant_id, source, external_id)).encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-8{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


#: The digit that says how a UUID is laid out: its two high bits are always 10.
_VARIANT = {digit: "89ab"[int(digit, 16) & 0b11] for digit in "0123456789abcdef"}


def _problems(t: Transaction) -> list[str]:
    """Everything wrong with a transaction, in words; empty when it is sound."""
    # Of a file's rows most say the same of these: they are looked at once.
    found = list(_problems_of_names(t.tenant_id, t.source, t.currency, t.raw_sha256))
    if not 1 <= len(t.external_id) <= 200 or not t.external_id.isprintable():
        found.append("external_id must be 1 to 200 printable characters")
    gross, fee, net = t.gross_minor, t.fee_minor, t.net_minor
    alone = gross is None and fee is None and net is None
    for amount in (t.amount_minor,) if alone else (t.amount_minor, gross, fee, net):
        if amount is not None and (type(amount) is not int or abs(amount) >= _INT64):
            found.append("amounts are 64-bit integers of minor units")
            break
    else:
        if gross is not None and fee is not None and net is not None and gross - fee != net:
            found.append("gross - fee is not net")
    if t.occurred_at.tzinfo is None:
        found.append("occurred_at needs a zone")
    if len(t.references) > REFERENCES_MAX:
        found.append(f"at most {REFERENCES_MAX} references of 200 characters")
    for reference in t.references:
        value = reference.value
        if len(value) > 200 or "\x00" in value or not (value.isascii() or _is_whole(value)):
            found.append(f"references are {_WRITABLE.format(200)}")
            break
    party = t.counterparty
    every = "".join((t.description, t.account, t.batch_id, party.name, party.account))
    if len(every) > TEXT_MAX or "\x00" in every or not (every.isascii() or _is_whole(every)):
        for text in (t.description, t.account, t.batch_id, party.name, party.account):
            if len(text) > TEXT_MAX or "\x00" in text or not _is_whole(text):
                found.append(f"texts are {_WRITABLE.format(TEXT_MAX)}")
                break
    return found


def _is_whole(text: str) -> bool:
    """Whether no character is half of one: JSON can say such, no store can keep them."""
    return _HALF.search(text) is None


@lru_cache(maxsize=1024)
def _problems_of_names(
    tenant_id: str, source: str, currency: str, raw_sha256: str
) -> tuple[str, ...]:
    found = []
    if not _TENANT.fullmatch(tenant_id):
        found.append("tenant_id is not a tenant's name")
    if not _SOURCE.fullmatch(source):
        found.append("source is not provider:account")
    try:
        exponent(currency)
    except ValueError:
        found.append("currency is not an ISO 4217 code")
    if not re.fullmatch(r"[0-9a-f]{64}", raw_sha256):
        found.append("raw_sha256 is not a SHA-256")
    return tuple(found)


def to_dict(transaction: Transaction) -> dict[str, Any]:
    """Plain JSON types; instants ISO 8601, references sorted, so that equal is equal bytes."""
    t = transaction
    # By hand: `dataclasses.asdict` copies deeply and takes ten times as long, per row of every file.
    return {
        "tenant_id": t.tenant_id,
        "source": t.source,
        "external_id": t.external_id,
        "side": t.side.value,
        "kind": t.kind.value,
        "amount_minor": t.amount_minor,
        "currency": t.currency,
        "occurred_at": t.occurred_at.isoformat(),
        "raw_sha256": t.raw_sha256,
        "raw_position": t.raw_position,
        "value_date": t.value_date.isoformat() if t.value_date else None,
        "account": t.account,
        "gross_minor": t.gross_minor,
        "fee_minor": t.fee_minor,
        "net_minor": t.net_minor,
        "counterparty": {"name": t.counterparty.name, "account": t.counterparty.account},
        "description": t.description,
        "references": [
            {"type": r.type, "value": r.value, "strength": r.strength.value}
            for r in sorted(t.references)
        ],
        "batch_id": t.batch_id,
    }


def canonical(transaction: Transaction) -> tuple[str, str]:
    """Body (the JSON of `to_dict`) and content hash, for stores that take many.

    The hash is SHA-256 over the same without provenance, with keys sorted and no blanks. Both are
    written out here because `json` takes five times as long, once a row of every file; that they
    are what `json` makes of `to_dict` is tested.
    """
    t = transaction
    currency, gross, fee, net = t.currency, *_numbers(t.gross_minor, t.fee_minor, t.net_minor)
    source, external_id = _quoted(t.source), _quoted(t.external_id)
    account, description = _quoted(t.account), _quoted(t.description)
    batch_id = _quoted(t.batch_id)
    name, number = _quoted(t.counterparty.name), _quoted(t.counterparty.account)
    occurred = t.occurred_at.isoformat()
    valued = f'"{t.value_date.isoformat()}"' if t.value_date else "null"
    references = t.references if len(t.references) < 2 else sorted(t.references)
    quoted = [(_quoted(r.type), _quoted(r.value), r.strength) for r in references]
    listed = ", ".join([f'{{"type": {a}, "value": {b}, "strength": "{c}"}}' for a, b, c in quoted])
    packed = ",".join([f'{{"strength":"{c}","type":{a},"value":{b}}}' for a, b, c in quoted])
    body = (
        f'{{"tenant_id": "{t.tenant_id}", "source": {source}, "external_id": {external_id},'
        f' "side": "{t.side}", "kind": "{t.kind}", "amount_minor": {t.amount_minor},'
        f' "currency": "{currency}", "occurred_at": "{occurred}", "raw_sha256": "{t.raw_sha256}",'
        f' "raw_position": {_quoted(t.raw_position)}, "value_date": {valued},'
        f' "account": {account}, "gross_minor": {gross}, "fee_minor": {fee}, "net_minor": {net},'
        f' "counterparty": {{"name": {name}, "account": {number}}}, "description": {description},'
        f' "references": [{listed}], "batch_id": {batch_id}}}'
    )
    content = (
        f'{{"account":{account},"amount_minor":{t.amount_minor},"batch_id":{batch_id},'
        f'"counterparty":{{"account":{number},"name":{name}}},"currency":"{currency}",'
        f'"description":{description},"external_id":{external_id},"fee_minor":{fee},'
        f'"gross_minor":{gross},"kind":"{t.kind}","net_minor":{net},"occurred_at":"{occurred}",'
        f'"references":[{packed}],"side":"{t.side}","source":{source},'
        f'"tenant_id":"{t.tenant_id}","value_date":{valued}}}'
    )
    return body, hashlib.sha256(content.encode()).hexdigest()


def _numbers(*amounts: int | None) -> list[str]:
    """Amounts as JSON has them."""
    return ["null" if amount is None else str(amount) for amount in amounts]


def from_dict(plain: dict[str, Any]) -> Transaction:
    """The inverse of `to_dict`; raises InvalidInput for anything else."""
    try:
        fields = dict(plain)
        fields["side"], fields["kind"] = Side(fields["side"]), Kind(fields["kind"])
        fields["occurred_at"] = datetime.fromisoformat(fields["occurred_at"])
        value_date = fields.get("value_date")
        fields["value_date"] = date.fromisoformat(value_date) if value_date else None
        fields["counterparty"] = Counterparty(**fields.get("counterparty", {}))
        fields["references"] = tuple(
            Reference(r["type"], r["value"], Strength(r["strength"]))
            for r in fields.get("references", ())
        )
        return Transaction(**fields)
    except InvalidInput:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput("transaction.unreadable", f"not a transaction: {error}") from error
