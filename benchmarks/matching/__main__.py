"""``make bench-matching``: the engine against its answer key and against the floor.

``SIZE=10m`` adds ten million. Each measurement runs in a process of its own, with two threads, on
the same files. Results: `results.json`, `RESULTS.md`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.matching.generate import CURRENCIES, FEES, generate, generate_shards
from pardna.matching.bulk import run_bulk
from pardna.matching.model import Pair
from pardna.matching.rules import FeeSchedule, FeeTier, PairRules, Rules

HERE = Path(__file__).parent
SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}
ON = date(2026, 3, 20)
SEED = 7
#: What a shard holds at most; more is cut by currency.
SHARD_LEGS = 1_000_000
_SCORES = {
    "precision_by_level": """SELECT m.level, count(*) FILTER (WHERE k.l IS NOT NULL) / count(*)
        FROM matches m LEFT JOIN key k ON k.kind = 'match' AND k.l = m.left_id AND k.r = m.right_id
          AND k.legs = coalesce(len(m.more_members), 0) + 2
        WHERE m.status = 'matched' GROUP BY 1 ORDER BY 1""",
    "recall_resolvable": """SELECT count(*) FILTER (WHERE m.left_id IS NOT NULL) / count(*) FROM key k
        LEFT JOIN matches m ON k.l = m.left_id AND k.r = m.right_id WHERE k.kind = 'match'""",
    "recall_automatic": """SELECT count(*) FILTER (WHERE m.left_id IS NOT NULL) / count(*) FROM key k
        LEFT JOIN matches m ON k.l = m.left_id AND k.r = m.right_id AND m.status = 'matched'
        WHERE k.kind = 'match'""",
    "false_auto": """SELECT count(*) FROM matches m LEFT JOIN key k ON k.kind = 'match'
        AND k.l = m.left_id AND k.r = m.right_id WHERE m.status = 'matched' AND k.l IS NULL""",
    "automatic": "SELECT count(*) FROM matches WHERE status = 'matched'",
    "false_auto_unresolvable": """SELECT count(*) FROM matches m WHERE m.status = 'matched' AND (
        m.left_id IN (SELECT l FROM key WHERE kind = 'unresolvable')
        OR m.right_id IN (SELECT r FROM key WHERE kind = 'unresolvable'))""",
    "breaks_right": """SELECT count(*) FILTER (WHERE b.class IS NOT NULL) / count(*) FROM key k
        LEFT JOIN breaks b ON b.class = k.class AND b.left_id IS NOT DISTINCT FROM k.l
          AND b.right_id IS NOT DISTINCT FROM k.r WHERE k.kind = 'break'""",
    "recall_by_case": """SELECT k."case", count(*) FILTER (WHERE m.left_id IS NOT NULL) / count(*)
        FROM key k LEFT JOIN matches m ON k.l = m.left_id AND k.r = m.right_id
        WHERE k.kind = 'match' GROUP BY 1 ORDER BY 1""",
    "breaks_right_by_case": """SELECT k."case", count(*) FILTER (WHERE b.class IS NOT NULL) / count(*)
        FROM key k LEFT JOIN breaks b ON b.class = k.class AND b.left_id IS NOT DISTINCT FROM k.l
        AND b.right_id IS NOT DISTINCT FROM k.r WHERE k.kind = 'break' GROUP BY 1 ORDER BY 1""",
}


def bench_rules() -> Rules:
    """The rules that the generator's world calls for."""
    fees = tuple(
        FeeSchedule(
            currency,
            (*((FeeTier(tier, bp + 100, flat),) if tier else ()), FeeTier(0, bp, flat)),
            minimum,
            source,
        )
        for currency in CURRENCIES
        for source, (bp, flat, minimum, tier) in FEES.items()
    )
    own = PairRules(
        Pair.INTERNAL_BANK,
        identity_types=("end_to_end",),
        soft_types=("payment_reference",),
        fees=fees,
    )
    return Rules(pairs=(own,))


