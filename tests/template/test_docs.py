"""What the documentation names is there: links, files, targets of make, decisions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.template.reading import ROOT

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
)
RECORDS = ROOT / "docs" / "adr"
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / path) if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(link)
    assert lost == []


@each_page
def test_every_file_that_is_named_is_there(page: Path) -> None:
    folders = "docs|tests|layers|functions|local|benchmarks|stacks|events|statemachines"
    named = re.findall(rf"`((?:{folders})/[\w/.*-]+)`", page.read_text())
    assert [name for name in named if not list(ROOT.glob(name.rstrip("/")))] == []


@each_page
def test_every_target_of_make_is_in_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:`|^ {4})make ([a-z][a-z-]*)", page.read_text(), re.MULTILINE)
    assert set(named) <= targets


def test_every_decision_is_in_the_index_once_and_every_number_is_a_decision() -> None:
    records = {path.name for path in RECORDS.glob("[0-9]*.md")}
    listed = re.findall(r"^\| \[(\d+)\]\(([^)]+)\)", (RECORDS / "README.md").read_text(), re.M)
    assert sorted(name for _, name in listed) == sorted(records)
    assert all(int(number) == int(name[:4]) for number, name in listed)
    folders = ("layers", "functions", "local", "stacks", "statemachines", "tests", "benchmarks")
    written = [path for folder in folders for path in (ROOT / folder).rglob("*.*")]
    texts = [path for path in written if path.suffix in {".py", ".sql", ".yaml", ".json"}]
    mentioned = {
        int(number)
        for path in [*PAGES, *texts, ROOT / "template.yaml"]
        for number in re.findall(r"\bADR (\d+)", path.read_text(errors="replace"))
    }
    assert {2, 8} <= mentioned <= {int(number) for number, _ in listed}
