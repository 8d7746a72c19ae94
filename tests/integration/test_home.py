"""The laptop home in bad situations: it says what is wrong, ends, and touches nothing of others."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from local import home
from local.console import HomeError
from local.processes import Child, free_ports
from local.state import DEFAULT_PORTS, ROOT, Paths, State, load
from tests.support.home import laptop_home

pytestmark = pytest.mark.home


@pytest.fixture
def folder() -> Iterator[Path]:
    """A home's folder; whatever a test left running in it is stopped.

    Not in pytest's own temporary folder: that is shut to PostgreSQL's user by every pytest that
    starts meanwhile.
    """
    made = Path(tempfile.mkdtemp(prefix="pardna-home-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        home.down(made)
        shutil.rmtree(made, ignore_errors=True)


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """``python -m local …`` for the home in `folder`."""
    ports = zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True)
    chosen = {f"PARDNA_PORT_{name.upper()}": str(port) for name, port in ports}
    return subprocess.Popen(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env=os.environ | chosen | {"PARDNA_HOME": str(folder)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Its exit status and what it said."""
    process = command(folder, *arguments, **environment)
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def children(folder: Path) -> dict[str, Child]:
    state = load(Paths(folder))
    return state.living if state else {}


@contextmanager
def a_stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_up_status_up_down_down(folder: Path) -> None:
    status, said = run(folder, "up", "--no-deploy")
    assert status == 0, said
    first = children(folder)
    assert set(first) == set(home.wanted_parts())

    status, said = run(folder, "status")
    assert status == 0, said
    assert "STOPPED" not in said

    status, said = run(folder, "up", "--no-deploy")
    assert status == 0
    assert "already running" in said
    assert children(folder) == first

    status, said = run(folder, "down")
    assert status == 0
    assert said.startswith("Stopped ")
    assert not any(psutil.pid_exists(child.pid) and child.alive for child in first.values())
    assert not (folder / "run").exists()

    status, said = run(folder, "down")
    assert (status, said) == (0, "Nothing was running\n")


def test_the_state_file_is_for_its_owner_only(folder: Path) -> None:
    running = home.up(folder, {"PARDNA_PORTS": "free"}, deploy=False)
    assert running.paths.state.stat().st_mode & 0o077 == 0


def test_a_port_in_use_is_named_with_its_holder_and_a_remedy(folder: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = str(held.getsockname()[1])
        status, said = run(folder, "up", "--no-deploy", PARDNA_PORT_AWS=port)
    assert status == 1
    assert f"port {port} (aws) is in use by process {os.getpid()}" in said
    assert "PARDNA_PORT_AWS=" in said
    assert "Traceback" not in said
    assert children(folder) == {}
    assert not (folder / "state.json").exists()


def test_a_port_that_is_none_is_refused(folder: Path) -> None:
    status, said = run(folder, "up", "--no-deploy", PARDNA_PORT_AWS="80000")
    assert status == 1
    assert "PARDNA_PORT_AWS=80000 is not a port" in said


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 99}', '{"format": 1, "children": 7}']
)
def test_a_broken_state_file_does_not_matter(folder: Path, content: str) -> None:
    (folder / "state.json").write_text(content)
    assert load(Paths(folder)) is None
    status, said = run(folder, "down")
    assert (status, said) == (0, "Nothing was running\n")


def test_a_stale_state_file_of_a_machine_that_was_switched_off(folder: Path) -> None:
    dead = Child("aws", pid=2**22 - 1, started=1.0, mark="ministack", log="")
    State(ports={}, secrets={}, children={"aws": dead}).save(Paths(folder))
    status, said = run(folder, "status")
    assert status == 1
    status, said = run(folder, "up", "--no-deploy")
    assert status == 0, said
    assert set(children(folder)) == set(home.wanted_parts())


def test_when_one_part_was_killed_all_start_afresh(folder: Path) -> None:
    home.up(folder, {"PARDNA_PORTS": "free"}, deploy=False)
    before = children(folder)
    victim = before["stripe"].process()
    assert victim is not None
    victim.kill()
    psutil.wait_procs([victim], timeout=10)

    status, said = run(folder, "status")
    assert status == 1
    assert "STOPPED" in said
    with pytest.raises(HomeError, match="half dead: stripe stopped"):
        home.open_home(folder)

    status, said = run(folder, "up", "--no-deploy")
    assert status == 0, said
    assert "half of the home is gone (stripe)" in said
    after = children(folder)
    assert set(after) == set(before)
    assert not {c.pid for c in after.values()} & {c.pid for c in before.values()}


@pytest.mark.parametrize("same_start", [True, False])
def test_down_leaves_a_stranger_alone_that_got_a_childs_process_id(
    folder: Path, same_start: bool
) -> None:
    with a_stranger() as stranger:
        started = psutil.Process(stranger.pid).create_time()
        # An id alone, or id and start time of a process with another command line: not ours.
        mark = "ministack_launcher.py" if same_start else "time.sleep"
        child = Child("aws", stranger.pid, started if same_start else started - 5, mark, "")
        State(ports={}, secrets={}, children={"aws": child}).save(Paths(folder))
        status, said = run(folder, "down")
        assert (status, said) == (0, "Nothing was running\n")
        assert stranger.poll() is None


