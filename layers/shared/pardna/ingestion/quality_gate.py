"""The gate's dealings with the world: what it is told before a file, and what it leaves behind after.

Numbered write boundaries, both of which may be repeated:
1. a raw object that carries card numbers is closed (`RawRestriction`), before anything else is said
2. what the delivery was like is remembered, for later ones to be compared with
"""

from __future__ import annotations

from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO

from pardna.formats.model import Statement
from pardna.formats.profile import Profile, read_profile
from pardna.ingestion import card_numbers
from pardna.ingestion.model import RawKey, Receipt, SourceProfile
from pardna.ingestion.ports import RawRestriction, SourceHistory
from pardna.ingestion.quality import Expected
from pardna.ingestion.quality_history import ASKED_MAX, Facts
from pardna.ingestion.quality_schema import columns_of
from pardna.runtime.errors import InvalidInput
from pardna.runtime.observability import count, logger
from pardna.transactions.ports import TransactionStore


@dataclass(frozen=True, slots=True)
class QualityGate:
    """Opens a `quality.Gate` for a file, and remembers what it saw."""

    store: TransactionStore
    history: SourceHistory
    restriction: RawRestriction

    def expect(
        self, key: RawKey, file: BinaryIO, receipt: Receipt, profile: SourceProfile
    ) -> Expected:
        """What is known before the file is read; it stands at its start after.

        A file that carries card numbers is closed to everyone but the functions that read raw
        objects, also when no reader accepts it. Raises Unavailable.
        """
        expected = self.known(key, file, receipt, profile)
        named = len(card_numbers.in_text(receipt.name))  # the object's own words hold its name
        if expected.cards.count or named:
            self._close(key, expected.cards.count or named)  # boundary 1
        if receipt.channel == "webhook":
            return expected  # each is one row of a kind of its own: there is nothing to compare
        with suppress(InvalidInput):  # a layout that is none: its reader will say so
            layout = read_profile(profile.layout) if profile.layout else None
            return self._compared(expected, key, file, receipt, layout)
        return expected

    def _compared(
        self,
        expected: Expected,
        key: RawKey,
        file: BinaryIO,
        receipt: Receipt,
        layout: Profile | None,
    ) -> Expected:
        """With the source's earlier deliveries."""
        kind, columns = columns_of(file, layout)
        past = self.history.past(key.tenant_id, receipt.source_id, key.raw_sha256, ASKED_MAX)
        asked = receipt.channel == "poll"
        return replace(
            expected, columns_of=kind, columns=columns, past=past, volume_compared=not asked
        )

    def known(
        self, key: RawKey, file: BinaryIO, receipt: Receipt, profile: SourceProfile
    ) -> Expected:
        """The same, and nothing is closed: of a file that is read again. Raises Unavailable."""
        return Expected(
            source_id=receipt.source_id,
            raw_sha256=key.raw_sha256,
            currency=profile.currency,
            received_at=receipt.received_at,
            cards=card_numbers.in_file(file),
            closings=lambda _place, statement: self._closings(key.tenant_id, statement),
            last_sequence=lambda s: self._last_sequence(key, s),
        )

    def settle(
        self, key: RawKey, receipt: Receipt, format_name: str, facts: Facts, card_count: int
    ) -> None:
        """Leave behind what later deliveries, and people, must know. Raises Unavailable."""
        if card_count:
            self._close(key, card_count)  # boundary 1
        if receipt.channel != "webhook":
            self.history.remember(
                key.tenant_id,
                receipt.source_id,
                key.raw_sha256,
                receipt.received_at,
                format_name,
                facts,
            )  # boundary 2

    def _close(self, key: RawKey, card_count: int) -> None:
        self.restriction.restrict(key)
        count("CardNumbersFound", card_count)
        logger.warning(
            "Card numbers in a raw object",
            tenant_id=key.tenant_id,
            raw_sha256=key.raw_sha256,
            found_count=card_count,
        )

    def _closings(self, tenant_id: str, s: Statement) -> Set[int]:
        if s.from_date is None or s.opening_minor is None:
            return frozenset()
        return self.store.closings(tenant_id, s.source, s.currency, s.from_date)

    def _last_sequence(self, key: RawKey, s: Statement) -> str:
        day = s.from_date or s.to_date
        if day is None:
            return ""
        return self.history.last_sequence(key.tenant_id, s.source, s.currency, day, key.raw_sha256)
