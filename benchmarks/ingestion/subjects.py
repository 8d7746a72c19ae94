"""What is measured, each in a process of its own: ``python -m benchmarks.ingestion.subjects NAME FILE``.

The file was written before, by another process. Prints one line of JSON: rows, bytes, processor
seconds, and the peak memory above that of a process that has imported the same and read a small file.
``whole`` keeps all that was read, as the pipeline does for files that it takes in one transaction;
``streamed`` lets each row pass.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0:0] = [str(ROOT), str(ROOT / "layers" / "shared")]

from pardna.formats.model import Origin  # noqa: E402  (the path must be set first)

BANK = Origin("bench", "ncb", "0" * 64)
CARDS = Origin("bench", "stripe", "0" * 64, "acct_1")
Run = Callable[[Path], int]


def camt053(rows: int) -> Iterator[str]:
    """One statement of `rows` entries that adds up."""
    balances = "".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy='JMD'>{amount}.00</Amt>"
        "<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-01-31</Dt></Dt></Bal>"
        for code, amount in (("OPBD", 0), ("CLBD", rows))
    )
    yield (
        "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.08'><BkToCstmrStmt><Stmt>"
        "<Id>S</Id><Acct><Id><Othr><Id>1</Id></Othr></Id><Ccy>JMD</Ccy></Acct>"
        f"{balances}"
    )
    for i in range(rows):
        yield (
            f"<Ntry><Amt Ccy='JMD'>1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>"
            f"<BookgDt><Dt>2026-01-31</Dt></BookgDt><ValDt><Dt>2026-01-31</Dt></ValDt>"
            f"<AcctSvcrRef>R{i}</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>E{i}</EndToEndId>"
            f"</Refs><RltdPties><Dbtr><Pty><Nm>Avis Brown</Nm></Pty></Dbtr></RltdPties>"
            f"<RmtInf><Ustrd>hand PDN-7K3Q-R01-04</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
        )
    yield "</Stmt></BkToCstmrStmt></Document>"


def mt940(rows: int) -> Iterator[str]:
    """One statement of `rows` entries that adds up."""
    yield ":20:S\r\n:25:1\r\n:28C:1/1\r\n:60F:C260131USD0,00\r\n"
    for i in range(rows):
        yield f":61:2601310131C1,00NTRFNONREF//R{i}\r\n:86:/EREF/E{i}/REMI/hand PDN-7K3Q-R01-04\r\n"
    yield f":62F:C260131USD{rows},00\r\n-\r\n"


def bai2(rows: int) -> Iterator[str]:
    """One account of `rows` entries that adds up."""
    yield "01,NCB,PARDNA,260203,0900,1,,,2/\n02,PARDNA,NCB,1,260203,,JMD,2/\n"
    yield f"03,1,JMD,010,0,,,015,{rows}00,,/\n"
    for i in range(rows):
        yield f"16,165,100,V,260204,,R{i},C{i},PDN-7K3Q-R01-04 from Avis Brown/\n"
    total = 2 * rows * 100
    yield f"49,{total},{rows + 2}/\n98,{total},1,{rows + 4}/\n99,{total},1,{rows + 6}/\n"


def report(rows: int) -> Iterator[str]:
    """A payout report of `rows` charges."""
    yield (
        "automatic_payout_id,balance_transaction_id,created,available_on,currency,gross,fee,net,"
        "reporting_category,source_id,description,charge_id,payment_intent_id,"
        "payment_metadata[contribution_id]\r\n"
    )
    for i in range(rows):
        yield (
            f"po_1,txn_{i},2026-01-31 12:00:00,2026-02-02 00:00:00,jmd,5000.00,195.00,4805.00,"
            f"charge,ch_{i},,ch_{i},pi_{i},con_{i}\r\n"
        )


def adyen(rows: int) -> Iterator[str]:
    """A settlement detail report of `rows` captures; no two amounts, times and references alike."""
    yield (
        "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,Creation Date,"
        "TimeZone,Type,Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),"
        "Exchange Rate,Net Currency,Net Debit (NC),Net Credit (NC),Commission (NC),Markup (NC),"
        "Scheme Fees (NC),Interchange (NC),Payment Method Variant,Batch Number\r\n"
    )
    for i in range(rows):
        time = f"2026-01-{i // 86_400 % 28 + 1:02d} {i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d}"
        yield (
            f"Pardna,PardnaECOM,{i:06d}PSPREFERENCE,order-{i},visa,{time},CET,Settled,{i:06d}CAPTUREREFER,"
            f"EUR,,{i + 2}.{i % 100:02d},1,EUR,,{i + 1}.{i % 100:02d},,0.50,0.30,0.20,visacredit,{i // 1000}\r\n"
        )


def wide_report(rows: int) -> Iterator[str]:
    """The same with the many columns that real ones have: about 900 bytes a row."""
    first, *lines = (f"customer_{n}" for n in range(21))
    extra = ",".join((first, *lines))
    cells = ",".join(f"value number {n:02d} of this customer" for n in range(21))
    for number, line in enumerate(report(rows)):
        yield f"{line[:-2]},{cells if number else extra}\r\n"


def long_camt053(rows: int) -> Iterator[str]:
    """Statements of 20,000 entries with the texts that real ones have: about 1.3 KB an entry."""
    head, *entries, tail = camt053(min(rows, 20_000))
    document, _, statement = head.partition("<Stmt>")
    more = "".join(
        f"<AddtlInf{n}><AdrLine>{n} Constant Spring Road, Kingston 10</AdrLine>"
        f"<Ctry>JM</Ctry></AddtlInf{n}>"
        for n in range(8)
    )
    yield document
    for _ in range(max(1, rows // len(entries))):
        yield f"<Stmt>{statement}"
        for entry in entries:
            yield entry.replace("</TxDtls>", f"<RltdAgts>{more}</RltdAgts></TxDtls>")
        yield "</Stmt>"
    yield tail.removeprefix("</Stmt>")


def long_mt940(rows: int) -> Iterator[str]:
    """Statements of 20,000 entries."""
    statement = list(mt940(min(rows, 20_000)))
    for _ in range(max(1, rows // (len(statement) - 2))):
        yield from statement


#: How the same report is read by a profile, as any processor's that we have no module for.
PROFILE = {
    "name": "payout-report",
    "side": "psp",
    "currency_column": "currency",
    "amounts": {"amount": "gross", "fee": "fee", "net": "net", "thousands_mark": ""},
    "dates": {"occurred": "created", "formats": ["%Y-%m-%d %H:%M:%S"]},
    "id_columns": ["balance_transaction_id"],
    "kinds": {"column": "reporting_category", "values": {"charge": "charge"}},
    "references": [
        {"column": "charge_id", "type": "charge", "strength": "strong"},
        {"column": "payment_metadata[contribution_id]", "type": "contribution"},
    ],
    "batch_column": "automatic_payout_id",
}


def whole(reader: str, origin: Origin) -> Run:
    """A reader of the product, with all that it read in memory."""
    import importlib

    read = importlib.import_module(f"pardna.formats.{reader}").read

    def run(path: Path) -> int:
        parsed = read(path.read_bytes(), origin)
        assert not parsed.problems
        assert all(s.ties for s in parsed.statements)
        return len(parsed.all_transactions)

    return run


def streamed(origin: Origin, *, by_profile: bool = False) -> Run:
    """The same rows, each let go before the next."""
    from pardna.formats.profile import Profile
    from pardna.formats.streaming import open_stream
    from pardna.transactions.model import Transaction

    profile = Profile.model_validate(PROFILE) if by_profile else None

    def run(path: Path) -> int:
        with path.open("rb") as file:
            _, items = open_stream(file, origin, profile)
            return sum(isinstance(item, Transaction) for item in items)

    return run


def bare_lxml() -> Run:
    """lxml walks the entries and forgets them."""
    from lxml import etree

    def run(path: Path) -> int:
        count = 0
        for _, element in etree.iterparse(str(path), tag="{*}Ntry"):
            count += 1
            element.clear()
        return count

    return run


def bare_mt940() -> Run:
    """The library mt-940."""
    import mt940 as library

    return lambda path: len(library.parse(path.read_text()))


def bare_lines() -> Run:
    """Lines, split at commas: what any reader of BAI2 must do at least."""

    def run(path: Path) -> int:
        with path.open() as lines:
            return sum(line.split(",")[0] == "16" for line in lines)

    return run


def bare_csv() -> Run:
    """The csv module, a dict a row."""
    import csv

    def run(path: Path) -> int:
        with path.open(newline="") as lines:
            return sum(1 for _ in csv.DictReader(lines))

    return run


def bare_duckdb() -> Run:
    """DuckDB's reader of CSV, every column as text and looked at."""
    import duckdb

    def run(path: Path) -> int:
        with duckdb.connect() as connection:
            connection.execute("SET threads TO 1")
            query = "SELECT count(*), max(length(COLUMNS(*))) FROM read_csv(?, all_varchar = true)"
            found = connection.execute(query, [str(path)]).fetchone()
            assert found is not None
            return int(found[0])

    return run


