"""The ledger's Merkle blocks, without a database: hashes, proofs, and what an export must satisfy.

The encoding is that of migrations 0034 and 0037: a journal is a list of text fields, each a netstring; leaves
are prefixed with a zero byte, inner nodes with a one byte (RFC 6962); blocks are chained by hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: What the first block names as the hash of the block before it.
GENESIS = hashlib.sha256(b"").digest()
#: The formats of a journal. The first seals its texts; the second commits to them with a salt.
JOURNAL_1, JOURNAL_2 = "pardna-journal-1", "pardna-journal-2"
#: Fields of a journal before its lines begin, and where its transaction's number stands, by format.
HEAD_FIELDS = {JOURNAL_1: 15, JOURNAL_2: 13}
LINE_FIELDS = 7
JOURNAL_ID, _LINE_COUNT, _COMMITMENT = 2, 8, 9
_AMOUNT, _CURRENCY = 3, 4


@dataclass(frozen=True, slots=True)
class Sealed:
    """A journal as it was sealed, and what opens its commitment: salt (hex) and texts.

    `opening` is empty for a journal that seals its texts, and for one whose texts were erased.
    """

    fields: tuple[str, ...]
    opening: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, str]:
        """Its place among others: transaction number, then id."""
        return int(self.fields[HEAD_FIELDS[self.fields[0]] - 1]), self.fields[JOURNAL_ID]


def commitment(opening: Sequence[str]) -> str:
    """What a journal of the second format holds (hex) for a salt (hex) and its three texts."""
    return hashlib.sha256(b"".join(map(_net, opening))).hexdigest()


def _net(text: str) -> bytes:
    data = text.encode()
    return b"%d:%s," % (len(data), data)


def leaf(fields: Sequence[str]) -> bytes:
    """Hash of one journal, given as its text fields."""
    return hashlib.sha256(b"\x00" + b"".join(map(_net, fields))).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root over at least one leaf."""
    level = list(leaves)
    while len(level) > 1:
        level = [
            _node(level[i], level[i + 1]) if i + 1 < len(level) else level[i]
            for i in range(0, len(level), 2)
        ]
    return level[0]


def proof(leaves: Sequence[bytes], position: int) -> list[tuple[str, bytes]]:
    """What leads from the leaf at `position` (from 0) to the root: side and hash, bottom up."""
    steps, level = [], list(leaves)
    while len(level) > 1:
        sibling = position ^ 1
        if sibling < len(level):
            steps.append(("left" if sibling < position else "right", level[sibling]))
        level = [
            _node(level[i], level[i + 1]) if i + 1 < len(level) else level[i]
            for i in range(0, len(level), 2)
        ]
        position //= 2
    return steps


def climb(start: bytes, steps: Iterable[tuple[str, bytes]]) -> bytes:
    """The root that a leaf and its proof lead to."""
    for side, other in steps:
        start = _node(other, start) if side == "left" else _node(start, other)
    return start


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header. Transaction numbers `from_xid` (inclusive) to `to_xid` (exclusive)."""

    tenant_id: str
    height: int
    from_xid: int
    to_xid: int
    journals: int
    root: bytes
    previous: bytes
    hash: bytes

    def computed_hash(self) -> bytes:
        """What `hash` must be."""
        fields = (
            "pardna-block-1",
            self.tenant_id,
            str(self.height),
            str(self.from_xid),
            str(self.to_xid),
            str(self.journals),
            self.root.hex(),
            self.previous.hex(),
        )
        return hashlib.sha256(b"".join(map(_net, fields))).digest()


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an export or receipt does not hold; `journal_id` is empty when a block itself is wrong."""

    height: int
    journal_id: str
    reason: str


def check_block(block: Block, leaves: Sequence[bytes], before: Block | None) -> Fault | None:
    """A block by itself and in its chain; None when it holds."""
    height = block.height
    if block.hash != block.computed_hash():
        return Fault(height, "", "the block's hash is not that of its content")
    if before is None and height == 1 and block.previous != GENESIS:
        return Fault(height, "", "the first block does not begin the chain")
    if before is not None and (fault := check_link(block, before)):
        return fault
    if len(leaves) != block.journals or merkle_root(leaves) != block.root:
        return Fault(height, "", "the leaves are not those that were sealed")
    return None


def check_link(block: Block, before: Block) -> Fault | None:
    """A block's header by itself and behind the one before; None when it holds."""
    height = block.height
    if block.hash != block.computed_hash():
        return Fault(height, "", "the block's hash is not that of its content")
    if height != before.height + 1 or block.tenant_id != before.tenant_id:
        return Fault(height, "", "a block is missing before this one")
    if block.previous != before.hash or block.from_xid != before.to_xid:
        return Fault(height, "", "the block does not follow from the one before")
    return None


def check_journal(
    block: Block, fields: Sequence[str], sealed: bytes, opening: Sequence[str] = ()
) -> Fault | None:
    """One journal against the leaf that was sealed for it, its texts against their commitment, and
    its lines against the rule of double entry."""
    journal_id = fields[JOURNAL_ID] if len(fields) > JOURNAL_ID else ""
    if leaf(fields) != sealed:
        return Fault(block.height, journal_id, "the journal is not what was sealed")
    head = HEAD_FIELDS.get(fields[0])
    if head is None:
        return Fault(block.height, journal_id, "the journal is in a format that is not known")
    if opening and (fields[0] != JOURNAL_2 or commitment(opening) != fields[_COMMITMENT]):
        return Fault(block.height, journal_id, "the journal's texts are not those committed to")
    lines = fields[head:]
    if len(lines) != LINE_FIELDS * int(fields[_LINE_COUNT]):
        return Fault(block.height, journal_id, "the journal's lines are not complete")
    sums: dict[str, int] = {}
    for start in range(0, len(lines), LINE_FIELDS):
        currency = lines[start + _CURRENCY]
        sums[currency] = sums.get(currency, 0) + int(lines[start + _AMOUNT])
    if any(sums.values()):
        return Fault(block.height, journal_id, "the journal does not balance")
    return None
