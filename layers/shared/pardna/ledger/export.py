"""Exports and receipts out of PostgreSQL, for `pardna.ledger.verify` to check anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from pardna.database.session import Connection
from pardna.ledger.seal import JOURNAL_ID, Sealed, leaf, proof
from pardna.ledger.verify import EXPORT, RECEIPT
from pardna.runtime.errors import Conflict, NotFound

_BLOCK = (
    "SELECT height, from_xid::text AS from_xid, to_xid::text AS to_xid, journals,"
    " encode(root, 'hex') AS root, encode(previous, 'hex') AS previous,"
    " encode(hash, 'hex') AS hash, leaves FROM ledger.blocks"
)
_NAMES = ("height", "from_xid", "to_xid", "journals", "root", "previous", "hash")


#: Archived journals of transactions from (inclusive) to (exclusive).
Archived = Callable[[int, int], list[Sealed]]


def export_lines(
    connection: Connection, tenant_id: str, archived: Archived | None = None
) -> Iterator[str]:
    """All sealed blocks with their journals, one JSON line each; a block at a time in memory.

    Journals of archived months come from `archived` (`parquet.DuckParquet.sealed`). Raises Conflict
    (``ledger.archived``) when a block needs them and nobody gives them.
    """
    yield json.dumps({"format": EXPORT, "tenant_id": tenant_id})
    heights = connection.execute("SELECT height FROM ledger.blocks ORDER BY height").fetchall()
    for (height,) in heights:
        block, leaves = _block(connection, height)
        yield json.dumps({"block": block | {"leaves": [one.hex() for one in leaves]}})
        journals = _journals(connection, height)
        if len(journals) < len(leaves) and _is_archived(connection):
            if archived is None:
                raise Conflict("ledger.archived", f"block {height} holds archived journals")
            journals += archived(int(block["from_xid"]), int(block["to_xid"]))
            journals.sort(key=lambda journal: journal.order)
        for journal in journals:
            yield json.dumps(_record(journal))


def receipt(connection: Connection, journal_id: str, up_to: int = 0) -> dict[str, Any]:
    """One journal with its proof, on to block `up_to` (an anchored one), if that is a later one.

    Raises NotFound when the journal is unknown or not sealed yet, or there is no such block.
    """
    row = connection.execute("SELECT ledger.block_of(%s::uuid)", (journal_id,)).fetchone()
    if row is None or row[0] is None:
        raise NotFound("ledger.not_sealed", "no sealed block holds this journal")
    block, leaves = _block(connection, row[0])
    journals = _journals(connection, row[0])
    position = next(i for i, j in enumerate(journals) if j.fields[JOURNAL_ID] == journal_id)
    steps = proof(leaves, position)
    return {
        "format": RECEIPT,
        "block": block,
        **_record(journals[position]),
        "proof": [[side, other.hex()] for side, other in steps],
        "chain": [_block(connection, height)[0] for height in range(row[0] + 1, up_to + 1)],
    }


def _is_archived(connection: Connection) -> bool:
    row = connection.execute("SELECT ledger.archived_until()").fetchone()
    return row is not None and row[0] is not None


def _block(connection: Connection, height: int) -> tuple[dict[str, Any], list[bytes]]:
    row = connection.execute(f"{_BLOCK} WHERE height = %s", (height,)).fetchone()
    if row is None:
        raise NotFound("ledger.no_block", f"there is no block {height}")
    size = len(leaf([]))
    leaves = bytes(row[-1])
    return dict(zip(_NAMES, row, strict=False)), [
        leaves[start : start + size] for start in range(0, len(leaves), size)
    ]


def _journals(connection: Connection, height: int) -> list[Sealed]:
    rows = connection.execute("SELECT fields, opening FROM ledger.block_journals(%s)", (height,))
    return [
        Sealed(tuple(field or "" for field in fields), tuple(opening or ()))
        for fields, opening in rows
    ]


def _record(journal: Sealed) -> dict[str, Any]:
    record: dict[str, Any] = {"journal": list(journal.fields)}
    return record | ({"opening": list(journal.opening)} if journal.opening else {})