#: What -> (the file, its rows as a multiple of ROWS, how it is read).
SUBJECTS: dict[str, tuple[Callable[[int], Iterator[str]], int, Callable[[], Run]]] = {
    "camt.053, whole": (camt053, 1, lambda: whole("camt053", BANK)),
    "camt.053, streamed": (camt053, 1, lambda: streamed(BANK)),
    "camt.053, bare lxml iterparse": (camt053, 1, bare_lxml),
    "MT940, whole": (mt940, 1, lambda: whole("mt940", BANK)),
    "MT940, library mt-940": (mt940, 1, bare_mt940),
    "BAI2, streamed": (bai2, 1, lambda: streamed(BANK)),
    "BAI2, bare lines": (bai2, 1, bare_lines),
    "payout report, whole": (report, 1, lambda: whole("stripe_payout_report", CARDS)),
    "payout report, streamed": (report, 10, lambda: streamed(CARDS)),
    "payout report by a profile, streamed": (report, 10, lambda: streamed(CARDS, by_profile=True)),
    "Adyen settlement detail, streamed": (adyen, 1, lambda: streamed(CARDS)),
    "Adyen settlement detail, bare csv": (adyen, 1, bare_csv),
    "payout report, bare csv": (report, 10, bare_csv),
    "payout report, bare DuckDB": (report, 10, bare_duckdb),
}


