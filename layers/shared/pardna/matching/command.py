"""``pardna match LEFT RIGHT --rules RULES --out DIR``: the engine on anybody's files, without AWS."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pardna.matching.csv_safe import harmless
from pardna.runtime.errors import PardnaError

if TYPE_CHECKING:
    import duckdb

_ABOUT = """\
Matches two files (CSV, JSON or Parquet) by the four levels and writes to DIR, as Parquet and CSV:
matches (members, level, confidence, explanation), breaks (class, reason), waiting, rejected rows.
The rules file maps columns and says tolerances, windows and fees; docs/matching.md has an example.
Exit status: 0, or 2 when something that was given cannot be used.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; see `_ABOUT`."""
    parser = argparse.ArgumentParser(
        prog="pardna match",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("left", type=Path, help="our side's file")
    parser.add_argument("right", type=Path, help="the other side's file")
    parser.add_argument("--rules", type=Path, required=True, help="rules file (JSON)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--date", help="reference date YYYY-MM-DD (default: the rules', else today)"
    )
    parser.add_argument("--memory", default="1GB", help="most memory to use (default 1GB)")
    given = parser.parse_args(arguments)
    try:
        return _match(given)
    except PardnaError as error:
        sys.stderr.write(f"pardna match: {error.detail}\n")
        return 2


def _match(given: argparse.Namespace) -> int:
    import duckdb  # heavy: only when this word is used

    from pardna.matching.bulk import run_bulk
    from pardna.matching.files import load_file
    from pardna.matching.rules_document import read_rules

    document = read_rules(given.rules)
    on = _date(given.date) or document.reference_date or datetime.now(UTC).date()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as spill:
        con = duckdb.connect(config={"memory_limit": given.memory, "temp_directory": spill})
        for side, path, columns in (
            ("left", given.left, document.left),
            ("right", given.right, document.right),
        ):
            _say(f"reading {path}", started)
            load_file(con, side, path, columns)
        counts = run_bulk(
            con, "left_file", "right_file", document.rules(), document.pair, on, given.out,
            ("parquet", "csv"), lambda step: _say(step, started),
        )  # fmt: skip
        rejected = _rejected(con, given.out)
        con.close()
    _say("done", started)
    lines = [
        f"rules {document.rules().rules_hash}, reference date {on.isoformat()}",
        f"rows        left {counts.left}, right {counts.right}, rejected {rejected}",
        *(f"level {level}     {count} matched" for level, count in counts.matches_by_level.items()),
        f"proposals   {counts.proposals}, for a person to decide",
        *(f"break       {count} {name}" for name, count in counts.breaks_by_class.items()),
        f"waiting     {counts.waiting}, not due yet",
        *(f"limit hit   {name}: {count}" for name, count in counts.caps.items()),
        f"written to  {given.out}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _rejected(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write rejected rows of both files; returns how many there are."""
    union = "SELECT 'left' AS side, * FROM left_rejected UNION ALL SELECT 'right', * FROM right_rejected"
    target = str(out / "rejected.csv").replace("'", "''")
    con.execute(f"COPY ({harmless(con, union)}) TO '{target}' (FORMAT csv, HEADER)")
    rows = con.execute(f"SELECT count(*) FROM ({union})").fetchall()  # noqa: S608
    return int(rows[0][0])


def _date(text: str | None) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PardnaError("match.date", f"{text} is not a date (YYYY-MM-DD)") from None


def _say(step: str, started: float) -> None:
    sys.stderr.write(f"{time.monotonic() - started:7.1f} s  {step}\n")
