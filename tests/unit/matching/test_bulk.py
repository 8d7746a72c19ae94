"""The engine over whole files: every row is told of exactly once, whatever became of it."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import duckdb
import pytest

from benchmarks.matching.__main__ import bench_rules
from benchmarks.matching.generate import generate
from pardna.matching.bulk import run_bulk
from pardna.matching.model import Pair
from pardna.matching.rules import PairRules, Rules
from pardna.runtime.errors import InvalidInput

ON = date(2026, 3, 20)
REFS = "STRUCT(type VARCHAR, value VARCHAR, strong BOOLEAN)[]"


def told(out: Path) -> Counter[str]:
    """Every id that the output speaks of, as a member of something, and how often."""
    said: Counter[str] = Counter()
    for name in ("matches", "breaks", "waiting"):
        shown = duckdb.connect().execute(f"SELECT * FROM '{out}/{name}.parquet'")
        columns = [c[0] for c in shown.description]
        for row in shown.fetchall():
            given = dict(zip(columns, row, strict=True))
            ids = [given["left_id"], given["right_id"], *(given.get("more_members") or ())]
            said.update(i for i in ids if i)
    return said


def tables(con: duckdb.DuckDBPyConnection, left: list[str], right: list[str]) -> None:
    for side, given in (("left", left), ("right", right)):
        con.execute(
            f"CREATE TABLE {side}_file (id VARCHAR, source VARCHAR, kind VARCHAR, amount_minor BIGINT,"
            f" currency VARCHAR, day DATE, batch VARCHAR, name VARCHAR, account VARCHAR, refs {REFS})"
        )
        for row in given:
            con.execute(f"INSERT INTO {side}_file VALUES ({row})")


@pytest.mark.parametrize("on", [ON, date(2026, 1, 20)], ids=["late", "not due yet"])
def test_every_row_is_told_of_once(tmp_path: Path, on: date) -> None:
    generate(duckdb.connect(), 3_000, 3, tmp_path)
    with duckdb.connect() as con:
        # Some settlements lose a member, their line, or their payout.
        for side, gone in (("left", "id LIKE 'LP%' AND hash(id) % 3 = 0 OR batch <> '' AND hash(id) % 40 = 0"),
                           ("right", "id LIKE 'RP%' AND hash(id) % 3 = 1")):  # fmt: skip
            con.execute(
                f"CREATE TABLE {side}_file AS FROM '{tmp_path}/{side}.parquet' WHERE NOT ({gone})"
            )
        ids = [
            i
            for side in ("left", "right")
            for (i,) in con.execute(f"SELECT id FROM {side}_file").fetchall()
        ]
        run_bulk(con, "left_file", "right_file", bench_rules(), Pair.INTERNAL_BANK, on, tmp_path)
    assert told(tmp_path) == Counter(ids)


def test_several_parquet_files_are_one_side(tmp_path: Path) -> None:
    generate(duckdb.connect(), 2_000, 5, tmp_path)
    counts = []
    for parts in (1, 3):
        folder = tmp_path / str(parts)
        folder.mkdir()
        with duckdb.connect() as con:
            for side in ("left", "right"):
                for part in range(parts):
                    con.execute(
                        f"COPY (FROM '{tmp_path}/{side}.parquet' WHERE hash(id) % {parts} = {part})"
                        f" TO '{folder}/{side}-{part}.parquet' (FORMAT parquet)"
                    )
            left, right = (
                f"read_parquet('{folder}/{side}-*.parquet')" for side in ("left", "right")
            )
            out = folder / "out"
            counts.append(run_bulk(con, left, right, bench_rules(), Pair.INTERNAL_BANK, ON, out))
            shown = con.execute(f"FROM '{out}/matches.parquet' ORDER BY left_id").fetchall()
            counts.append(shown)
    assert counts[:2] == counts[2:]


def test_a_run_leaves_the_connection_as_it_was(tmp_path: Path) -> None:
    generate(duckdb.connect(), 200, 5, tmp_path)
    sides = [f"read_parquet('{tmp_path}/{side}.parquet')" for side in ("left", "right")]
    with duckdb.connect(config={"threads": 3}) as con:
        run_bulk(con, *sides, bench_rules(), Pair.INTERNAL_BANK, ON, tmp_path / "out")
        assert con.execute("SELECT current_setting('threads')").fetchall() == [(3,)]


def test_a_charge_given_back_is_told_of(tmp_path: Path) -> None:
    charge = "[{'type': 'charge', 'value': 'ch_1', 'strong': true}]"
    named = "[{'type': 'charge', 'value': 'ch_1', 'strong': false}]"
    with duckdb.connect() as con:
        tables(con, [], [
            f"'t1', 'psp', 'charge', 500, 'JMD', '2026-03-02', '', '', '', {charge}",
            f"'t2', 'psp', 'refund', -500, 'JMD', '2026-03-03', '', '', '', {named}",
        ])  # fmt: skip
        run_bulk(con, "left_file", "right_file", Rules(), Pair.INTERNAL_PSP, ON, tmp_path)
    assert told(tmp_path) == Counter(["t1", "t2"])
    [match] = duckdb.sql(f"SELECT rule, explanation FROM '{tmp_path}/matches.parquet'").fetchall()
    assert match[0] == "reversal"
    assert "given back in full" in match[1]


def test_a_row_without_a_day_is_refused_not_lost(tmp_path: Path) -> None:
    with duckdb.connect() as con:
        tables(con, [], ["'t1', 'psp', 'charge', 500, 'JMD', NULL, '', '', '', []"])
        with pytest.raises(InvalidInput, match="1 rows lack"):
            run_bulk(con, "left_file", "right_file", Rules(), Pair.INTERNAL_PSP, ON, tmp_path)


@pytest.mark.parametrize("small", ["left", "right"])
def test_one_row_against_a_million(tmp_path: Path, small: str) -> None:
    """The one finds its own among a million look-alikes, and each of the others is told of."""
    rows = 1_000_000
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2}) as con:
        for side in ("left", "right"):
            chosen = "WHERE n = 777777" if side == small else ""
            con.execute(
                f"CREATE TABLE {side}_file AS SELECT '{side[0]}' || n AS id, 'file:{side}' AS source,"
                " 'transfer' AS kind, 500 + n % 7 AS amount_minor, 'JMD' AS currency,"
                " DATE '2026-03-02' AS day, '' AS batch, 'Avis Brown' AS name, '' AS account,"
                " [{'type': 'reference', 'value': 'PDN-7K3Q-' || n, 'strong': false}] AS refs"
                f" FROM range({rows}) t(n) {chosen}"
            )
        rules = Rules(pairs=(PairRules(Pair.INTERNAL_BANK, soft_types=("reference",)),))
        told = run_bulk(con, "left_file", "right_file", rules, Pair.INTERNAL_BANK, ON, tmp_path)
        [found] = con.execute(f"SELECT left_id, right_id, level FROM '{tmp_path}/matches.parquet'").fetchall()  # fmt: skip
    assert found == ("l777777", "r777777", 2)
    assert (told.left, told.right) == ((1, rows) if small == "left" else (rows, 1))
    assert sum(told.breaks_by_class.values()) + told.waiting == rows - 1
