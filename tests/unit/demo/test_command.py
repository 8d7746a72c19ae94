"""The command around the story: what it prints, keeps and answers, also when something is wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from local.console import HomeError
from local.demo import __main__ as command
from local.demo import screen
from local.demo.player import Answer, Player, Unanswered
from local.demo.story import story_days
from local.home import Home
from local.state import Paths, State


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARDNA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def a_home(folder: Path) -> Home:
    return Home(Paths(folder), State(ports={"aws": 1, "stripe": 1}, secrets={}))


def test_what_is_printed_is_remembered_line_by_line() -> None:
    terminal = io.StringIO()
    tee = command.Tee(terminal)

    tee.write("  .. a step")
    tee.write("\r  ok a step   1.0 s\nnext")
    tee.write(" line\n")

    assert tee.lines == ["  ok a step   1.0 s", "next line"]
    assert terminal.getvalue() == "  .. a step\r  ok a step   1.0 s\nnext line\n"


def test_a_failure_is_a_status_a_last_line_of_json_and_a_kept_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: float) -> dict[str, object]:
        command.say("so far")
        raise HomeError("port 4566 is in use", "stop it")

    monkeypatch.setattr(command, "play", fail)

    status = command.main()

    out, err = capsys.readouterr()
    last = json.loads(out.splitlines()[-1])
    assert status == 1
    assert (last["ok"], last["error"]) == (False, "port 4566 is in use")
    assert "-> stop it" in err
    kept = json.loads((folder / "demo.json").read_text())
    assert kept["output"] == ["so far"]


@pytest.mark.parametrize(("ok", "status"), [(True, 0), (False, 1)])
def test_the_status_says_whether_the_story_held(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ok: bool, status: int
) -> None:
    monkeypatch.setattr(command, "play", lambda _: {"ok": ok})

    assert command.main() == status
    assert json.loads((folder / "demo.json").read_text())["ok"] is ok


def test_ctrl_c_ends_with_its_own_status(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: float) -> dict[str, object]:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "play", interrupted)

    assert command.main() == 130
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"] == "interrupted"


def test_the_day_is_chosen_once_for_a_home(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    first = story_days(home)
    kept = tmp_path / "run" / "demo" / "story.json"
    kept.write_text(json.dumps({"first": "2026-01-05"}))

    assert first.debited > first.first
    assert story_days(home).first.isoformat() == "2026-01-05"


def test_a_wait_ends_and_says_what_did_not_arrive_and_where_to_look(tmp_path: Path) -> None:
    player = Player(a_home(tmp_path))

    assert player.wait("a thing", lambda: "found") == "found"
    with pytest.raises(Unanswered) as caught:
        player.wait("the file to arrive", lambda: None, seconds=0.0, where="look at bank.log")

    assert "the file to arrive" in caught.value.what
    assert caught.value.remedy == "look at bank.log"


def test_tables_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(("name", "amount"), [("a", "J$1.00"), ("longer", "J$1,000.00")], right=(1,))

    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "  name        amount",
        "  ──────  ──────────",
        "  a           J$1.00",
        "  longer  J$1,000.00",
    ]


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(("name",), [])

    assert capsys.readouterr().out == "  (none)\n"


def test_a_busy_server_is_asked_again_and_a_refusal_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = Player(a_home(tmp_path))
    answers = [
        Answer(503, ""),
        Answer(502, ""),
        Answer(200, {"ok": True}),
        Answer(403, {"code": "x"}),
    ]
    monkeypatch.setattr(player, "ask", lambda *_: answers.pop(0))
    monkeypatch.setattr("time.sleep", lambda _: None)

    assert player.api("somebody", "GET", "/x") == {"ok": True}
    with pytest.raises(Unanswered) as caught:
        player.api("somebody", "GET", "/x")

    assert "answered 403" in caught.value.what
    assert answers == []
