"""HTML that cannot be written unescaped: every text passes `tag`, only its results are trusted."""

from __future__ import annotations

import html
from collections.abc import Iterable


class Markup(str):
    """Finished HTML. Made by `tag` and `join` only."""

    __slots__ = ()


Child = str | Iterable["Child"]

_VOID = frozenset({"meta", "link", "br", "hr"})


def tag(element: str, /, *children: Child, **attributes: str) -> Markup:
    """One element. Texts are escaped; ``class_`` and ``aria_label`` become class and aria-label.

    >>> tag("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value, quote=True)}"'
        for key, value in attributes.items()
    )
    if element in _VOID:
        return Markup(f"<{element}{given}>")
    return Markup(f"<{element}{given}>{join(children)}</{element}>")


def join(children: Iterable[Child]) -> Markup:
    """Children one after the other, texts among them escaped."""
    return Markup("".join(_one(child) for child in children))


def _one(child: Child) -> str:
    if isinstance(child, Markup):
        return str.__str__(child)
    if isinstance(child, str):
        # NUL is not allowed in HTML and some readers stop at it.
        return html.escape(child.replace("\x00", ""), quote=True)
    return join(child)


def trusted(text: str) -> Markup:
    """HTML or CSS written in this package's own source, never anything that was read."""
    return Markup(text)
