"""Anchors in memory."""

from __future__ import annotations

from datetime import date

from pardna.ledger.anchor import Anchor


class Shelf:
    """`AnchorStore`."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, date], Anchor] = {}

    def put_once(self, anchor: Anchor) -> bool:
        """See AnchorStore."""
        return self.kept.setdefault((anchor.tenant_id, anchor.day), anchor) is anchor

    def get(self, tenant_id: str, day: date) -> Anchor | None:
        """See AnchorStore."""
        return self.kept.get((tenant_id, day))
