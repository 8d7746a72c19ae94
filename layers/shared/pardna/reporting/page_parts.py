"""What the report's page is made of: sections, tables, chips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pardna.reporting.markup import Child, Markup, tag

_GOOD = frozenset({"paid", "closed", "covered", "matched", "confirmed", "completed", "settled"})
_BAD = frozenset({"missed", "late", "charged_back", "returned", "rejected", "refused", "failed"})


def section(identifier: str, title: str, lead: str, *content: Child) -> Markup:
    """A part of the report under its title, with a sentence that says what it shows."""
    return tag(
        "section",
        tag("h2", title, id=f"{identifier}-title"),
        tag("p", lead, class_="quiet"),
        *content,
        id=identifier,
        aria_labelledby=f"{identifier}-title",
    )


def table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[Child]],
    *,
    numbers: Iterable[int] = (),
    foot: Sequence[str] = (),
) -> Markup:
    """A table that becomes cards on a phone: each cell carries its column's name."""
    right = frozenset(numbers)

    def cell(at: int, content: Child) -> Markup:
        look = {"class_": "number"} if at in right else {}
        if at == 0:
            return tag("th", content, scope="row", **look)
        if content == "":
            return tag("td", **look)
        return tag("td", tag("span", content), data_label=heads[at], **look)

    return tag(
        "table",
        tag("caption", caption),
        tag(
            "thead",
            tag(
                "tr",
                *(
                    tag("th", head, scope="col", **({"class_": "number"} if at in right else {}))
                    for at, head in enumerate(heads)
                ),
            ),
        ),
        tag("tbody", *(tag("tr", *(cell(at, c) for at, c in enumerate(row))) for row in rows)),
        tag("tfoot", tag("tr", *(cell(at, c) for at, c in enumerate(foot)))) if foot else "",
    )


def chip(text: str, code: str) -> Markup:
    """A status as a word with a colour; `code` decides which."""
    mood = "good" if code in _GOOD else "bad" if code in _BAD else "warn" if code == "open" else ""
    return tag("span", text, class_=f"chip {mood}".strip())


def listed(texts: Iterable[str]) -> str:
    """``a, b and c``; a dash for nothing."""
    found = list(texts)
    if len(found) < 2:
        return "".join(found) or "–"
    return f"{', '.join(found[:-1])} and {found[-1]}"