def test_a_part_that_dies_at_its_start_is_shown_with_its_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = folder / "tools"
    tools.mkdir()
    (tools / "python").write_text("#!/bin/sh\necho cannot allocate a thing >&2\nexit 3\n")
    (tools / "python").chmod(0o755)
    (tools / "localstripe").touch()
    monkeypatch.setattr("local.emulator.TOOLS", tools)
    with pytest.raises(HomeError) as caught:
        home.up(folder, {"PARDNA_PORTS": "free"}, deploy=False)
    assert "stopped right after its start" in caught.value.what
    assert "cannot allocate a thing" in caught.value.what
    assert children(folder) == {}
    assert not (folder / "state.json").exists()


def test_a_missing_tool_says_what_to_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.emulator.TOOLS", folder / "nothing")
    with pytest.raises(HomeError) as caught:
        home.up(folder, {"PARDNA_PORTS": "free"}, deploy=False)
    assert caught.value.remedy == "remove the folder .tools and run `make setup`"
    assert children(folder) == {}


def test_two_commands_at_once_do_not_wait_for_each_other(folder: Path) -> None:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, said = run(folder, "up", "--no-deploy")
    assert status == 1
    assert "another command is changing the home" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing_behind(folder: Path, number: signal.Signals) -> None:
    process = command(folder, "up", "--no-deploy")
    until = time.monotonic() + 60
    while not children(folder) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    started = children(folder)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert started
    assert not any(child.alive for child in started.values())
    assert not (folder / "state.json").exists()


def test_commands_that_need_a_home_say_that_there_is_none(folder: Path) -> None:
    for arguments in (["logs"], ["invoke", "X", "y.json"], ["deploy"]):
        status, said = run(folder, *arguments)
        assert status == 1
        assert "the laptop home is not running" in said
        assert "make up" in said


def test_two_homes_side_by_side_share_nothing(folder: Path) -> None:
    first = home.up(folder, {"PARDNA_PORTS": "free"}, deploy=False)
    with laptop_home(deploy=False) as second:
        assert not set(first.state.ports.values()) & set(second.state.ports.values())
        assert first.state.secrets != second.state.secrets
        first.client("s3").create_bucket(Bucket="only-here")
        names = [b["Name"] for b in second.client("s3").list_buckets()["Buckets"]]
        assert "only-here" not in names
        other = second.state.children
    assert not any(child.alive for child in other.values())
    assert set(children(folder)) == set(home.wanted_parts())


def test_the_home_of_killed_tests_is_tidied_up(tmp_path: Path) -> None:
    """pytest killed hard cannot tidy up; the guard does."""
    script = (
        "import json, time\n"
        "from tests.support.home import laptop_home\n"
        "with laptop_home(deploy=False) as home:\n"
        "    print(json.dumps([str(home.paths.home), *(c.pid for c in home.state.children.values())]),"
        " flush=True)\n"
        "    time.sleep(300)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    said = next(line for line in process.stdout if line.startswith("["))
    where, *pids = json.loads(said)
    processes = [psutil.Process(pid) for pid in pids]
    process.kill()
    process.wait()
    process.stdout.close()
    _, left = psutil.wait_procs(processes, timeout=60)
    assert left == []
    until = time.monotonic() + 30
    while Path(where).exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(where).exists()


TEMPLATE = """
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  PythonRuntime: {Type: String}
Resources:
  AnswerFunction:
    Type: AWS::Serverless::Function
    Metadata: {SkipBuild: true}
    Properties: {CodeUri: functions, Handler: answer.handler, Runtime: !Ref PythonRuntime}
  Thing:
    Type: Custom::Thing
    Properties: {ServiceToken: !GetAtt AnswerFunction.Arn, ServiceTimeout: 60, Status: WANTED}
"""
ANSWER = """
import json, urllib.request
def handler(event, context):
    same = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    status = event["ResourceProperties"]["Status"]
    answer = same | {"Status": status, "Reason": "asked to fail", "PhysicalResourceId": "thing"}
    urllib.request.urlopen(
        urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    )
"""


def test_a_deployment_that_fails_names_the_resource_and_the_next_one_repairs_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "answer.py").write_text(ANSWER)
    for module in ("local.deployment", "local.home"):
        monkeypatch.setattr(f"{module}.ROOT", tmp_path)

    (tmp_path / "template.yaml").write_text(TEMPLATE.replace("WANTED", "FAILED"))
    with pytest.raises(HomeError) as caught:
        home.up(folder, {"PARDNA_PORTS": "free"})
    assert "Thing: asked to fail" in caught.value.what
    assert "sam-deploy.log" in caught.value.remedy
    assert set(children(folder)) == set(home.wanted_parts())

    (tmp_path / "template.yaml").write_text(TEMPLATE.replace("WANTED", "SUCCESS"))
    assert "Thing" in home.up(folder).resources

    (tmp_path / "template.yaml").write_text("Resources: {")
    with pytest.raises(HomeError, match="sam build failed"):
        home.up(folder)
