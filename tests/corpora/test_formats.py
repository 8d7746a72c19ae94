"""Files that others wrote, against what is known about them (``../shared/corpora``).

Every positive file of a format that we read must give the expected statements, entries, balances
and sums; every negative file must be refused or flagged. Where we are right to differ from the
expectation, `DIFFERS` says why. Prints one table: ``pytest -s tests/corpora``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pardna.formats import camt053, mt940, pain002, registry, stripe_event
from pardna.formats.model import Origin, Parsed, Statement
from pardna.money.model import exponent
from pardna.runtime.errors import PardnaError

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
ORIGIN = Origin("kgn-one", "bank", "0" * 64, "acct_1")
READERS = {
    "bank/camt052": camt053.read,
    "bank/camt053": camt053.read,
    "bank/camt054": camt053.read,
    "bank/mt940": mt940.read,
}
#: File -> why our reading differs from the expectation, and rightly.
DIFFERS = {
    "fruitl00p__php-mt940/Rabo__sample2": "1000.12 is read whole; the expectation stops at the point",
    "railslove__cmxl/mt940-headers.txt": "11 27421,94 is read whole; the expectation drops the cents",
    "railslove__cmxl/mt940-with-colon-after-line-break.txt": "DEM is no currency today: refused",
    "webschik__mt940-js/base-1.mta": "DEM is no currency today: refused",
    "wolph__mt940/raphaelm.sta": "DEM is no currency today: refused",
}
NEGATIVE = ("bad/camt", "bad/mt940", "bad/xml", "bad/json", "bad/bai2", "bad/nacha", "bad/ofx")

pytestmark = pytest.mark.skipif(
    not CORPORA.is_dir(), reason=f"{CORPORA.name} is not beside this repository"
)


def rows(kind: str) -> Iterator[dict[str, Any]]:
    """Expectations of one kind of file."""
    with (CORPORA / "EXPECTED.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["kind"] == kind:
                yield row


def minor(text: str | None, statement: Statement) -> int | None:
    return None if text is None else int(Decimal(text).scaleb(exponent(statement.currency)))


def differences(parsed: Parsed, expected: dict[str, Any]) -> list[str]:
    """What is not as expected, in words; empty when all figures are right."""
    found = []
    if parsed.format != expected["format"]:
        found.append(f"format {parsed.format}")
    if len(parsed.statements) != expected["statements"]:
        return [f"{len(parsed.statements)} statements, not {expected['statements']}"]
    for statement, wanted in zip(parsed.statements, expected["stmts"], strict=True):
        if statement.currency == "XXX":  # no entry and no balance: nothing to compare
            continue
        figures = {
            "account": (statement.account, wanted["acct"] or ""),
            "entries": (statement.entries_count, wanted["entries"]),
            "opening": (statement.opening_minor, minor(wanted["open"], statement)),
            "closing": (statement.closing_minor, minor(wanted["close"], statement)),
            "sum": (statement.entries_minor, minor(wanted["sum"], statement)),
        }
        found += [f"{n}: {have} not {want}" for n, (have, want) in figures.items() if have != want]
        if wanted["balanced"] is not None and statement.ties is not wanted["balanced"]:
            found.append(f"ties: {statement.ties}")
        if wanted["balanced"] and statement.problems:
            found.append(f"problem {statement.problems[0].code}")
        if not statement.problems:
            ids = {t.external_id for t in statement.transactions}
            if len(ids) != len(statement.transactions):
                found.append("two entries share an id")
            if sum(t.amount_minor for t in statement.transactions) != statement.entries_minor:
                found.append("transactions do not sum to the entries")
    return found


@pytest.mark.parametrize("kind", sorted(READERS))
def test_figures_are_right(kind: str) -> None:
    passed, failed, different = 0, [], 0
    for row in rows(kind):
        parsed = READERS[kind]((CORPORA / row["file"]).read_bytes(), ORIGIN)
        wrong = differences(parsed, row["expected"])
        if any(row["file"].endswith(name) for name in DIFFERS):
            different += 1
            assert wrong, f"{row['file']} no longer differs: take it off the list"
        elif wrong:
            failed.append((row["file"], wrong))
        else:
            passed += 1
    print(f"{kind:24} {passed:4} right {different:3} rightly different {len(failed):3} wrong")
    assert failed == []


def test_the_lithuanian_chain_continues_from_day_to_day() -> None:
    files = sorted((CORPORA / "bank/camt053/Subite-eu__camt-to-coda_LT053").glob("*.xml"))
    closing: dict[str, int | None] = {}
    for path in files:
        for statement in camt053.read(path.read_bytes(), ORIGIN).statements:
            assert closing.get(statement.source, statement.opening_minor) == statement.opening_minor
            closing[statement.source] = statement.closing_minor
    assert len(closing) == 2


@pytest.mark.parametrize("kind", NEGATIVE)
def test_every_negative_file_is_refused_or_flagged(kind: str) -> None:
    refused, flagged, said_nothing = 0, 0, []
    for row in rows(kind):
        if not row["negative"]:
            continue
        try:
            parsed = registry.parse((CORPORA / row["file"]).read_bytes(), ORIGIN)
        except PardnaError:
            refused += 1
            continue
        wrong = parsed.problems or any(s.problems or not s.ties for s in parsed.statements)
        if wrong:
            flagged += 1
        else:
            said_nothing.append(row["file"])
    print(f"{kind:24} {refused:4} refused {flagged:3} flagged {len(said_nothing):3} unnoticed")
    assert [f for f in said_nothing if not f.endswith(ADDS_UP)] == []


#: Called bad by its author for a dialect's sake; as MT940 it is sound and adds up.
ADDS_UP = ("zilverline__mt940/ing__failing.txt",)


@pytest.mark.parametrize(
    ("name", "statements"),
    [("camt053_utf16.xml", 1), ("mt940_cr_only.sta", 2), ("mt940_utf8_bom.sta", 2)],
)
def test_encodings_that_must_be_read(name: str, statements: int) -> None:
    data = (CORPORA / "bad/derived_encoding/derived" / name).read_bytes()
    parsed = registry.parse(data, ORIGIN)
    assert len(parsed.statements) == statements
    assert all(s.transactions for s in parsed.statements)


@pytest.mark.parametrize("name", ["camt053_doctype.xml", "camt053_truncated.xml"])
def test_mutations_that_must_be_refused(name: str) -> None:
    with pytest.raises(PardnaError):
        registry.parse((CORPORA / "bad/derived_encoding/derived" / name).read_bytes(), ORIGIN)


@pytest.mark.parametrize("kind", ["psp/stripe_webhooks", "psp/stripe"])
def test_stripes_objects_are_read(kind: str) -> None:
    """Real objects, wrapped as events where they are none; templates hold placeholders: skipped."""
    read, moved, problems = 0, 0, []
    for row in rows(kind):
        data = (CORPORA / row["file"]).read_bytes()
        if b"{{" in data:
            continue
        body = json.loads(data)
        if body.get("object") != "event":
            body = {"object": "event", "type": "x", "created": 1, "data": {"object": body}}
        parsed = stripe_event.read(json.dumps(body).encode(), ORIGIN)
        read += 1
        moved += len(parsed.transactions)
        problems += [(row["file"], p.reason) for p in parsed.problems]
    print(f"{kind:24} {read:4} read {moved:3} transactions {len(problems):3} problems")
    # dj-stripe keeps some objects in its database's form, amounts as decimal text: never guessed at.
    assert [f for f, reason in problems if reason != "amount is not an integer"] == []
    assert len(problems) <= 2


def test_payment_status_reports_are_read() -> None:
    for row in rows("bank/pain"):
        if not row["expected"]["format"].startswith("pain.002"):
            continue
        statuses = pain002.read((CORPORA / row["file"]).read_bytes(), ORIGIN).statuses
        told = [s.status for s in statuses if s.end_to_end_id or s.instruction_id]
        assert told == row["expected"]["tx_statuses"]
