"""Files that tire a careless reader: small ones, at which a pattern or a loop would look for minutes.

The same limits as for the corpora; each is answered, whatever the answer is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.corpora.reader_client import Reader
from tests.support.formats import DOWNLOAD, a_camt053, an_entry

CAMT = a_camt053(an_entry()).decode()
BLANKS = " " * 100_000
DOWNLOAD_HEADINGS = "Date,Narrative,Ref,Debit,Credit,Balance\n"
PAYPAL = (
    "RH,x\nFH,1\nSH,a,b,c\nCH,Transaction ID,Transaction Event Code,Transaction Debit or Credit,"
    "Gross Transaction Amount,Gross Transaction Currency,Transaction Completion Date\n"
    "SB,T1,T0006,CR,100,USD,{}\nFF,1\n"
)
SWIFT = ":20:S\n:25:1\n:28C:1/1\n:60F:C260131USD0,00\n:61:2601310131C1,00NTRFA//B\n:86:{}\n"
BAI2_HEAD = "01,NCB,PARDNA,260203,0900,1,,,2/\n02,PARDNA,NCB,1,260203,,JMD,2/\n"
TIRING: dict[str, Callable[[], str]] = {
    "XML of blanks": lambda: "<" + "\n" * 200_000,
    "lines of nothing": lambda: "x" + "\n" * 200_000 + "y",
    "OFX sections without end": lambda: (
        "OFXHEADER:100\n\n<OFX><STMTTRNRS><STMTRS><CURDEF>USD" + "<a><![CDATA[" * 60_000
    ),
    "OFX tags without end": lambda: "OFXHEADER:100\n\n<OFX>" + "<a " * 300_000,
    "a PayPal date of blanks": lambda: PAYPAL.format(f"2026{BLANKS}x"),
    "a BAI2 record of lines": lambda: BAI2_HEAD + ("y" * 100 + "\n") * 100_000,
    "a BAI2 record of continuations": lambda: BAI2_HEAD + "16,165,1\n" + "88,\n" * 60_000,
    "BAI2 balances": lambda: BAI2_HEAD + "03,1,JMD" + ",010,1,," * 100_000 + "/\n",
    "BAI2 slashes": lambda: BAI2_HEAD + "03,1" + "/ " * 300_000,
    "details of no entry": lambda: SWIFT.format("x") + ":86:y\n" * 500_000,
    "details of one line each": lambda: SWIFT.format("\nx" * 30_000),
    "German subfields": lambda: SWIFT.format("?20" * 300_000),
    "slashed subfields": lambda: SWIFT.format("/EREF/" * 150_000),
    "beginnings of references": lambda: SWIFT.format("PDN PO po_" * 90_000),
    "XML of leaves": lambda: CAMT.replace("<Ntry>", "<x/>" * 2_000_000 + "<Ntry>"),
    "an entry of leaves": lambda: CAMT.replace("</Ntry>", "<x/>" * 2_000_000 + "</Ntry>"),
    "balances without end": lambda: CAMT.replace("<Ntry>", "<Bal><Amt/></Bal>" * 500_000),
    "addenda without end": lambda: "101 091400606 6910001341810170306A094101\n" + "7" * 95 * 9_000,
}


@pytest.fixture(scope="module")
def tired() -> Iterator[Reader]:
    """A process of their own, because memory that was used once is not as good as new."""
    with Reader() as client:
        yield client


@pytest.mark.parametrize("name", [*TIRING, "a CSV amount of blanks"])
def test_it_is_answered_in_time_and_memory_whatever_it_is(
    name: str, tired: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "tiring"
    if name in TIRING:
        path.write_text(TIRING[name](), encoding="utf-8")
        answer = tired.read(path)
    else:
        path.write_text(f"{DOWNLOAD_HEADINGS}03/02/2026,x,R,,1{BLANKS}x,\n", encoding="utf-8")
        answer = tired.read(path, DOWNLOAD)
    assert "died" not in answer, answer
