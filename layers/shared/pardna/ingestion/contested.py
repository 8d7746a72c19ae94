"""Rows of a large file that contradict each other: which of them counts is decided before any is recorded.

Parts of a file are recorded in any order, several at once; of two rows that say different things of
one money object (another side, kind or currency) the first in the file counts, as in a small file.
Whether there are such rows in different parts is found while the file is read: eight bytes a row are
noted, on disk where there are many, and looked through part of the identities at a time. Only if so
are the parts that hold them read again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby
from tempfile import TemporaryFile
from typing import IO

from pardna.transactions.bulk import Stands, said_of
from pardna.transactions.lake import StagedRow
from pardna.transactions.model import Transaction

#: More identities of one file than this that contradict themselves: nobody knows what it is.
CONTESTED_MAX = 10_000
_BUCKETS = 256
#: Notes in memory, all buckets together.
_HELD_MAX = 1_000_000
_PARTS_MAX = 0xFFFF
#: Stands for every further combination of side, kind and currency: always looked at.
_OTHER = 0xFF


class Identities:
    """What each row of a file says of which money object, by part. Closed when it is done with."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._held = [array("Q") for _ in range(_BUCKETS)]
        self._files: list[IO[bytes]] = []
        self._count = 0
        self._said: dict[Stands, int] = {}

    def note(self, row: StagedRow, transaction: Transaction, part: int) -> None:
        """One row. Identities are told apart by 48 bits: whoever looks closer finds the same or not."""
        said = self._said.setdefault(said_of(transaction), min(len(self._said), _OTHER))
        text = row.transaction_id
        rest = int(text[2:8] + text[9:13], 16)
        self._held[int(text[:2], 16)].append(rest << 24 | said << 16 | min(part, _PARTS_MAX))
        self._count += 1
        if self._count % _HELD_MAX == 0:
            self._put_down()

    def contested(self) -> tuple[set[str], set[int]]:
        """Beginnings (12 hexadecimal digits) of identities of which two parts may say different
        things, at most one more than `CONTESTED_MAX`; and those parts."""
        heads: set[str] = set()
        parts: set[int] = set()
        if len(self._said) < 2:
            return heads, parts
        for bucket in range(_BUCKETS):
            for rest, notes in groupby(sorted(self._notes(bucket)), lambda note: note >> 24):
                of = list(notes)
                where = {note & _PARTS_MAX for note in of}
                said = {note >> 16 & 0xFF for note in of}
                if len(where) > 1 and (len(said) > 1 or _OTHER in said):
                    heads.add(f"{bucket:02x}{rest:010x}")
                    parts |= where
                    if len(heads) > CONTESTED_MAX:
                        return heads, parts
        return heads, parts

    def close(self) -> None:
        """Give back what is on disk."""
        self._stack.close()

    def _put_down(self) -> None:
        if not self._files:
            for _ in range(_BUCKETS):
                self._files.append(self._stack.enter_context(TemporaryFile()))  # noqa: SIM115  (the stack closes it)
        for file, held in zip(self._files, self._held, strict=True):
            file.write(held.tobytes())
        self._held = [array("Q") for _ in range(_BUCKETS)]

    def _notes(self, bucket: int) -> Iterator[int]:
        if self._files:
            before = array("Q")
            self._files[bucket].seek(0)
            before.frombytes(self._files[bucket].read())
            yield from before
        yield from self._held[bucket]


def head_of(transaction_id: str) -> str:
    """As `Identities.contested` names it."""
    return transaction_id[:8] + transaction_id[9:13]


def standing(
    heads: set[str],
    parts: Iterable[int],
    rows_of: Callable[[int], Iterable[StagedRow]],
    read: Callable[[str], Transaction],
) -> dict[str, Stands]:
    """What the first row that counts says, of each identity of which others say something else.

    `rows_of` gives the rows of a part that count, in the file's order.
    """
    first: dict[str, Stands] = {}
    contested: set[str] = set()
    for part in sorted(parts):
        for row in rows_of(part):
            if head_of(row.transaction_id) in heads:
                said = said_of(read(row.body))
                if first.setdefault(row.transaction_id, said) != said:
                    contested.add(row.transaction_id)
    return {i: first[i] for i in sorted(contested)}
