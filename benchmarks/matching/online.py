"""What a leg costs online, with few and with many legs open: ``make bench-online``.

The real handler code, pynamodb and botocore run down to the HTTP session; behind it stands a table
in memory (`memory_table`), whose look-ups are by key, in a process of its own: neither its work nor
its size is the client's. Not in it: TLS, the network, and what DynamoDB itself takes. Writes
online.json and ONLINE.md.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("AWS_ACCESS_KEY_ID", "memory")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "memory")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from benchmarks.matching.memory_table import Apart, MemoryTable, answered_by, serving_apart
from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.dynamodb_groups import GroupCommits
from pardna.matching.dynamodb_table import MatchTable
from pardna.matching.model import Leg, Pair, legs_of
from pardna.matching.online import MatchOnline
from pardna.matching.ports import Committed
from pardna.matching.rules import default_rules
from pardna.runtime import keys
from pardna.runtime.clock import utc_now, uuid7
from tests.support.matching import TENANT, a_match, charge, contribution

HERE = Path(__file__).resolve().parent
SIZES = {"10k": 10_000, "1m": 1_000_000}
#: Payments that are measured; each is two legs, the second of which completes the match.
PAYMENTS = 500
ROUNDS = 6


def fill(table: MemoryTable, count: int) -> None:
    """Open legs with their references, straight into the table; bodies are shared, keys are not."""
    rest = {
        "tenant_id": {"S": TENANT}, "kind": {"S": "leg"}, "status": {"S": "open"},
        "pair": {"S": Pair.INTERNAL_PSP.value}, "version": {"N": "1"}, "currency": {"S": "JMD"},
    }  # fmt: skip
    for number in range(count):
        identifier = f"open-{number}"
        pk, sk = keys.leg(TENANT, Pair.INTERNAL_PSP.value, identifier)
        index = keys.open_leg_index(TENANT, Pair.INTERNAL_PSP.value, "JMD", identifier)
        item = {"pk": {"S": pk}, "sk": {"S": sk}, "open_pk": {"S": index}, "open_sk": {"S": identifier}, **rest}  # fmt: skip
        table.partitions[pk][sk] = item
        table.indexes["open"][index][pk, sk] = item
        pk, sk = keys.reference(
            TENANT, Pair.INTERNAL_PSP.value, "JMD", "contribution", identifier, "psp", identifier
        )
        table.partitions[pk][sk] = {"pk": {"S": pk}, "sk": {"S": sk}, **rest}


def measure(online: MatchOnline, table: Apart, first: int) -> dict[str, Any]:
    """One round: contributions and their charges, one after the other."""
    pairs: list[tuple[tuple[Leg, ...], tuple[Leg, ...]]] = [
        (legs_of(contribution(n, 500), 1), legs_of(charge(n, 500, 20, payout="po_1"), 1))
        for n in range(first, first + PAYMENTS)
    ]
    table.counts()
    most, started = 0, time.process_time()
    for ours, theirs in pairs:
        for legs in (ours, theirs):
            before = table.calls
            taken = online.take_legs(legs)
            most = max(most, table.calls - before)
        assert taken.match_id, "the second leg completes the match"
    cpu = time.process_time() - started
    count, counts = 2 * PAYMENTS, table.counts()
    names = ("calls", "items_read", "items_written", "index_writes", "read_units", "write_units")
    per = {f"{name}_per_leg": round(counts[name] / count, 2) for name in names}
    return {
        "calls_most": most,
        "open_legs_after": counts["open_legs"],
        "cpu_ms_per_leg": round(1000 * cpu / count, 2),
        **per,
    }


def online_on(name: str) -> MatchOnline:
    """Matching on arrival on a table, after what a process does once: client and description."""
    own = MatchTable(name, "us-east-1")
    state = DynamoMatchState(own, GroupCommits(own, utc_now, uuid7), utc_now)
    warm = [x for t in (contribution("w", 5), charge("w", 5)) for x in legs_of(t, 1)]
    state.record(warm[:1])
    assert state.commit(a_match(*warm[:1])) is Committed.NOW
    return MatchOnline(state, lambda _: default_rules())


def rows_of(sizes: Sequence[str]) -> list[dict[str, Any]]:
    """The best of some rounds with so many legs open. Sizes take turns: what else the machine does
    happens to all of them."""

    def filled(size: str) -> MemoryTable:
        table = MemoryTable(f"bench-{size}")
        fill(table, SIZES[size])
        return table

    with ExitStack() as stack:
        tables = {size: stack.enter_context(serving_apart(partial(filled, size))) for size in sizes}

        def answer(operation: str, body: bytes) -> tuple[int, bytes]:
            [table] = [t for size, t in tables.items() if f'"bench-{size}"'.encode() in body]
            return table.answer(operation, body)

        stack.enter_context(answered_by(answer))
        online = {size: online_on(f"bench-{size}") for size in sizes}
        rounds = [
            {"open": size, **measure(online[size], tables[size], start * PAYMENTS)}
            for start in range(ROUNDS)
            for size in (sizes if start % 2 else reversed(sizes))
        ]
    found = []
    for size in sizes:
        mine = [row for row in rounds if row["open"] == size]
        best = min(mine, key=lambda row: row["cpu_ms_per_leg"])
        found.append(best | {"open_legs_after": max(row["open_legs_after"] for row in mine)})
    return found


def report(rows: list[dict[str, Any]], about: str) -> str:
    """The figures for people."""
    table = "\n".join(
        f"| {r['open']} | {r['calls_per_leg']} | {r['calls_most']} | {r['items_read_per_leg']} "
        f"| {r['items_written_per_leg']} | {r['index_writes_per_leg']} | {r['write_units_per_leg']} "
        f"| {r['cpu_ms_per_leg']} |"
        for r in rows
    )
    return f"""# What a leg costs online

`make bench-online`, {about}.

| legs open | calls | at most | items read | items written | index writes | write units | CPU ms |
|---|---|---|---|---|---|---|---|
{table}

Per leg; half of the legs wait, the other half complete a match each. A call is a request to DynamoDB;
write units are counted with the factor two of transactions, without the indexes. Everything is found
by key: nothing depends on how many legs are open.

CPU is the product, pynamodb and botocore down to the HTTP session, and a pipe in place of the network.
The table behind it is a dictionary in memory (`memory_table.py`) in another process: emulators copy or
scan their table for each transaction or query, which would be measured instead. Calls, items and units
are exact; CPU is the best of {ROUNDS} rounds, in which the sizes take turns, so that what else the machine
does happens to both. TLS, the network and DynamoDB's own time are not in these figures.
"""


def main() -> int:
    """Measure, write, and say whether the limits hold."""
    rows = rows_of(sys.argv[1:] or list(SIZES))
    load = round(os.getloadavg()[0], 1)
    about = f"{os.cpu_count()} cores, Python {platform.python_version()}, load {load}"
    (HERE / "online.json").write_text(json.dumps({"load": load, "rows": rows}, indent=2) + "\n")
    (HERE / "ONLINE.md").write_text(report(rows, about))
    for row in rows:
        print(json.dumps(row))
    alike = [r["calls_per_leg"] for r in rows]
    return int(max(r["calls_most"] for r in rows) > 3 or max(alike) != min(alike))


if __name__ == "__main__":
    sys.exit(main())
