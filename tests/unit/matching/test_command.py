"""``pardna match`` as people use it, and as they get it wrong."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pardna.cli import main

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "matching"


def run(tmp_path: Path, left: Path, right: Path, rules: Path) -> int:
    out = tmp_path / "out"
    return main(["match", str(left), str(right), "--rules", str(rules), "--out", str(out)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_documented_example_says_what_the_document_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, EXAMPLE / "orders.csv", EXAMPLE / "bank.csv", EXAMPLE / "rules.json") == 0
    told = capsys.readouterr().out
    document = (EXAMPLE.parents[1] / "matching.md").read_text()
    summary = document.split("```\n")[3]
    assert all(line in told for line in summary.strip().splitlines())
    found = {(m["left_id"], m["right_id"], m["level"], m["status"]) for m in rows(tmp_path / "out" / "matches.csv")}  # fmt: skip
    assert found == {
        ("1001", "B1", "1", "matched"),
        ("1002", "B2", "2", "matched"),
        ("1003", "B3", "2", "matched"),
        ("1004", "B4", "2", "matched"),
        ("po_77", "B7", "3", "matched"),
        ("1006", "B6", "4", "proposed"),
    }
    assert [b["class"] for b in rows(tmp_path / "out" / "breaks.csv")] == ["AMOUNT_MISMATCH", "MISSING_INTERNAL"]  # fmt: skip
    assert [r["problem"] for r in rows(tmp_path / "out" / "rejected.csv")] == ["more decimals than the currency has"]  # fmt: skip


def test_the_engine_is_a_library_without_aws_and_without_pyarrow(tmp_path: Path) -> None:
    """In a process of its own: everything that the command and the engine load."""
    said = """
import sys
from pardna.cli import main
from pardna.matching.engine import match
from pardna.matching.model import Pair
from pardna.matching.rules import Rules
from datetime import date
assert main(["match", "orders.csv", "bank.csv", "--rules", "rules.json", "--out", sys.argv[1]]) == 0
match([], [], Rules(), Pair.INTERNAL_BANK, date(2026, 3, 2))
heavy = {"boto3", "botocore", "pynamodb", "psycopg", "pyarrow", "pandas", "numpy", "aws_lambda_powertools"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    done = subprocess.run(
        [sys.executable, "-c", said, str(tmp_path)], cwd=EXAMPLE, capture_output=True, text=True,
        check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def test_json_and_parquet_are_read_like_csv(tmp_path: Path) -> None:
    orders, bank = tmp_path / "orders.json", tmp_path / "bank.parquet"
    orders.write_text(json.dumps(rows(EXAMPLE / "orders.csv")))
    duckdb.connect().execute(
        f"COPY (FROM read_csv('{EXAMPLE / 'bank.csv'}', all_varchar = true)) TO '{bank}' (FORMAT parquet)"
    )
    assert run(tmp_path, orders, bank, EXAMPLE / "rules.json") == 0
    assert len(rows(tmp_path / "out" / "matches.csv")) == 6


def test_hostile_and_odd_rows_are_rejected_or_harmless(tmp_path: Path) -> None:
    odd = tmp_path / "odd.csv"
    odd.write_text(
        "entry,booked,payer,credit,currency,end_to_end,text\n"
        "\"x'); DROP TABLE left_file; --\",2026-03-02,'';--,1.00,JMD,pay_1,{out}\n"
        "B2,2026-13-45,A,1.00,JMD,,\nB3,2026-03-02,A,1e5,JMD,,\nB4,2026-03-02,A,1.00,XYZ,,\n"
        "B5,2026-03-02,A,99999999999999999999,JMD,,\nB6,9999-12-31,A,0,JMD,,\nB6,0001-01-01,A,-1,JMD,,\n"
    )
    assert run(tmp_path, EXAMPLE / "orders.csv", odd, EXAMPLE / "rules.json") == 0
    problems = [
        r["problem"] for r in rows(tmp_path / "out" / "rejected.csv") if r["side"] == "right"
    ]
    assert sorted(problems) == ["not a date", "not an amount", "not an amount", "unknown currency"]


def test_parquet_says_what_csv_says_and_progress_goes_to_the_error_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, EXAMPLE / "orders.csv", EXAMPLE / "bank.csv", EXAMPLE / "rules.json") == 0
    said = capsys.readouterr()
    for name in ("matches", "breaks", "waiting"):
        shown = duckdb.sql(f"SELECT * FROM '{tmp_path}/out/{name}.parquet'")
        written = rows(tmp_path / "out" / f"{name}.csv")
        assert len(written) == len(shown.fetchall())
        if written:
            assert list(written[0]) == shown.columns
    query = f"SELECT left_id, level, left_minor, explanation FROM '{tmp_path}/out/matches.parquet'"
    found = {tuple(map(str, row)) for row in duckdb.sql(query).fetchall()}
    columns = ("left_id", "level", "left_minor", "explanation")
    assert found == {tuple(m[c] for c in columns) for m in rows(tmp_path / "out" / "matches.csv")}
    steps = [line.split(" s  ")[1] for line in said.err.splitlines()]
    assert steps[0].startswith("reading ")
    assert [s for s in steps if s in ("level 1", "level 2", "level 3", "level 4", "writing", "done")] == [
        "level 1", "level 3", "level 2", "level 4", "writing", "done",
    ]  # fmt: skip
    assert "reading" not in said.out


@pytest.mark.parametrize(
    ("evil", "status"),
    [
        ("a\x00b", 0),
        ("\u202eabc", 0),
        ("\U0001f469\u200d", 0),
        ("R" * 100_000, 0),
        ("half \ud800", 2),
    ],
    ids=["NUL", "RTL", "joined", "long", "half a character"],
)
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_hostile_texts_in_files_are_data_or_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], evil: str, status: int, kind: str
) -> None:
    row = {"entry": "H1", "booked": "2026-03-02", "payer": evil, "credit": "1.00", "currency": "JMD",
           "end_to_end": evil, "text": evil}  # fmt: skip
    path = tmp_path / f"bank.{kind}"
    text = json.dumps([row]) if kind == "json" else f"{','.join(row)}\n{','.join(row.values())}\n"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert run(tmp_path, EXAMPLE / "orders.csv", path, EXAMPLE / "rules.json") == status
    said = capsys.readouterr()
    if status:
        assert said.err.splitlines()[-1].startswith(f"pardna match: {path}: ")
        assert not (tmp_path / "out").exists(), "nothing that looks like a result"
        return
    assert "right 1, rejected 1" in said.out, "the example's own rejected row"
    told = [
        r
        for name in ("matches", "breaks", "waiting")
        for r in rows(tmp_path / "out" / f"{name}.csv")
    ]
    assert sum(r["right_id"] == "H1" for r in told) == 1


