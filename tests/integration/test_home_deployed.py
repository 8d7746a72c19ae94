"""The whole stack on a laptop home: it deploys, is left alone when nothing changed, and queues."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from local import deployment
from local import home as homes
from local.deployment import declared_parameters
from local.home import Home
from local.state import ROOT

pytestmark = pytest.mark.home


def answer(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of a request, whatever the status."""
    request = urllib.request.Request(url, data=body, method="POST" if body else "GET")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def run(home: Home, *arguments: str, given: str = "") -> tuple[int, str]:
    """``python -m local …`` for this home."""
    done = subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env=os.environ | {"PARDNA_HOME": str(home.paths.home)},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_every_function_of_the_template_is_deployed(home: Home) -> None:
    template = (ROOT / "template.yaml").read_text()
    declared = {
        line.strip(" :")
        for line in template.splitlines()
        if line.startswith("  ")
        and line[2:3].isalpha()
        and line.rstrip().endswith("Function:")
        and len(line.strip()) > len("Function:")
    }
    assert declared
    assert declared <= set(home.resources)
    assert home.outputs["ApiId"]


def test_no_route_is_open_without_a_token(home: Home) -> None:
    status, _ = answer(f"{home.api_url}/tenants/nobody/trial-balance")
    assert status == 401


def test_a_second_start_changes_nothing(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    now = deployment.fingerprint(homes.parameter_values(home, ROOT))
    if now != home.state.deployment["fingerprint"]:
        pytest.skip("somebody edited the sources while the tests ran")
    again = homes.up(home.paths.home)
    said = capsys.readouterr().out
    assert "already running" in said
    assert "up to date" in said
    assert again.state == home.state


def test_many_callers_wait_in_line_and_none_is_turned_away(home: Home) -> None:
    url = f"{home.api_url}/webhooks/nobody/nothing"
    with ThreadPoolExecutor(40) as callers:
        answers = list(callers.map(lambda _: answer(url, b"{}"), range(120)))
    assert {status for status, _ in answers} <= {400, 404}, {a for a in answers if a[0] >= 429}


def test_a_function_runs_with_the_layers_packages_and_logs_its_name(home: Home) -> None:
    assert home.invoke("RelayOutboxFunction", {}) == {"moved_count": 0}
    status, said = run(home, "logs", "RelayOutboxFunction")
    assert status == 0
    assert "Function finished" in said
    assert home.resources["RelayOutboxFunction"] in said


def test_invoke_reads_an_event_from_a_file_or_from_standard_input(home: Home) -> None:
    for event, given in (("events/outbox/relay_outbox.scheduled.json", ""), ("-", "{}")):
        status, said = run(home, "invoke", "RelayOutboxFunction", event, given=given)
        assert status == 0, said
        assert json.loads(said) == {"moved_count": 0}


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("logs", "Relay"), "did you mean RelayOutboxFunction?"),
        (("invoke", "Nothing", "-"), "no function is called Nothing"),
        (("invoke", "RelayOutboxFunction", "nothing.json"), "there is no event file nothing.json"),
    ],
)
def test_a_slip_of_the_pen_gets_a_hint(home: Home, arguments: tuple[str, ...], hint: str) -> None:
    status, said = run(home, *arguments)
    assert status == 1
    assert hint in said
    assert "Traceback" not in said


def test_the_database_is_migrated_and_the_runtime_role_owns_nothing(home: Home) -> None:
    import psycopg

    with psycopg.connect(home.database_superuser_url) as connection:
        owned = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relowner = 'pardna_runtime'::regrole"
        ).fetchone()
        applied = connection.execute("SELECT count(*) FROM app.migrations").fetchone()
    assert owned == (0,)
    assert applied is not None
    assert applied[0] > 0


def test_declared_parameters_are_read_from_the_template() -> None:
    text = "Parameters:\n  # a comment\n  Stage:\n    Type: String\n  B: {Type: String}\nResources:\n  C:\n"
    assert declared_parameters(text) == {"Stage", "B"}
    assert {"Stage", "DatabaseUrl"} <= declared_parameters((ROOT / "template.yaml").read_text())
