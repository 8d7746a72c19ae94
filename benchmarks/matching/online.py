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
from pathlib import Path
from typing import Any

os.environ.setdefault("AWS_ACCESS_KEY_ID", "memory")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "memory")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from benchmarks.matching.memory_table import Apart, MemoryTable, serving_apart
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
ROUNDS = 3


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


def at(size: str) -> dict[str, Any]:
    """The best of some rounds with so many legs open."""
    name = f"bench-{size}"

    def filled() -> MemoryTable:
        table = MemoryTable(name)
        fill(table, SIZES[size])
        return table

    with serving_apart(filled) as table:
        own = MatchTable(name, "us-east-1")
        state = DynamoMatchState(own, GroupCommits(own, utc_now, uuid7), utc_now)
        online = MatchOnline(state, lambda _: default_rules())
        # What a process does once: the table is described, the client is made.
        warm = [x for t in (contribution("w", 5), charge("w", 5)) for x in legs_of(t, 1)]
        state.record(warm[:1])
        assert state.commit(a_match(*warm[:1])) is Committed.NOW
        rounds = [measure(online, table, start * PAYMENTS) for start in range(ROUNDS)]
    best = min(rounds, key=lambda row: row["cpu_ms_per_leg"])
    return {"open": size, **best}


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
are exact; CPU depends on what else the machine does, and the two sizes are measured one after the
other, so compare CPU figures only from a quiet machine. TLS, the network and DynamoDB's own time are not
in these figures.
"""


def main() -> int:
    """Measure, write, and say whether the limits hold."""
    rows = [at(size) for size in (sys.argv[1:] or SIZES)]
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
