"""Every file of the handed-out corpora, against what is expected of it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pardna.runtime.spreadsheets import harmless
from tests.corpora import expectations
from tests.corpora.containers import documents
from tests.corpora.known import FOREIGN, KNOWN, REWRITTEN
from tests.corpora.profiles import PROFILES
from tests.corpora.reader_client import Reader

ROWS = expectations.rows()
Compare = Callable[[dict[str, Any], dict[str, Any]], list[str]]

#: Beginning of a kind -> how its files are compared. Kinds without one have no reader of their own.
COMPARED: dict[str, Compare] = {
    "bank/camt": expectations.of_statements,
    "bank/mt94": expectations.of_statements,
    "bank/bai2": expectations.of_bai2,
    "bank/ofx": expectations.of_ofx,
    "bank/nacha": expectations.of_nacha,
    "psp/adyen": expectations.of_adyen,
    "psp/": expectations.of_psp,
}


def _kinds() -> list[str]:
    return sorted(
        kind
        for kind, rows in ROWS.items()
        if any(row["role"] == "input" for row in rows)
        and (kind.startswith("bad/") or kind in FOREIGN or _compare(kind) is not None)
    )


def _compare(kind: str) -> Compare | None:
    return next((how for start, how in COMPARED.items() if kind.startswith(start)), None)


def test_the_corpora_are_there() -> None:
    if not ROWS:
        pytest.skip(f"the corpora are not there: {expectations.CORPORA} has no EXPECTED.jsonl")
    assert sum(len(rows) for rows in ROWS.values()) >= 799


#: Beginnings of kinds whose files other tests of this folder read.
ELSEWHERE = ("names", "recon/", "signatures", "psp/settlement_columns")


def test_no_file_is_left_unread() -> None:
    """A kind of file that nobody compares is no kind that passes."""
    read = {row["file"] for kind in _kinds() for row in ROWS[kind] if row["role"] == "input"}
    left = {
        kind
        for kind, rows in ROWS.items()
        for row in rows
        if row["role"] == "input" and row["file"] not in read | PROFILES.keys()
    }
    assert {kind for kind in left if not kind.startswith(ELSEWHERE)} == set()


@pytest.mark.parametrize("kind", _kinds())
def test_files_read_as_expected(
    kind: str, reader: Reader, tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    rows = [row for row in ROWS[kind] if row["role"] == "input"]
    different: dict[str, list[str]] = {}
    for row in rows:
        found = _differences(row, kind, reader, tmp_path)
        if found:
            different[row["file"]] = found
    explained = {file for file in different if file in KNOWN}
    record_property("corpus", (kind, len(rows) - len(different), len(explained), len(rows)))
    unexplained = {file: found for file, found in different.items() if file not in KNOWN}
    stale = {row["file"] for row in rows} & KNOWN.keys() - explained
    assert not unexplained, "\n".join(f"{file}: {found}" for file, found in unexplained.items())
    assert not stale, f"no longer different, take it off the list: {sorted(stale)}"


def _differences(row: dict[str, Any], kind: str, reader: Reader, folder: Path) -> list[str]:
    path = expectations.CORPORA / row["file"]
    if row["file"] in REWRITTEN:
        encoding, (old, new) = REWRITTEN[row["file"]]
        text = path.read_bytes().decode(encoding)
        plain = folder / path.name
        plain.write_bytes((text.replace(old, new) if old else text).encode())
        answer = reader.read(path)
        same = answer == reader.read(plain) and any(s["entries"] for s in answer["statements"])
        return [] if same else ["not as in plain UTF-8"]
    found = []
    for document in documents(path, kind, folder):
        answer = reader.read(document)
        found += expectations.unplaced(answer)
        if "died" in answer:
            found.append(answer["died"])
        elif row["negative"] or kind in FOREIGN:
            found += expectations.of_refusal(answer)
        elif (compare := _compare(kind)) is not None:
            found += compare(row.get("expected") or {}, answer)
    return found


def test_mapped_csv_reads_as_expected(
    reader: Reader, record_property: Callable[[str, Any], None]
) -> None:
    rows = [row for kind in ROWS.values() for row in kind if row["file"] in PROFILES]
    if not rows:
        pytest.skip("the corpora are not there")
    wrong = {}
    for row in rows:
        answer = reader.read(expectations.CORPORA / row["file"], PROFILES[row["file"]])
        if found := expectations.of_mapped(row["expected"], answer):
            wrong[row["file"]] = found
    record_property("corpus", ("csv by profile", len(rows) - len(wrong), 0, len(rows)))
    assert wrong == {}


def test_no_payload_stays_a_formula_in_what_we_export() -> None:
    folder = expectations.CORPORA / "bad" / "csv_injection"
    if not folder.exists():
        pytest.skip("the corpora are not there")
    payloads = [line for path in folder.rglob("*.txt") for line in path.read_text().splitlines()]
    with (folder / "derived" / "statement_with_formulas.csv").open(newline="") as lines:
        payloads += [row["counterparty"] for row in csv.DictReader(lines)]
    assert len(payloads) > 15
    exported = [harmless(payload) for payload in payloads]
    assert [e for e in exported if e.strip()[:1] in ("=", "+", "-", "@")] == []


@pytest.mark.parametrize("account", ["LT625883379695428516", "LT414319056143772570"])
def test_statements_of_a_chain_continue_each_other(account: str, reader: Reader) -> None:
    folder = expectations.CORPORA / "bank/camt053/Subite-eu__camt-to-coda_LT053"
    if not folder.exists():
        pytest.skip(f"the corpora are not there: {folder}")
    before: int | None = None
    for path in sorted(folder.glob("*.xml")):
        for statement in reader.read(path)["statements"]:
            if statement["account"] != account:
                continue
            assert before is None or statement["opening"] == before, path.name
            assert statement["ties"], path.name
            before = statement["closing"]
    assert before is not None
