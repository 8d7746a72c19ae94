"""What the simulator remembers, and how it survives a restart.

Only facts are stored: charges, refunds and events as they were read, and what the control API decided
(disputes, adjustments, which transactions a payout paid). Everything served is derived from them.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass
class Records:
    """Facts by id. A dispute's `outcome` is None while open, else "won" or "lost"."""

    charges: dict[str, Json] = field(default_factory=dict)
    refunds: dict[str, Json] = field(default_factory=dict)
    disputes: dict[str, Json] = field(default_factory=dict)
    adjustments: dict[str, Json] = field(default_factory=dict)
    payouts: dict[str, Json] = field(default_factory=dict)
    events: dict[str, Json] = field(default_factory=dict)

    def payout_of(self) -> dict[str, str]:
        """The payout that settled each transaction, by transaction id."""
        return {
            member: payout_id
            for payout_id, payout in self.payouts.items()
            for member in payout["members"]
        }

    def canonical(self) -> str:
        """The same text for the same facts, whatever order they came in."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


class RecordFile:
    """One JSON file, replaced as a whole: a reader never sees half of a write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = ""

    def load(self) -> Records:
        """The stored records, or empty ones when nothing was stored yet."""
        if not self._path.exists():
            return Records()
        self._written = self._path.read_text(encoding="utf-8")
        return Records(**json.loads(self._written))

    def save(self, records: Records) -> None:
        """Write, unless nothing changed since the last write."""
        text = records.canonical()
        if text == self._written:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(self._path.name + ".tmp")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, self._path)
        self._written = text
