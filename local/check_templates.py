"""Check templates and state machine definitions with the tools that know them.

`sam validate --lint` and cfn-lint read the templates, statelint each definition, checkov looks for
unsafe settings (each skip stands in the template with its reason). Run by the tools' Python; what
these tools cannot see (substitutions, names, comments, retries) is tested in `tests/`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOOLS = Path(sys.executable).parent
DEADLINE_S = 240.0


def main(files: list[str]) -> int:
    """Run every check that has something to check; exit status."""
    templates = [name for name in files if name.endswith((".yaml", ".yml"))]
    machines = [name for name in files if name.endswith(".asl.json")]
    jobs: list[tuple[str, list[str]]] = []
    if "template.yaml" in templates:
        jobs.append(("sam validate", ["sam", "validate", "--lint", "-t", "template.yaml"]))
    if templates:
        jobs.append(("cfn-lint", ["cfn-lint", "--non-zero-exit-code", "warning", *templates]))
        listed = [part for name in templates for part in ("-f", name)]
        quiet = ["--framework", "cloudformation", "--compact", "--quiet", "--skip-download"]
        jobs.append(("checkov", ["checkov", *quiet, *listed]))
    jobs.extend((f"statelint {Path(name).name}", ["statelint", name]) for name in machines)
    with ThreadPoolExecutor(max_workers=2) as pool:
        return max(pool.map(lambda job: check(*job), jobs), default=0)


def check(name: str, command: list[str]) -> int:
    """Run one tool; what it says is shown only when it is not content."""
    started = time.monotonic()
    environment = os.environ | {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        done = subprocess.run(
            [str(TOOLS / command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            timeout=DEADLINE_S,
            check=False,
        )
        status, said = done.returncode, f"{done.stdout}{done.stderr}"
    except subprocess.TimeoutExpired:
        status, said = 1, f"took longer than {DEADLINE_S:.0f} s"
    took = f"{time.monotonic() - started:6.1f} s"
    print(f"  {'ok' if status == 0 else 'xx'} {name:<34}{took}", flush=True)
    if status:
        print(said.rstrip(), flush=True)
    return min(status, 1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