def connect(folder: Path, memory: str) -> duckdb.DuckDBPyConnection:
    """Two threads, the files as views, room to spill beside them."""
    con = duckdb.connect(
        config={"threads": 2, "memory_limit": memory, "temp_directory": str(folder / "spill")}
    )
    con.execute("SET preserve_insertion_order = false")
    for side in ("left", "right"):
        con.execute(f"CREATE VIEW {side}_file AS FROM '{folder}/{side}*.parquet'")
    return con


def floor(folder: Path) -> dict[str, Any]:
    """Four bare joins."""
    con = connect(folder, "3GB")
    started = time.perf_counter()
    con.execute((HERE / "floor.sql").read_text().replace("{out}", str(folder)))
    return {"seconds": time.perf_counter() - started}


def engine(folder: Path) -> dict[str, Any]:
    """All levels with explanations; in shards, one after the other, when the files are cut so."""
    shards = sorted(path.stem.partition("left")[2] for path in folder.glob("left*.parquet"))
    steps: dict[str, float] = {}
    found: dict[str, Any] = {"seconds": 0.0, "left": 0, "right": 0, "shards": len(shards)}
    caps: Counter[str] = Counter()
    for shard in shards:
        con = connect(folder, os.environ.get("MEMORY", "1200MB" if len(shards) == 1 else "3GB"))
        started = time.perf_counter()
        told: list[tuple[str, float]] = []
        left, right = (f"read_parquet('{folder}/{s}{shard}*.parquet')" for s in ("left", "right"))
        counts = run_bulk(
            con, left, right, bench_rules(), Pair.INTERNAL_BANK, ON, folder / f"out{shard}",
            progress=partial(_note, told),
        )  # fmt: skip
        ended = time.perf_counter()
        con.close()
        found["seconds"] += ended - started
        for (step, begun), (_, after) in pairwise([*told, ("", ended)]):
            steps[step] = round(steps.get(step, 0.0) + after - begun, 2)
        found["left"] += counts.left
        found["right"] += counts.right
        caps.update(counts.caps)
    return found | {"caps": dict(caps), "steps": steps}


def _note(told: list[tuple[str, float]], step: str) -> None:
    told.append((step, time.perf_counter()))


def in_process(what: str, folder: Path) -> dict[str, Any]:
    """Run a measurement in a process of its own, on two cores."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.matching", what, str(folder)],
        capture_output=True, text=True, check=True, env=os.environ.copy(),
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def score(folder: Path) -> dict[str, Any]:
    """What the engine wrote, against the key."""
    con = duckdb.connect(
        config={"threads": 2, "memory_limit": "4GB", "temp_directory": str(folder / "spill")}
    )
    for name, path in (("key", "key*"), ("matches", "out*/matches"), ("breaks", "out*/breaks")):
        con.execute(f"CREATE VIEW {name} AS FROM '{folder / (path + '.parquet')}'")
    found: dict[str, Any] = {}
    for name, query in _SCORES.items():
        rows = con.execute(query).fetchall()
        found[name] = dict(rows) if len(rows[0]) == 2 else rows[0][0]
    return found


def measure(size: str) -> dict[str, Any]:
    """One row of the results."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make = generate_shards if SIZES[size] > SHARD_LEGS else generate
        started = time.perf_counter()
        make(duckdb.connect(config={"threads": 2}), SIZES[size], SEED, folder)
        generated = time.perf_counter() - started
        bare = in_process("floor", folder)
        whole = in_process("engine", folder)
        row = {
            "size": size,
            "floor_s": round(bare["seconds"], 2),
            "engine_s": round(whole["seconds"], 2),
            "ratio": round(whole["seconds"] / bare["seconds"], 2),
            "cpu_ratio": round(whole["cpu_seconds"] / bare["cpu_seconds"], 2),
            "load": round(os.getloadavg()[0], 1),
            "floor_cpu_s": round(bare["cpu_seconds"], 2),
            "engine_cpu_s": round(whole["cpu_seconds"], 2),
            "peak_rss_mb": whole["peak_rss_mb"],
            "shards": whole["shards"],
            "generate_s": round(generated, 1),
            "microseconds_per_leg": round(
                whole["seconds"] * 1e6 / (whole["left"] + whole["right"]), 2
            ),
            "left": whole["left"],
            "right": whole["right"],
            **{k: _rounded(v) for k, v in score(folder).items()},
            "caps": whole["caps"],
            "steps": whole["steps"],
        }
    print(json.dumps(row))
    return row


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _rounded(v) for k, v in value.items()}
    return round(value, 6) if isinstance(value, float) else value


