"""What is measured, each in a process of its own: ``python -m benchmarks.ingestion.subjects NAME ROWS``.

Prints one line of JSON: rows, processor seconds, and the peak memory above that of a process that
has imported the same and read nothing.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0:0] = [str(ROOT), str(ROOT / "layers" / "shared")]

from pardna.formats.model import Origin, Parsed  # noqa: E402  (the path must be set first)

BANK = Origin("bench", "ncb", "0" * 64)
CARDS = Origin("bench", "stripe", "0" * 64, "acct_1")


def camt053(rows: int) -> bytes:
    """One statement of `rows` entries that adds up."""
    entries = "".join(
        f"<Ntry><Amt Ccy='JMD'>1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><Dt>2026-01-31</Dt></BookgDt><ValDt><Dt>2026-01-31</Dt></ValDt>"
        f"<AcctSvcrRef>R{i}</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>E{i}</EndToEndId></Refs>"
        f"<RltdPties><Dbtr><Pty><Nm>Avis Brown</Nm></Pty></Dbtr></RltdPties>"
        f"<RmtInf><Ustrd>hand PDN-7K3Q-R01-04</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
        for i in range(rows)
    )
    balances = "".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy='JMD'>{amount}.00</Amt>"
        "<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-01-31</Dt></Dt></Bal>"
        for code, amount in (("OPBD", 0), ("CLBD", rows))
    )
    return (
        "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.08'><BkToCstmrStmt><Stmt>"
        "<Id>S</Id><Acct><Id><Othr><Id>1</Id></Othr></Id><Ccy>JMD</Ccy></Acct>"
        f"{balances}{entries}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def mt940(rows: int) -> bytes:
    """One statement of `rows` entries that adds up."""
    entries = "".join(
        f":61:2601310131C1,00NTRFNONREF//R{i}\r\n:86:/EREF/E{i}/REMI/hand PDN-7K3Q-R01-04\r\n"
        for i in range(rows)
    )
    return (
        ":20:S\r\n:25:1\r\n:28C:1/1\r\n:60F:C260131USD0,00\r\n"
        f"{entries}:62F:C260131USD{rows},00\r\n-\r\n"
    ).encode()


def report(rows: int) -> bytes:
    """A payout report of `rows` charges."""
    head = (
        "automatic_payout_id,balance_transaction_id,created,available_on,currency,gross,fee,net,"
        "reporting_category,source_id,description,charge_id,payment_intent_id,"
        "payment_metadata[contribution_id]\r\n"
    )
    lines = (
        f"po_1,txn_{i},2026-01-31 12:00:00,2026-02-02 00:00:00,jmd,5000.00,195.00,4805.00,"
        f"charge,ch_{i},,ch_{i},pi_{i},con_{i}\r\n"
        for i in range(rows)
    )
    return (head + "".join(lines)).encode()


def ours(reader: str, origin: Origin) -> Callable[[bytes], int]:
    """A reader of the product."""
    import importlib

    read = importlib.import_module(f"pardna.formats.{reader}").read

    def run(data: bytes) -> int:
        parsed: Parsed = read(data, origin)
        assert not parsed.problems
        assert all(s.ties for s in parsed.statements)
        return len(parsed.all_transactions)

    return run


def bare_lxml() -> Callable[[bytes], int]:
    """lxml walks the entries and forgets them."""
    from lxml import etree

    def run(data: bytes) -> int:
        count = 0
        for _, element in etree.iterparse(io.BytesIO(data), tag="{*}Ntry"):
            count += 1
            element.clear()
        return count

    return run


def bare_mt940() -> Callable[[bytes], int]:
    """The library mt-940."""
    import mt940 as library

    return lambda data: len(library.parse(data.decode()))


def bare_csv() -> Callable[[bytes], int]:
    """The csv module, a dict a row."""
    import csv

    return lambda data: sum(1 for _ in csv.DictReader(io.StringIO(data.decode(), newline="")))


SUBJECTS: dict[str, tuple[Callable[[int], bytes], Callable[[], Callable[[bytes], int]]]] = {
    "camt.053, ours": (camt053, lambda: ours("camt053", BANK)),
    "camt.053, bare lxml iterparse": (camt053, bare_lxml),
    "MT940, ours": (mt940, lambda: ours("mt940", BANK)),
    "MT940, library mt-940": (mt940, bare_mt940),
    "payout report, ours": (report, lambda: ours("stripe_payout_report", CARDS)),
    "payout report, bare csv": (report, bare_csv),
}


def peak_mib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure one subject once."""
    make, prepare = SUBJECTS[sys.argv[1]]
    data, run = make(int(sys.argv[2])), prepare()
    run(make(10))
    before, started = peak_mib(), time.process_time()
    rows = run(data)
    took = time.process_time() - started
    said = {"rows": rows, "bytes": len(data), "processor_s": round(took, 3)}
    print(json.dumps(said | {"memory_mib": round(peak_mib() - before, 1)}))


if __name__ == "__main__":
    main()
