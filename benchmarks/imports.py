"""How long each handler takes to import, cold, with the layers' packages and nothing else.

Compared with what any function pays that speaks with AWS: importing boto3 and making one client,
measured in the same run. A handler should stay below twice that. What is measured is processor
time: files are cached, so nothing else is waited for, and other programs do not disturb it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Packages that cost so much that only those who use them may import them.
HEAVY = ("duckdb", "paramiko", "stripe", "psycopg", "pynamodb", "lxml", "boto3")
RUNS = 5

_CHILD = """
import json, sys, time
sys.path[0:0] = json.loads(sys.argv[1])
started = time.process_time()
exec(sys.argv[2])
took_ms = (time.process_time() - started) * 1000
heavy = [name for name in json.loads(sys.argv[3]) if name in sys.modules]
print(json.dumps({"took_ms": took_ms, "heavy": heavy}))
"""
BASELINE = "import boto3; boto3.client('s3', region_name='us-east-1')"


@dataclass(frozen=True, slots=True)
class Import:
    """A cold import: median in milliseconds, and which heavy packages it brought along."""

    name: str
    took_ms: float
    heavy: tuple[str, ...]


def handlers() -> list[str]:
    """Names of all handler modules, as in the template: ``webhooks.capture_webhook``."""
    files = sorted((ROOT / "functions").glob("*/*.py"))
    return [f"{f.parent.name}.{f.stem}" for f in files if f.stem != "__init__"]


def layer_path() -> list[str]:
    """What a function finds on its path: the layers, unpacked for this machine, and its code."""
    sys.path.insert(0, str(ROOT / "layers"))
    try:
        import build_layer
    finally:
        sys.path.pop(0)
    folders = [
        build_layer.unpacked_product(),
        build_layer.unpacked_dependencies("shared"),
        build_layer.unpacked_dependencies("engine"),
        ROOT / "functions",
    ]
    return [str(folder) for folder in folders]


def measure(name: str, statement: str, path: list[str], runs: int = RUNS) -> Import:
    """Run a statement in fresh processes; RuntimeError with its traceback when it fails."""
    found = [_once(statement, path) for _ in range(runs)]
    took_ms = statistics.median(one["took_ms"] for one in found)
    return Import(name, round(took_ms, 1), tuple(found[0]["heavy"]))


def measure_all(runs: int = RUNS) -> tuple[Import, list[Import]]:
    """The baseline and every handler."""
    path = layer_path()
    _once(BASELINE, path)  # fills the file cache
    baseline = measure("boto3 and one client", BASELINE, path, runs)
    return baseline, [measure(name, f"import {name}", path, runs) for name in handlers()]


def _once(statement: str, path: list[str]) -> dict[str, list[str] | float]:
    # -I -S: neither the caller's environment nor its installed packages, only the layers.
    command = [sys.executable, "-I", "-S", "-c", _CHILD, json.dumps(path), statement]
    done = subprocess.run(
        [*command, json.dumps(HEAVY)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{statement}\n{done.stderr}")
    return json.loads(done.stdout)