def report(rows: list[dict[str, Any]]) -> str:
    """The results for people."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    lines = [
        "# Matching, measured",
        "",
        f"On {os.cpu_count()} cores and {memory} GiB, two threads, DuckDB {duckdb.__version__}; "
        "`make bench-matching` writes this file. The floor is `floor.sql`: four bare joins of the "
        "same files, in the same run, on the same two cores. `load` is the machine's (1 minute) at that time: above 0.5 a core, "
        "only the ratio of CPU seconds says something. Above a million, legs come in shards: a currency "
        "each, so no candidate pair is cut; seconds are the sum over shards. False automatic matches are counted, not sampled.",
        "",
        "| size | shards | load | floor s | engine s | ratio | CPU ratio | µs a leg | peak MB | precision by level | recall | automatic | false automatic | of unresolvable | breaks right |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        levels = ", ".join(f"{k}: {v}" for k, v in row["precision_by_level"].items())
        lines.append(
            f"| {row['size']} | {row['shards']} | {row['load']} | {row['floor_s']} | {row['engine_s']} | {row['ratio']} "
            f"| {row['cpu_ratio']} | {row['microseconds_per_leg']} | {row['peak_rss_mb']} "
            f"| {levels} | {row['recall_resolvable']} | {row['recall_automatic']} "
            f"| {row['false_auto']} of {row['automatic']} | {row['false_auto_unresolvable']} | {row['breaks_right']} |"
        )
    seconds = {row["size"]: row["engine_s"] for row in rows}
    if "10m" in seconds:
        times = round(seconds["10m"] / (10 * seconds["1m"]), 2)
        lines += ["", f"Ten million took {times} × ten times what one million took."]
    lines += [
        "",
        "Recall by case at the largest size:",
        "",
        "| case | confirmed or top proposal |",
        "|---|---|",
    ]
    lines += [f"| {k} | {v} |" for k, v in rows[-1]["recall_by_case"].items()]
    lines += [
        "",
        "Breaks rightly classified by case at the largest size:",
        "",
        "| case | right |",
        "|---|---|",
    ]
    lines += [f"| {k} | {v} |" for k, v in rows[-1]["breaks_right_by_case"].items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, or be one of the measuring processes."""
    if len(sys.argv) == 3:
        # The engine runs statements of both sides beside each other: never on more cores than the floor.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
        answer = {"floor": floor, "engine": engine}[sys.argv[1]](Path(sys.argv[2]))
        used = resource.getrusage(resource.RUSAGE_SELF)
        answer["peak_rss_mb"] = used.ru_maxrss // 1024
        answer["cpu_seconds"] = used.ru_utime + used.ru_stime
        print(json.dumps(answer))
        return 0
    asked = os.environ.get("SIZE", "")
    sizes = (
        [asked]
        if asked in ("10k", "100k")
        else ["10k", "100k", "1m"] + ([asked] if asked == "10m" else [])
    )
    rows = [measure(size) for size in sizes]
    if len(sizes) >= 3:
        (HERE / "results.json").write_text(json.dumps(rows, indent=2) + "\n")
        (HERE / "RESULTS.md").write_text(report(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
