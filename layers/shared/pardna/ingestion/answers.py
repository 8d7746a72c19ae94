"""Banks' answers to payment files, in the words of whoever sent the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pardna.formats.model import PaymentStatus

#: tenant, (message id, code, end-to-end id, reason) of each status, correlation id.
Apply = Callable[[str, Sequence[tuple[str, str, str, str]], str], None]


class HandedOver:
    """`PaymentAnswers` that hands each status to `apply`, whose module this package need not know."""

    def __init__(self, apply: Apply) -> None:
        self._apply = apply

    def apply(self, tenant_id: str, statuses: Sequence[PaymentStatus], correlation_id: str) -> None:
        """See `PaymentAnswers`."""
        said = [
            (s.original_message_id, s.status, s.end_to_end_id, s.reason_code or s.reason)
            for s in statuses
        ]
        self._apply(tenant_id, said, correlation_id)
