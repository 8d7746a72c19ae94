"""``make bench``: measure, show, compare with the committed baseline, keep in `.local/bench.json`.

``python -m benchmarks --keep`` makes what was measured the new baseline.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import api, imports
from local.console import HomeError
from local.home import open_home

BASELINE = Path(__file__).parent / "baseline.json"
LATEST = imports.ROOT / ".local" / "bench.json"
#: A handler's import may take this many times what importing boto3 and one client takes.
IMPORT_RATIO_MAX = 2.0


def main() -> int:
    """Measure everything that can be measured now."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="make this the new baseline")
    given = parser.parse_args()
    before = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    found: dict[str, Any] = {"machine": f"{platform.machine()}, Python {platform.python_version()}"}
    found["imports"] = show_imports(before.get("imports", {}))
    found["api"] = show_api(before.get("api", {}))
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps(found, indent=2) + "\n")
    if given.keep:
        shutil.copy(LATEST, BASELINE)
    slow = [name for name, one in found["imports"].items() if one["ratio"] > IMPORT_RATIO_MAX]
    if slow:
        print(f"\nslower than {IMPORT_RATIO_MAX} times the baseline: {', '.join(slow)}")
    return 0


def show_imports(before: dict[str, Any]) -> dict[str, Any]:
    """Cold imports, as a table."""
    baseline, measured = imports.measure_all()
    print(
        f"Cold import, median of {imports.RUNS}, in ms of processor time (boto3 and one client: "
        f"{baseline.took_ms:.0f} ms; goal: at most {IMPORT_RATIO_MAX:.0f} times that)\n"
    )
    found = {}
    for one in measured:
        ratio = round(one.took_ms / baseline.took_ms, 2)
        was = before.get(one.name, {}).get("ratio")
        then = f"  was {was:.2f}" if was is not None else ""
        heavy = f"  imports {', '.join(one.heavy)}" if one.heavy else ""
        print(f"  {one.name:<40}{one.took_ms:7.0f}{ratio:7.2f}x{then}{heavy}", flush=True)
        found[one.name] = {"took_ms": one.took_ms, "ratio": ratio, "heavy": list(one.heavy)}
    return found


def show_api(before: dict[str, Any]) -> dict[str, Any]:
    """Answer times, as a table, if a home runs."""
    try:
        home = open_home()
    except HomeError as error:
        print(f"\nNo API figures: {error.what} ({error.remedy})", file=sys.stderr)
        return before
    print(
        f"\nAPI through the laptop home, ms ({api.REQUESTS} requests by one caller, "
        f"then by {api.CALLERS})\n\n  {'':<26}{'p50':>8}{'p95':>8}{'p50':>10}{'p95':>8}"
    )
    found = {}
    for one in api.measure_all(home):
        print(
            f"  {one.name:<26}{one.p50_ms:8.1f}{one.p95_ms:8.1f}{one.together_p50_ms:10.1f}"
            f"{one.together_p95_ms:8.1f}  {one.statuses}",
            flush=True,
        )
        found[one.name] = asdict(one)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
