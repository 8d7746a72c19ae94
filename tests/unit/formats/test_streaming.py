"""Large files: read as they pass, alike by both ways, in memory that does not grow with them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pardna.formats import registry
from pardna.formats.items import collect
from pardna.formats.streaming import open_stream
from tests.support.formats import BANK, a_camt053, an_entry
from tests.unit.formats.test_bank_texts import BAI2, OFX
from tests.unit.formats.test_csv_profile import STATEMENT, a_profile
from tests.unit.formats.test_processors import ADYEN_REPORT, PAYPAL_REPORT

ROOT = Path(__file__).resolve().parents[3]
#: A file may need this much above what the interpreter and the readers take.
GROWTH_MAX = 32 * 1024 * 1024


@pytest.mark.parametrize(
    "data",
    [
        a_camt053(*(an_entry(reference=f"R{n}") for n in range(30))),
        BAI2.encode(),
        OFX.encode(),
        ADYEN_REPORT.encode(),
        PAYPAL_REPORT.encode(),
        b":20:S\r\n:25:1\r\n:60F:C260131USD0,00\r\n:61:260131C1,00NTRFX\r\n:62F:C260131USD1,00\r\n",
        json.dumps({"payments": []}).encode(),
    ],
)
def test_streamed_and_whole_are_the_same(data: bytes) -> None:
    assert collect(*open_stream(io.BytesIO(data), BANK)) == registry.parse(data, BANK)


def test_a_profile_streams_too() -> None:
    name, items = open_stream(io.BytesIO(STATEMENT.encode()), BANK, a_profile())
    assert name == "csv:bank-download"
    assert collect(name, items).statements[0].ties


def _csv(rows: int) -> Iterator[str]:
    yield "Date,Narrative,Ref,Debit,Credit,Balance\n"
    for n in range(rows):
        yield f"03/02/2026,Member {n} paid into the hand of February,N{n},,1.00,{n + 1}.00\n"


def _camt(rows: int) -> Iterator[str]:
    head, _, foot = a_camt053(an_entry(reference="REFERENCE")).decode().partition("<Ntry>")
    one = f"<Ntry>{foot}"
    one = one[: one.index("</Ntry>") + len("</Ntry>")]
    yield head
    for n in range(rows):
        yield one.replace("REFERENCE", f"R{n}")
    yield foot[foot.index("</Ntry>") + len("</Ntry>") :]


def _adyen(rows: int) -> Iterator[str]:
    heading, first = ADYEN_REPORT.splitlines(keepends=True)[:2]
    yield heading
    for n in range(rows):
        yield first.replace("CAP1", f"CAP{n}")


def _mt940(rows: int) -> Iterator[str]:
    """One statement without end."""
    yield ":20:S\n:25:1\n:28C:1/1\n:60F:C260131USD0,00\n"
    for n in range(rows):
        yield f":61:2601310131C1,00NTRFNONREF//B{n}\n:86:/ORDP//NAME/Avis Brown/REMI/hand {n}\n"
    yield f":62F:C260131USD{rows},00\n-\n"


def _mt940_pages(rows: int) -> Iterator[str]:
    """A statement for each ten entries, all of one account."""
    for page in range(rows // 10):
        yield f":20:S\n:25:1\n:28C:1/{page}\n:60M:C260131USD{page * 10},00\n"
        for n in range(10):
            yield f":61:2601310131C1,00NTRFNONREF//B{page}-{n}\n:86:hand\n"
        yield f":62M:C260131USD{page * 10 + 10},00\n-\n"


def _camt_statements(rows: int) -> Iterator[str]:
    head, _, rest = a_camt053(an_entry()).decode().partition("<Stmt>")
    inner, _, foot = rest.partition("</Stmt>")
    yield head
    for n in range(rows):
        yield f"<Stmt>{inner.replace('NCB-1', f'R{n}').replace('S-1', f'S-{n}')}</Stmt>"
    yield foot


def _camt_batch(rows: int) -> Iterator[str]:
    """One entry of all details."""
    whole = a_camt053(an_entry(f"{rows}.00"), closing=f"{rows + 100}.00").decode()
    head, _, foot = whole.partition("<TxDtls/>")
    yield head
    for n in range(rows):
        yield (
            f"<TxDtls><Refs><EndToEndId>E{n}</EndToEndId></Refs><Amt Ccy='JMD'>1.00</Amt></TxDtls>"
        )
    yield foot


def _bai2(rows: int) -> Iterator[str]:
    yield "01,NCB,PARDNA,260203,0900,1,,,2/\n02,PARDNA,NCB,1,260203,,JMD,2/\n03,1,JMD,,,,/\n"
    for n in range(rows):
        yield f"16,165,100,0,BR{n},,hand of February\n"
    yield f"49,{rows * 100},{rows + 2}/\n98,{rows * 100},1,{rows + 4}/\n"
    yield f"99,{rows * 100},1,{rows + 6}/\n"


@pytest.mark.parametrize(
    ("write", "rows", "profile"),
    [
        (_csv, 60_000, True),
        (_camt, 12_000, False),
        (_camt_statements, 5_000, False),
        (_camt_batch, 15_000, False),
        (_mt940, 40_000, False),
        (_mt940_pages, 40_000, False),
        (_bai2, 40_000, False),
        (_adyen, 30_000, False),
    ],
    ids=lambda value: value.__name__[1:] if callable(value) else "",
)
def test_memory_does_not_grow_with_the_file(
    write: Callable[[int], Iterator[str]], rows: int, profile: bool, tmp_path: Path
) -> None:
    """The command, in a process whose address space may grow by far less than the rows would take."""
    path = tmp_path / "large"
    with path.open("w", encoding="utf-8") as out:
        out.writelines(write(rows))
    words = [str(path), "--json"]
    if profile:
        saved = tmp_path / "profile.json"
        columns = a_profile(id_columns=["Ref"], references=[]).model_dump_json()
        saved.write_text(columns, encoding="utf-8")
        words += ["--profile", str(saved)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(GROWTH_MAX), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "layers" / "shared")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["transactions"] == rows
    assert all(s["ties"] is not False for s in told["statements"][:1] if write is not _camt)


LIMITED = """
import resource, sys
from pathlib import Path
import pardna.formats.command, pardna.formats.csv_profile, pardna.formats.camt053
import pardna.formats.adyen_settlement, pardna.formats.mt940, pardna.formats.bai2
if Path("/proc/self/statm").exists():
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + int(sys.argv[1]),) * 2)
sys.exit(pardna.formats.command.main(sys.argv[2:]))
"""
