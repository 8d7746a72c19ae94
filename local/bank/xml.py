"""Writing ISO 20022 by hand: nested elements in the order of the schema, nothing else."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr


class Writer:
    """Builds a document. `with writer("Tag"):` nests, `writer.leaf("Tag", text)` closes at once."""

    def __init__(self, namespace: str) -> None:
        self._lines = ['<?xml version="1.0" encoding="UTF-8"?>']
        self._open: list[str] = []
        self._namespace = namespace
        self._pending: str | None = None

    def __call__(self, tag: str) -> Writer:
        """Name the element that the next `with` opens."""
        self._pending = tag
        return self

    def __enter__(self) -> Writer:
        assert self._pending is not None
        tag, self._pending = self._pending, None
        namespace = "" if self._open else f" xmlns={quoteattr(self._namespace)}"
        self._lines.append(f"{self._indent()}<{tag}{namespace}>")
        self._open.append(tag)
        return self

    def __exit__(self, *_: object) -> None:
        tag = self._open.pop()
        self._lines.append(f"{self._indent()}</{tag}>")

    def leaf(self, tag: str, text: object, currency: str | None = None) -> None:
        """An element with text. Empty text writes nothing: optional elements just leave it out."""
        if text == "":
            return
        attribute = f" Ccy={quoteattr(currency)}" if currency else ""
        self._lines.append(f"{self._indent()}<{tag}{attribute}>{escape(str(text))}</{tag}>")

    def path(self, tags: str, text: object) -> None:
        """A chain of elements around one text: `path("Id/Othr/Id", "1")`."""
        if text == "":
            return
        names = tags.split("/")
        opening = "".join(f"<{name}>" for name in names)
        closing = "".join(f"</{name}>" for name in reversed(names))
        self._lines.append(f"{self._indent()}{opening}{escape(str(text))}{closing}")

    def bytes(self) -> bytes:
        """The finished document, in UTF-8."""
        assert not self._open
        return ("\n".join(self._lines) + "\n").encode()

    def _indent(self) -> str:
        return "  " * len(self._open)
