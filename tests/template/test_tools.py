"""The tools' own opinion of templates and definitions; a warning counts as an error."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.template.reading import MACHINES, ROOT, TOOLS

TEMPLATES = ["template.yaml", *sorted(f"stacks/{p.name}" for p in (ROOT / "stacks").glob("*.yaml"))]

ANY_ARN = "arn:aws:lambda:us-east-1:123456789012:function"
#: Part of the Amazon States Language, and required by Step Functions, but not in statelint's rules.
UNKNOWN_TO_STATELINT = ('"ReaderConfig": {"InputType": "JSON"},',)


def run(tool: str, *arguments: str) -> str:
    """What a tool says; fails the test with it when the tool is not content."""
    program = TOOLS / tool
    if not program.exists():
        pytest.fail(f"{tool} is not installed; run `make setup`")
    environment = {
        "PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": os.environ.get("HOME", str(ROOT)),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(
        [str(program), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said[-4000:]
    return said


def test_sam_accepts_the_template() -> None:
    said = run("sam", "validate", "--lint", "--region", "us-east-1", "--template", "template.yaml")

    assert "is a valid SAM Template" in said


def test_cfn_lint_finds_nothing_in_any_template() -> None:
    assert run("cfn-lint", *TEMPLATES).strip() == ""


@pytest.mark.parametrize("path", TEMPLATES)
def test_checkov_finds_nothing_that_has_no_reason(path: str) -> None:
    run(
        *("checkov", "--config-file", ".checkov.yaml", "--framework", "cloudformation"),
        *("--file", path, "--compact", "--quiet", "--skip-download"),
    )


@pytest.mark.parametrize("path", sorted(MACHINES.glob("*.asl.json")), ids=lambda p: p.name)
def test_statelint_finds_nothing_in_the_definition(path: Path, tmp_path: Path) -> None:
    """As deployed: it looks at resources too, so placeholders must be names of something."""
    filled = re.sub(r"\$\{(\w+)\}", rf"{ANY_ARN}:\1", path.read_text())
    for known in UNKNOWN_TO_STATELINT:
        filled = filled.replace(known, "")
    deployed = tmp_path / path.name
    deployed.write_text(filled)

    run("statelint", str(deployed))


def test_every_exception_from_checkov_says_why() -> None:
    lines = (ROOT / ".checkov.yaml").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if line.strip().startswith("- CKV"):
            assert before.strip().startswith(("#", "- CKV")), line
