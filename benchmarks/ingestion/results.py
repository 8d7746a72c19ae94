"""RESULTS.md of what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

INTRODUCTION = """# Ingestion's speed

Written by `python -m benchmarks.ingestion`. Readers: rows per second of processor time in a process of
its own, and the memory that it took beyond its imports. All else: wall clock, client and server on one
machine."""


def page(found: Mapping[str, Any]) -> str:
    """The page, of what there is."""
    return "\n".join(
        [INTRODUCTION, "", f"Machine: {found.get('machine', '')}.", *_parts(found), ""]
    )


def _parts(found: Mapping[str, Any]) -> Iterator[str]:
    if "read" in found:
        yield from _heading(found, "read", "Readers beside bare parsers")
        yield from _readers(found["read"])
    if "large" in found:
        yield from _heading(
            found, "large", "Files of a gibibyte (of MT940, whose rows are short, an eighth)"
        )
        yield from _readers(found["large"])
    if "record" in found:
        one = found["record"]
        yield from _heading(
            found, "record", "Small batches into PostgreSQL, with versions and outbox"
        )
        yield from _table(
            ("", "rows/s of the client", "seconds in all"),
            (
                (name, f"{one[name]['rows_per_s']:,}", one[name]["wall_s"])
                for name in ("all new", "all known")
            ),
        )
    if "bulk" in found:
        yield from _bulk(found)
    if "webhooks" in found:
        one = found["webhooks"]
        title = f"Webhooks through the laptop home, {one['senders']} senders at once"
        yield from _heading(found, "webhooks", title)
        yield from _table(("what", "value"), ((k.replace("_", " "), v) for k, v in one.items()))


def _bulk(found: Mapping[str, Any]) -> Iterator[str]:
    one = found["bulk"]
    title = f"A settlement report of {one['rows']:,} rows, {one['workers']} workers"
    yield from _heading(found, "bulk", title)
    steps = (
        ("read, judged and staged (one worker)", "staged_s"),
        ("recorded in PostgreSQL, and as Parquet", "recorded_s"),
        ("**from upload to canonical**", "canonical_s"),
        ("posted to the ledger", "posted_s"),
        ("read back as legs for matching", "legs_s"),
    )
    rows = one["rows"]
    yield from _table(
        ("step", "seconds", "rows/s"),
        ((name, one[key], f"{round(rows / max(one[key], 0.1)):,}") for name, key in steps),
    )
    yield f"\n{one['parts']} parts; the staging process held at most {one['staging_peak_mib']} MiB."


def _readers(read: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from _table(
        ("what", "rows", "MiB", "rows/s", "memory, MiB"),
        (
            (
                name,
                f"{one['rows']:,}",
                f"{one['bytes'] / 1024**2:,.0f}",
                f"{one['rows_per_s']:,}",
                f"{one['memory_mib']:.0f}",
            )
            for name, one in read.items()
        ),
    )


def _heading(found: Mapping[str, Any], part: str, title: str) -> Iterator[str]:
    yield f"\n## {title}"
    about = found.get("measured", {}).get(part)
    if about:
        yield f"Measured {about['at']}, load before {about['load_before']}, {about['took_s']} s.\n"


def _table(heads: tuple[str, ...], rows: Iterator[tuple[Any, ...]] | Any) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(str(cell) for cell in row)} |"