def test_an_empty_side_is_no_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("entry,booked,payer,credit,currency,end_to_end,text\n")
    assert run(tmp_path, EXAMPLE / "orders.csv", empty, EXAMPLE / "rules.json") == 0
    assert rows(tmp_path / "out" / "matches.csv") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tolerence_minor": 5}, "tolerence_minor"),
        ({"tolerance_bp": -1}, "tolerance_bp"),
        ({"weights": {"amount_pb": 1}}, "amount_pb"),
        ({"weights": {"amount_bp": 9_000, "day_bp": 3_000}}, "weights"),
        ({"rails": [{"rail": "wire", "before": 0, "after": 2, "waiting_days": -1}]}, "waiting_days"),
        ({"left": {"amount": "nothing", "day": "date", "currency": "currency"}}, "no column 'nothing'"),
    ],
)  # fmt: skip
def test_a_rules_file_that_is_wrong_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(json.loads((EXAMPLE / "rules.json").read_text()) | change))
    assert run(tmp_path, EXAMPLE / "orders.csv", EXAMPLE / "bank.csv", rules) == 2
    assert said in capsys.readouterr().err


def test_files_that_are_not_there_or_not_readable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for left in (tmp_path / "no.csv", tmp_path, tmp_path / "x.pdf"):
        assert run(tmp_path, left, EXAMPLE / "bank.csv", EXAMPLE / "rules.json") == 2
        assert "not a file that can be read" in capsys.readouterr().err


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "＝", " ="])
def test_no_text_of_the_output_is_run_by_a_spreadsheet(tmp_path: Path, start: str) -> None:
    evil = f'{start}cmd|"/C calc"!A0'
    hostile = tmp_path / "bank.csv"
    with (EXAMPLE / "bank.csv").open(newline="") as lines:
        found = list(csv.reader(lines))
    with hostile.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(found[0])
        writer.writerows(
            [[evil if n == 0 else cell for n, cell in enumerate(row)] for row in found[1:2]]
        )
        writer.writerows(
            [[cell if n else f"{evil}{cell}" for n, cell in enumerate(row)] for row in found[2:]]
        )
    assert run(tmp_path, EXAMPLE / "orders.csv", hostile, EXAMPLE / "rules.json") == 0
    cells = [
        cell
        for name in ("matches", "breaks", "waiting", "rejected")
        for row in rows(tmp_path / "out" / f"{name}.csv")
        for column, cell in row.items()
        if not column.endswith(("_minor", "_bp", "_days"))
    ]
    assert any(evil.strip() in cell for cell in cells)
    assert [
        c for c in cells if c.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
    ] == []
