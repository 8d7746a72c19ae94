"""What ``transaction.recorded`` says: the event that the ledger and matching live on.

    envelope.subject  = "{transaction_id}:{version}"        (so the same version is announced once)
    envelope.key      = transaction_id                      (partition key on the stream)
    envelope.data     = to_dict(transaction)                (model.to_dict, flat)
                        + "transaction_id": str
                        + "version": int, from 1
                        + "previous": to_dict(...)          (version - 1, only when version > 1)

`previous` is the whole body of the version before, so that the ledger reverses what it posted
without asking anyone. Consumers call `TransactionRecorded.from_envelope` and never pick in `data`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pardna.runtime.errors import InvalidInput
from pardna.runtime.events import TRANSACTION_RECORDED, Envelope
from pardna.transactions.model import Transaction, from_dict, to_dict

_OURS = ("transaction_id", "version", "previous")


@dataclass(frozen=True, slots=True)
class TransactionRecorded:
    """One version of a transaction has become true; `previous` is the one that it replaces."""

    transaction: Transaction
    version: int
    previous: Transaction | None = None

    @property
    def transaction_id(self) -> str:
        """The identity; see `model.transaction_id`."""
        return self.transaction.transaction_id

    def to_data(self) -> dict[str, Any]:
        """The envelope's `data`; see the module's first lines."""
        data = to_dict(self.transaction)
        data |= {"transaction_id": self.transaction_id, "version": self.version}
        if self.previous is not None:
            data["previous"] = to_dict(self.previous)
        return data

    def to_envelope(self, occurred_at: str, correlation_id: str) -> Envelope:
        """The event; `occurred_at` is when it was recorded (ISO 8601, UTC)."""
        return Envelope(
            event_type=TRANSACTION_RECORDED,
            tenant_id=self.transaction.tenant_id,
            subject=f"{self.transaction_id}:{self.version}",
            key=self.transaction_id,
            occurred_at=occurred_at,
            correlation_id=correlation_id,
            data=self.to_data(),
        )

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TransactionRecorded:
        """The inverse of `to_data`; raises InvalidInput for anything else."""
        body = {name: value for name, value in data.items() if name not in _OURS}
        version, previous = data.get("version"), data.get("previous")
        if type(version) is not int or version < 1 or (version > 1) != (previous is not None):
            raise InvalidInput("transaction.unreadable", "version and previous do not agree")
        transaction = from_dict(body)
        if data.get("transaction_id") != transaction.transaction_id:
            raise InvalidInput("transaction.unreadable", "the id is not the content's")
        return cls(transaction, version, None if previous is None else from_dict(previous))

    @classmethod
    def from_envelope(cls, envelope: Envelope) -> TransactionRecorded:
        """Raises InvalidInput when the envelope is another event, or of another tenant's record."""
        if envelope.event_type != TRANSACTION_RECORDED:
            raise InvalidInput("transaction.unreadable", f"{envelope.event_type} is another event")
        recorded = cls.from_data(envelope.data)
        if recorded.transaction.tenant_id != envelope.tenant_id:
            raise InvalidInput("transaction.unreadable", "the record is another tenant's")
        return recorded
