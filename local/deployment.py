"""`sam build` and `sam deploy` against a home, skipped when nothing that matters changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from local import emulator
from local.console import HomeError
from local.processes import quiet_environment
from local.state import ROOT, Paths, State

STACK = "pardna"
#: All that the deployed stack is made of. A change in any of it is deployed.
SOURCES = (
    *("template.yaml", "samconfig.toml", "stacks", "functions", "statemachines"),
    *("layers/shared", "layers/engine", "layers/build_layer.py", "layers/botocore-services.txt"),
)
BUILD_DEADLINE_S = 180.0
DEPLOY_DEADLINE_S = 300.0


def parameters(template: str, offered: Mapping[str, str]) -> dict[str, str]:
    """Those of the offered parameters that the template declares."""
    declared = declared_parameters(template)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    known = {"Stage": "local", "Architecture": "x86_64", "PythonRuntime": python, **offered}
    return {name: value for name, value in known.items() if name in declared}


def declared_parameters(template: str) -> set[str]:
    """Names below `Parameters:` of a template, read without a YAML parser for its short tags."""
    names, inside = set(), False
    for line in template.splitlines():
        if line and not line.startswith((" ", "#")):
            inside = line.startswith("Parameters:")
        elif inside and line.startswith("  ") and line[2:3].isalpha():
            names.add(line.strip().split(":")[0])
    return names


def fingerprint(values: Mapping[str, str], source: Path = ROOT) -> str:
    """A hash of everything that `sam deploy` would deploy from `source`."""
    found = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for path in _files_of(source):
        found.update(f"{path.relative_to(source)}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def snapshot(paths: Paths) -> Path:
    """Copy the sources into the home: what is deployed is one moment's, whoever edits or runs tests
    meanwhile, and holds no bytecode."""
    shutil.rmtree(paths.source, ignore_errors=True)
    for path in _files_of(ROOT):
        target = paths.source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return paths.source


def build(paths: Paths, state: State, values: Mapping[str, str]) -> None:
    """Run `sam build` on the snapshot, into the home."""
    shutil.rmtree(paths.build, ignore_errors=True)
    command = [
        *(emulator.tool("sam"), "build", "--template-file", str(paths.source / "template.yaml")),
        *("--build-dir", str(paths.build), "--build-in-source", "--no-beta-features"),
        *("--parameter-overrides", *_overrides(values)),
    ]
    _sam(paths, state, "build", command, BUILD_DEADLINE_S)


def deploy(paths: Paths, state: State, values: Mapping[str, str]) -> None:
    """Run `sam deploy`; HomeError names the resources that failed."""
    command = [
        *(emulator.tool("sam"), "deploy", "--template-file", str(paths.build / "template.yaml")),
        *("--stack-name", STACK, "--region", emulator.REGION, "--resolve-s3", "--no-progressbar"),
        *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
        *("--no-fail-on-empty-changeset", "--no-confirm-changeset", "--disable-rollback"),
        *("--parameter-overrides", *_overrides(values)),
    ]
    try:
        _sam(paths, state, "deploy", command, DEPLOY_DEADLINE_S)
    except HomeError as error:
        reasons = failed_resources(state)
        if not reasons:
            raise
        raise HomeError("\n".join(["sam deploy failed:", *reasons]), error.remedy) from None


def stack_outputs(state: State) -> dict[str, str]:
    """Outputs of the deployed stack."""
    stacks = client(state, "cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {o["OutputKey"]: o["OutputValue"] for o in stacks[0].get("Outputs", [])}


def stack_resources(state: State) -> dict[str, str]:
    """Physical id by logical id."""
    pages = client(state, "cloudformation").get_paginator("list_stack_resources")
    return {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for page in pages.paginate(StackName=STACK)
        for one in page["StackResourceSummaries"]
        if one.get("PhysicalResourceId")
    }


def failed_resources(state: State) -> list[str]:
    """What the stack's events say about failures of the last deployment, oldest first."""
    try:
        events = client(state, "cloudformation").describe_stack_events(StackName=STACK)
    except Exception:
        return []
    found: list[str] = []
    for event in events["StackEvents"]:  # newest first
        name, status = event["LogicalResourceId"], event["ResourceStatus"]
        if name == STACK and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
            break
        if name != STACK and status.endswith("FAILED"):
            found.append(f"     | {name}: {event.get('ResourceStatusReason', '')[:300]}")
    return list(reversed(found))[:8]


def client(state: State, service: str) -> Any:
    """A boto3 client of this home. Made here and not by the product: the home tests it."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=emulator.endpoint(state),
        region_name=emulator.REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            connect_timeout=5,
            read_timeout=90,
            retries={"mode": "standard", "total_max_attempts": 2},
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": "path"},
        ),
    )


def _overrides(values: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(values.items())]


def _sam(paths: Paths, state: State, name: str, command: list[str], deadline_s: float) -> None:
    log = paths.logs / f"sam-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    path = f"{emulator.TOOLS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = quiet_environment(
        **emulator.aws_environment(state),
        PATH=path,
        PARDNA_LAYER_TARGET="laptop",
        PARDNA_LAYER_CACHE=str(ROOT / ".local" / "layers"),
    )
    environment["SAM_CLI_APP_DIR"] = environment["__SAM_CLI_APP_DIR"] = str(paths.run / "sam")
    with log.open("w") as out:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=paths.source,
                env=environment,
                timeout=deadline_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise HomeError(
                f"sam {name} took longer than {deadline_s:.0f} s", f"see {log}"
            ) from None
    if done.returncode != 0:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
        lines = [line for line in lines if line and "skipping upload" not in line]
        shown = "\n".join(f"     | {line[:240]}" for line in lines[-12:])
        raise HomeError(f"sam {name} failed:\n{shown}", f"the whole story is in {log}")


def _files_of(source: Path) -> Iterable[Path]:
    for name in SOURCES:
        path = source / name
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(
                p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts
            )


def now_text() -> str:
    """The time now, for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S")
