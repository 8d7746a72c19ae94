"""The command `pardna parse`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pardna import cli
from tests.support.formats import a_camt053, an_entry
from tests.unit.formats.test_csv_profile import STATEMENT, a_profile


def test_it_shows_a_statement_and_that_it_ties(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "whatever.bin"
    path.write_bytes(a_camt053(an_entry()))
    assert cli.main(["parse", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "camt.053" in shown
    assert "ties: opening + entries = closing" in shown
    assert "J$5,000.00" in shown
    assert "No problems." in shown


def test_json_carries_minor_units_and_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gap.xml"
    path.write_bytes(a_camt053(an_entry(), closing="5100.01"))
    assert cli.main(["parse", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["statements"][0]["gap_minor"] == 1
    assert told["statements"][0]["ties"] is False
    assert told["transactions"] == 1


def test_a_refused_file_gives_one_and_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n1,2\n")
    assert cli.main(["parse", str(path)]) == 1
    assert "it is read by a profile" in capsys.readouterr().err
    assert cli.main(["parse", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["refused"]["code"] == "format.needs_profile"


def test_a_profile_reads_csv_and_transactions_stream_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, profile = tmp_path / "x.csv", tmp_path / "p.json"
    path.write_text(STATEMENT, encoding="utf-8")
    profile.write_text(a_profile().model_dump_json(), encoding="utf-8")
    words = ["parse", str(path), "--profile", str(profile), "--transactions"]
    assert cli.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["amount_minor"] for line in lines] == [500_000, -15_000]


def test_wrong_usage_gives_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "p.json"
    profile.write_text("{}", encoding="utf-8")
    assert cli.main(["parse", str(tmp_path / "absent")]) == 2
    assert cli.main(["parse", str(profile), "--profile", str(profile)]) == 2
    assert cli.main(["dance"]) == 2
    assert cli.main([]) == 2
    assert "there is no command 'dance'" in capsys.readouterr().err
    assert cli.main(["--help"]) == 0
    assert "parse" in capsys.readouterr().out
