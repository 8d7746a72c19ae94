"""XML that nobody can trust: streamed, without DTD, entities or network, bounded in every way.

Based on lxml's iterparse; names are compared without their namespace, because banks get it wrong.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from lxml import etree

from pardna.formats.encoding import decode
from pardna.runtime.errors import TooLarge, UnreadableFile

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
BYTES_MAX = 256 * 1024 * 1024
#: Tags that may be in memory at once: of a document that is kept whole, or between two elements
#: that are released. A process of 256 MB holds a tree of so many.
TAGS_MAX = 500_000


def local(element: Any) -> str:
    """An element's name without its namespace; empty for comments and processing instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def child(element: Any, path: str) -> Any:
    """The first descendant along a path of local names (``Acct/Id/IBAN``), or None."""
    for name in path.split("/"):
        if element is None:
            return None
        for candidate in element:
            tag = candidate.tag
            if tag == name or (isinstance(tag, str) and tag.endswith(f"}}{name}")):
                element = candidate
                break
        else:
            return None
    return element


def children(element: Any, name: str) -> list[Any]:
    """All direct children of a name."""
    if element is None:
        return []
    suffix = f"}}{name}"
    return [
        c for c in element if c.tag == name or (isinstance(c.tag, str) and c.tag.endswith(suffix))
    ]


def text(element: Any, *paths: str) -> str:
    """The text at the first of `paths` that has any, else an empty string."""
    for path in paths:
        found = child(element, path)
        if found is not None and found.text and found.text.strip():
            return str(found.text).strip()
    return ""


def without_mark(data: bytes) -> bytes:
    """A small document as whoever looks at its bytes needs it: no byte order mark, no UTF-16.

    What was in UTF-16 becomes UTF-8 and loses its declaration; all else stays as it is. Raises
    UnreadableFile for UTF-16 that is none.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4]:
        return _DECLARATION.sub("", decode(data), count=1).encode()
    return data.removeprefix(b"\xef\xbb\xbf")


class Meter:
    """Counts the tags that came since elements were last released; see `TAGS_MAX`."""

    def __init__(self) -> None:
        self._tags = 0

    def add(self, tags: int) -> None:
        """So many more; raises UnreadableFile when they are too many."""
        self._tags += tags
        if self._tags > TAGS_MAX:
            raise UnreadableFile("xml.too_many", f"more than {TAGS_MAX} tags belong together")

    def released(self) -> None:
        """What was read has been forgotten."""
        self._tags = 0


class _Metered:
    """A file that is not read further than memory should hold."""

    def __init__(self, file: BinaryIO, meter: Meter) -> None:
        self.file = file
        self.meter = meter
        self.begun = False

    def read(self, size: int) -> bytes:
        """The next bytes; blanks before the declaration, which a parser would refuse, left out."""
        chunk = self.file.read(size)
        while chunk and not self.begun:
            chunk = chunk.lstrip(b" \t\r\n")
            self.begun = bool(chunk)
            chunk = chunk or self.file.read(size)
        self.meter.add(chunk.count(b"<"))
        return chunk


def stream(
    data: bytes | BinaryIO, names: frozenset[str], meter: Meter | None = None
) -> Iterator[tuple[str, Any]]:
    """(``start`` | ``end``, element) for the elements of `names`, in any namespace or none.

    A caller that clears what it has read (`release`) tells the `meter`, and then a file of any size
    fits. Raises UnreadableFile for anything that is not well-formed, carries a DTD, or nests or
    expands beyond what a payment file does, and TooLarge for bytes beyond `BYTES_MAX`.
    """
    if isinstance(data, bytes) and len(data) > BYTES_MAX:
        raise TooLarge("xml.too_large", f"an XML file has at most {BYTES_MAX} bytes")
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    metered = _Metered(file, meter or Meter())
    events = etree.iterparse(
        cast(BinaryIO, metered),
        events=("start", "end"),
        # Other elements are built but not handed out: that is done in C.
        tag=sorted(f"{{*}}{name}" for name in names),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    first = True
    try:
        for event, element in events:
            if first:
                _refuse_document_type(element)
                first = False
            yield event, element
        if first and events.root is not None:
            _refuse_document_type(events.root)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 0
        raise UnreadableFile(
            "xml.malformed", f"not well-formed XML at line {line}", line=line
        ) from None


def _refuse_document_type(element: Any) -> None:
    info = element.getroottree().docinfo
    if info.internalDTD is not None or info.doctype:
        raise UnreadableFile("xml.doctype", "document types and entities are refused")


def release(element: Any) -> None:
    """Forget an element that has been read, and its siblings before it that were read too."""
    element.clear()
    before = element.getprevious()
    while before is not None and before.tag == element.tag:
        element.getparent().remove(before)
        before = element.getprevious()
