"""Check an export of the ledger, or a single receipt, offline: standard library only.

An export is a text file of JSON lines:

    {"format": "pardna-ledger-export-1", "tenant_id": "..."}
    {"block": {"height": 1, "from_xid": "0", ..., "hash": "<hex>", "leaves": ["<hex>", ...]}}
    {"journal": ["pardna-journal-2", ...], "opening": ["<salt>", "<description>", ...]}
    {"block": ...}

with one journal for each leaf, in order. The opening is absent where the texts were erased, and in
journals of the format pardna-journal-1, which hold their texts themselves.

A receipt is one JSON object: {"format": "pardna-ledger-receipt-1", "block": {... without leaves},
"journal": [...], "opening": [...], "proof": [["left" | "right", "<hex>"], ...], "chain": [{... a later block}, ...]};
`chain` leads on to the block that was anchored, and may be absent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pardna.ledger.anchor import Anchor
from pardna.ledger.seal import Block, Fault, check_block, check_journal, check_link, climb, leaf

EXPORT, RECEIPT = "pardna-ledger-export-1", "pardna-ledger-receipt-1"
USAGE = "usage: pardna ledger verify FILE [HASH | --anchor ANCHOR_FILE]\n"


def block_from(plain: dict[str, Any], tenant_id: str) -> Block:
    """A block's header from its JSON object."""
    return Block(
        tenant_id=tenant_id,
        height=int(plain["height"]),
        from_xid=int(plain["from_xid"]),
        to_xid=int(plain["to_xid"]),
        journals=int(plain["journals"]),
        root=bytes.fromhex(plain["root"]),
        previous=bytes.fromhex(plain["previous"]),
        hash=bytes.fromhex(plain["hash"]),
    )


def verify_export(lines: Iterable[str], anchor: str | Anchor = "") -> Fault | None:
    """The first thing that does not hold, or None.

    `anchor` is what was kept elsewhere, a block's hash (hex) or a day's anchor: its block must be one
    of the export's. Raises ValueError for text that is not an export.
    """
    records = _records(lines)
    head = next(records, None)
    if head is None or head.get("format") != EXPORT:
        raise ValueError("this is not an export of the ledger")
    tenant_id = str(head["tenant_id"])
    before: Block | None = None
    anchored = not anchor
    for record in records:
        block = block_from(record["block"], tenant_id)
        leaves = [bytes.fromhex(text) for text in record["block"]["leaves"]]
        if fault := check_block(block, leaves, before):
            return fault
        for sealed in leaves:
            said = next(records, {})
            journal = said.get("journal")
            if journal is None:
                return Fault(block.height, "", "a journal is missing")
            if fault := check_journal(block, journal, sealed, said.get("opening", ())):
                return fault
        anchored = anchored or _is_anchored(block, anchor)
        before = block
    return None if anchored else Fault(0, "", "the anchored block is not in this export")


def verify_receipt(receipt: dict[str, Any], anchor: str | Anchor = "") -> Fault | None:
    """What does not hold of one journal and its proof, or None. See `verify_export`."""
    fields = receipt["journal"]
    block = block_from(receipt["block"], str(fields[1]))
    if block.hash != block.computed_hash():
        return Fault(block.height, "", "the block's hash is not that of its content")
    last = block
    for plain in receipt.get("chain", []):
        later = block_from(plain, block.tenant_id)
        if fault := check_link(later, last):
            return fault
        last = later
    if anchor and not _is_anchored(last, anchor):
        return Fault(last.height, "", "the block is not the anchored one")
    steps = [(side, bytes.fromhex(text)) for side, text in receipt["proof"]]
    if climb(leaf(fields), steps) != block.root:
        return Fault(block.height, str(fields[2]), "the journal is not what was sealed")
    return check_journal(block, fields, leaf(fields), receipt.get("opening", ()))


def _is_anchored(block: Block, anchor: str | Anchor) -> bool:
    if isinstance(anchor, str):
        return block.hash.hex() == anchor.lower()
    here = (block.tenant_id, block.height, block.hash.hex())
    return here == (anchor.tenant_id, anchor.height, anchor.hash)


def main(arguments: Sequence[str]) -> int:
    """``pardna ledger verify FILE [HASH | --anchor ANCHOR_FILE]``.

    0 when all holds, 1 when not, 2 when a file cannot be read.
    """
    words = list(arguments)
    named = words[1:2] == ["--anchor"] and words.pop(1) != ""
    if not 1 + named <= len(words) <= 2:
        sys.stderr.write(USAGE)
        return 2
    path = words[0]
    try:
        anchor: str | Anchor = words[1] if len(words) == 2 else ""
        if named:
            path = words[1]
            anchor = Anchor.from_json(Path(path).read_text(encoding="utf-8"))
            path = words[0]
        fault = _verify_file(Path(path), anchor)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        sys.stderr.write(f"cannot read {path}: {error}\n")
        return 2
    if fault is None:
        sys.stdout.write("holds\n")
        return 0
    where = f"journal {fault.journal_id}" if fault.journal_id else f"block {fault.height}"
    sys.stdout.write(f"does not hold: {where}: {fault.reason}\n")
    return 1


def _verify_file(path: Path, anchor: str | Anchor) -> Fault | None:
    with path.open(encoding="utf-8") as lines:
        first = json.loads(lines.readline())
        if first.get("format") == RECEIPT:
            return verify_receipt(first, anchor)
        lines.seek(0)
        return verify_export(lines, anchor)


def _records(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.strip():
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("a line is not a JSON object")
            yield record


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