#: The same for large files: -> (the file, bytes of a row, how it is read). MT940 has short rows, and
#: its memory does not grow with them: an eighth of the bytes shows it.
LARGE: dict[str, tuple[Callable[[int], Iterator[str]], int, Callable[[], Run]]] = {
    "payout report of many columns, streamed": (wide_report, 845, lambda: streamed(CARDS)),
    "camt.053 of many statements, streamed": (long_camt053, 1_150, lambda: streamed(BANK)),
    "MT940 of many statements, streamed": (long_mt940, 8 * 82, lambda: streamed(BANK)),
}


def write(make: Callable[[int], Iterator[str]], rows: int, path: Path) -> None:
    """A subject's file."""
    with path.open("w", encoding="utf-8", newline="") as out:
        out.writelines(make(rows))


def peak_mib() -> float:
    """The most memory that this process has held."""
    # Not `ru_maxrss`, which begins with what the parent process held.
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure one subject once."""
    make, _, prepare = (SUBJECTS | LARGE)[sys.argv[1]]
    path, run = Path(sys.argv[2]), prepare()
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small"
        write(make, 10, small)
        run(small)
    before, started = peak_mib(), time.process_time()
    rows = run(path)
    took = time.process_time() - started
    said = {"rows": rows, "bytes": path.stat().st_size, "processor_s": round(took, 3)}
    print(json.dumps(said | {"memory_mib": round(peak_mib() - before, 1)}))


if __name__ == "__main__":
    main()
