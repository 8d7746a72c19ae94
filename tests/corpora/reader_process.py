"""Reads files in a process of its own, under limits of memory and processor time.

One path a line on standard input (a tab and a profile as JSON may follow), one JSON object a line on standard output. The limits hold for
the whole process: 256 MB of address space above what the interpreter and its modules take, and two
seconds of processor time a file, which a busy machine does not use up. A file that breaks a limit
ends the process; who asked sees the end of the output and says so.
"""

from __future__ import annotations

import importlib
import io
import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from pardna.formats import registry
from pardna.formats.archive import Member, members
from pardna.formats.items import collect
from pardna.formats.model import Origin, Parsed, Severity, Statement
from pardna.formats.profile import Profile
from pardna.formats.recognise import is_archive
from pardna.formats.streaming import open_stream
from pardna.runtime.errors import PardnaError

MEMORY_MAX = 256 * 1024 * 1024
SECONDS_MAX = 2

ORIGIN = Origin("corpora", "corpora", "0" * 64)


def figures(parsed: Parsed) -> dict[str, Any]:
    """What the expectations speak about."""
    return {
        "format": parsed.format,
        "statements": [_statement(s) for s in parsed.statements],
        "entries": parsed.entries_count,
        "transactions": [
            {
                "id": t.external_id,
                "kind": t.kind.value,
                "amount": t.amount_minor,
                "currency": t.currency,
                "references": [f"{r.type}:{r.value}" for r in t.references],
            }
            for t in parsed.transactions
        ],
        "statuses": [[s.status, s.reason_code, s.end_to_end_id] for s in parsed.statuses],
        "problems": [
            f"{p.code} at {p.position}: {p.reason}"
            for p in (*parsed.problems, *(p for s in parsed.statements for p in s.problems))
        ],
    }


def _statement(statement: Statement) -> dict[str, Any]:
    counted = Counter(t.external_id for t in statement.transactions)
    return {
        "id": statement.statement_id,
        "account": statement.account,
        "currency": statement.currency,
        "opening": statement.opening_minor,
        "closing": statement.closing_minor,
        "sum": statement.entries_minor,
        "entries": statement.entries_count,
        "transactions": len(statement.transactions),
        "transactions_sum": sum(t.amount_minor for t in statement.transactions),
        "repeated_ids": sum(n - 1 for n in counted.values()),
        "ties": statement.ties if statement.gap_minor is not None else None,
        "sequence": statement.sequence_number,
        "problems": [p.code for p in statement.problems],
        "errors": [p.code for p in statement.problems if p.severity is Severity.ERROR],
    }


def answer(line: str) -> dict[str, Any]:
    """The figures of a file, or the code and words it is refused with."""
    name, _, profile = line.partition("\t")
    try:
        if profile:
            with Path(name).open("rb") as file:
                chosen = Profile.model_validate_json(profile)
                return figures(collect(*open_stream(file, ORIGIN, chosen)))
        data = Path(name).read_bytes()
        if is_archive(data[:4]):
            return of_archive(data)
        parsed = registry.parse(data, ORIGIN)
        # Streamed or whole, a file says the same.
        if collect(*open_stream(io.BytesIO(data), ORIGIN)) != parsed:
            return {"died": "streamed, it says something else"}
        return figures(parsed)
    except PardnaError as error:
        return {"refused": error.code, "reason": error.detail}


def of_archive(data: bytes) -> dict[str, Any]:
    """What the files of an archive say; it is refused when all of them are."""
    found = [unpacked(member) for member in members(io.BytesIO(data))]
    if all("refused" in one for one in found):
        first = found[0] if found else {"refused": "archive.empty", "reason": "nothing is in it"}
        return {**first, "members": found}
    return {"members": found}


def unpacked(member: Member) -> dict[str, Any]:
    """What one file of an archive says; an archive inside is refused like anything else."""
    try:
        return {"name": member.name, **figures(registry.parse(member.data, ORIGIN))}
    except PardnaError as error:
        return {"name": member.name, "refused": error.code, "reason": error.detail}


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def main() -> None:
    """Answer until the input ends."""
    for name in (*registry.READERS.values(), "csv_profile", "fixed_width"):
        importlib.import_module(f"pardna.formats.{name}")
    if Path("/proc/self/statm").exists():
        limit = _address_space() + MEMORY_MAX
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        spent = int(time.process_time()) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS_MAX, resource.RLIM_INFINITY))
        sys.stdout.write(json.dumps(answer(line.rstrip("\n"))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
