"""The command `pardna parse`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pardna import cli
from tests.support.formats import a_camt053, an_entry
from tests.unit.formats.test_csv_profile import STATEMENT, a_profile
from tests.unit.formats.test_mt940 import GOOD


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


def test_a_profile_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(STATEMENT, encoding="utf-8")
    assert cli.main(["parse", str(path), "--profile", str(tmp_path / "p.json")]) == 2
    assert "p.json: No such file" in capsys.readouterr().err


def test_a_problem_is_told_with_its_line_and_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x"
    path.write_bytes(a_camt053("\n\n" + an_entry("5,0O0.00"), an_entry()))
    assert cli.main(["parse", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "error   statement 1 entry 1 line 3: the amount cannot be read (entry.amount)" in shown
    assert cli.main(["parse", str(path), "--json"]) == 0
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["position"], problem["reason"]) == (
        "statement 1 entry 1 line 3",
        "the amount cannot be read",
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_will_do_and_no_account_or_network_is_needed(
    encoding: str, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(a_camt053(an_entry()).replace(b"JMD", b"EUR").replace(b"S-1", b"\xe2\x82\xac"))
    words = [sys.executable, "-c", ALONE, "parse", str(path)]
    home = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": encoding}
    for more in ([], ["--json"], ["--transactions"]):
        done = subprocess.run([*words, *more], env=home, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout


#: The command in a process that has no environment, opens no socket and loads no AWS or database.
ALONE = """
import socket, sys
def refused(*_): raise AssertionError("a socket")
socket.socket = refused
from pardna import cli
answer = cli.main(sys.argv[1:])
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"boto3", "botocore", "psycopg", "requests", "stripe"}, loaded
sys.exit(answer)
"""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "format.empty"),
        (b" \r\n\t", "format.empty"),
        (b"\xef\xbb\xbf\r\n", "format.empty"),
        (b"hello", "format.unknown"),
        (b"Date,Amount\n", "format.needs_profile"),
        (b"<a/>", "format.unknown_xml"),
        (b"{}", "format.unknown_json"),
        (bytes(range(256)), "text.binary"),
        (b"01,", "format.unknown"),
        (b"\xff\xfe", "format.empty"),
        (b"\xff\xfea\x00b", "format.unknown"),
        (b"\xff\xfe" + "<a/>".encode("utf-16-le") * 9 + b"\x00\xd8a\x00", "text.encoding"),
    ],
)
def test_what_is_nothing_that_we_read_is_refused(
    data: bytes, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "statement.xml"
    path.write_bytes(data)
    assert cli.main(["parse", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["refused"]["code"] == code
    assert cli.main(["parse", str(path)]) == 1
    assert code in capsys.readouterr().err


@pytest.mark.parametrize("name", ["statement.csv", "a.sta", "a.json", "a.xml", "a.zip", "a"])
def test_a_files_name_says_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    for data, wanted in ((a_camt053(an_entry()), "camt.053.001.08"), (GOOD.encode(), "MT940")):
        path.write_bytes(data)
        assert cli.main(["parse", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["format"] == wanted
