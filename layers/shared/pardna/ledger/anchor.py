"""Anchors: each day, what the head of a tenant's chain of blocks is, kept where nobody can change it.

Whoever rewrites the ledger and seals it anew cannot rewrite the anchors: the day's object is written
once, in a bucket that keeps versions (and locks them, in production). Each run looks whether the
anchors of the last days still lie on the chain.

An anchor is one JSON object: {"format": "pardna-ledger-anchor-1", "tenant_id": "...",
"day": "2026-11-21", "height": 7, "hash": "<hex>"}.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Protocol

ANCHOR = "pardna-ledger-anchor-1"
#: Days back that each run compares with the chain.
DAYS_COMPARED = 7


@dataclass(frozen=True, slots=True)
class Head:
    """A block of a chain: its height and its hash (hex)."""

    height: int
    hash: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of a tenant's chain on a day (UTC)."""

    tenant_id: str
    day: date
    height: int
    hash: str

    def to_json(self) -> str:
        """The same text for the same anchor, always."""
        fields = {"tenant_id": self.tenant_id, "height": self.height, "hash": self.hash}
        return json.dumps({"format": ANCHOR, "day": self.day.isoformat(), **fields}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Anchor:
        """Raises ValueError for text that is not an anchor."""
        try:
            plain = json.loads(text)
            if plain["format"] != ANCHOR:
                raise ValueError(f"not {ANCHOR}")
            hash_hex = str(plain["hash"])
            if len(bytes.fromhex(hash_hex)) != 32:
                raise ValueError("not a hash")
            day = date.fromisoformat(plain["day"])
            return cls(str(plain["tenant_id"]), day, int(plain["height"]), hash_hex)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is not an anchor: {error}") from error


class Anchored(Enum):
    """What became of a day's anchor."""

    WRITTEN = "written"
    ALREADY = "already"
    NOTHING_SEALED = "nothing_sealed"
    BROKEN = "broken"  # an anchor that was written names a block that the chain does not hold


class Chain(Protocol):
    """A tenant's sealed blocks."""

    def head(self, tenant_id: str) -> Head | None:
        """The last block; None before the first. Raises Unavailable."""

    def hash_at(self, tenant_id: str, height: int) -> str:
        """The hash (hex) of a block, empty when there is none. Raises Unavailable."""


class AnchorStore(Protocol):
    """Where anchors are kept, one for each tenant and day."""

    def put_once(self, anchor: Anchor) -> bool:
        """Keep it; False when this tenant's anchor of the day is kept already. Raises Unavailable."""

    def get(self, tenant_id: str, day: date) -> Anchor | None:
        """The anchor of a day. Raises Unavailable, and InvalidInput when it cannot be read."""


class Anchoring:
    """Writes the day's anchor and compares those of the last days with the chain."""

    def __init__(self, chain: Chain, store: AnchorStore) -> None:
        self._chain = chain
        self._store = store

    def anchor(self, tenant_id: str, day: date) -> Anchored:
        """Once a day, however often it is called; a chain that was changed gets no new anchor."""
        for back in range(DAYS_COMPARED + 1):
            kept = self._store.get(tenant_id, day - timedelta(days=back))
            if kept is not None and not self._holds(tenant_id, kept):
                return Anchored.BROKEN
            if kept is not None and not back:
                return Anchored.ALREADY
        head = self._chain.head(tenant_id)
        if head is None:
            return Anchored.NOTHING_SEALED
        if self._store.put_once(Anchor(tenant_id, day, head.height, head.hash)):
            return Anchored.WRITTEN
        return Anchored.ALREADY

    def _holds(self, tenant_id: str, kept: Anchor) -> bool:
        return kept.tenant_id == tenant_id and (
            self._chain.hash_at(tenant_id, kept.height) == kept.hash
        )
