"""The report page: everything is on it, nothing on it runs, equal facts give equal bytes."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from pardna.reporting import page, words
from pardna.reporting.markup import join, tag
from tests.support.reports import AT, a_report

HOSTILE = "</td><script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


class Reader(HTMLParser):
    """Notes tags, their attributes, ids, links and the text, and that tags close in order."""

    VOID = frozenset({"meta", "br", "hr", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(content: bytes) -> Reader:
    reader = Reader()
    reader.feed(content.decode())
    reader.close()
    assert not reader.stack, "every tag is closed"
    return reader


def test_it_says_who_paid_what_matched_what_is_open_the_balances_and_the_draw() -> None:
    text = read(page.render(a_report())).text

    for expected in (
        "Half Way Tree Weekly, round 1 of 5",
        "Marcia Brown", "J$5,000.00", "Card", "ch_1", "21 Nov 2026, 10:04",
        "Level 1 · Identity", "Level 3 · Settlement", "They say the same.",
        "UNEXPECTED", "Nobody is known to owe this.", "open break brk_1",
        "Trial balance", "J$16,044.00", "pot:crc_1",
        "Approved", "approver", "Confirmed by the bank", "PDNDRW1",
    ):  # fmt: skip
        assert expected in text


def test_equal_facts_give_equal_bytes() -> None:
    assert page.render(a_report()) == page.render(a_report())


def test_what_people_typed_is_text_wherever_it_stands() -> None:
    plain = read(page.render(a_report()))
    hostile = read(page.render(a_report(HOSTILE, HOSTILE, HOSTILE)))

    assert hostile.tags == plain.tags, "no text opens or closes an element"
    assert hostile.text.count(HOSTILE) >= 3


def test_it_is_self_contained_and_runs_nothing() -> None:
    reader = read(page.render(a_report(HOSTILE)))

    assert not {"script", "iframe", "object", "embed", "form", "img", "link"} & set(reader.tags)
    names = {name for name, _ in reader.attributes}
    assert not {name for name in names if name.startswith("on") or name == "src"}
    hrefs = [value or "" for name, value in reader.attributes if name == "href"]
    assert hrefs
    assert all(href.startswith("#") for href in hrefs), "links lead into the page only"
    assert "default-src 'none'" in dict(reader.attributes)["content"] or any(
        "default-src 'none'" in (value or "") for _, value in reader.attributes
    )


def test_screen_readers_find_language_headings_captions_and_labelled_parts() -> None:
    content = page.render(a_report()).decode()
    reader = read(content.encode())

    assert ("lang", "en-JM") in reader.attributes
    assert reader.tags.count("h1") == 1
    assert reader.tags.count("caption") == reader.tags.count("table")
    ids = {value for name, value in reader.attributes if name == "id"}
    used = {value for name, value in reader.attributes if name == "aria-labelledby"}
    links = {(value or "")[1:] for name, value in reader.attributes if name == "href"}
    assert used <= ids
    assert links <= ids
    scopes = re.findall(r"<th(?=[ >])([^>]*)>", content)
    assert all("scope=" in attributes for attributes in scopes)


def test_markup_escapes_texts_and_attributes_and_nothing_twice() -> None:
    inner = tag("b", "a < b", title='"quoted"')

    assert inner == '<b title="&quot;quoted&quot;">a &lt; b</b>'
    assert tag("p", inner, ["& ", inner]) == f"<p>{inner}&amp; {inner}</p>"
    assert join(["x\x00y"]) == "xy"


def test_words() -> None:
    assert words.word("awaiting_approval") == "Awaiting approval"
    assert words.moment(AT) == "21 Nov 2026, 10:04"
    assert words.moment(None) == "–"
