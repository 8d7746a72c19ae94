"""Fixtures of libraries that wrap what goes over the wire: each inner document is a file of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def documents(path: Path, kind: str, folder: Path) -> list[Path]:
    """The files to read for a fixture: itself, or its inner documents written to `folder`."""
    inner = list(_inner(path, kind))
    written = []
    for number, document in enumerate(inner):
        target = folder / f"{path.stem}_{number}.json"
        target.write_text(json.dumps(document), encoding="utf-8")
        written.append(target)
    return written or [path]


def _inner(path: Path, kind: str) -> Iterator[Any]:
    if kind == "psp/gocardless":
        whole = json.loads(path.read_text(encoding="utf-8"))
        for call in whole.values():
            if isinstance(call, dict) and "body" in call:
                yield _polled(call["body"])
    elif path.name == "fixtures3.json":
        wanted = ("balance_transaction", "charge", "dispute", "payment_intent", "payout", "refund")
        resources = json.loads(path.read_text(encoding="utf-8"))["resources"]
        yield from (resources[name] for name in wanted)


def _polled(page: Any) -> Any:
    """Payout items as our poller keeps them: with what their payout says."""
    if "payout_items" not in page:
        return page
    payout = {"payout": "PO123", "currency": "EUR", "created_at": "2014-01-01T12:00:00.000Z"}
    return {"object": "pardna.gocardless_listing", **payout, **page}
