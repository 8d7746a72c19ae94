"""Builders for tests of wire formats."""

from __future__ import annotations

from typing import Any

from pardna.formats.model import Origin

BANK = Origin("kgn-one", "ncb", "a" * 64)
STRIPE = Origin("kgn-one", "stripe", "a" * 64, "acct_1")

#: A profile of a bank's CSV download, as somebody with an account there would write it.
DOWNLOAD: dict[str, Any] = {
    "name": "bank-download",
    "currency": "JMD",
    "amounts": {"debit": "Debit", "credit": "Credit", "balance": "Balance"},
    "dates": {"occurred": "Date", "formats": ["%d/%m/%Y"], "zone": "America/Jamaica"},
    "description_columns": ["Narrative"],
    "references": [{"column": "Ref"}],
}

ENTRY = """<Ntry><Amt Ccy="JMD">{amount}</Amt>{sign}<Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-01-30</Dt></BookgDt><ValDt><Dt>2026-01-31</Dt></ValDt>
<AcctSvcrRef>{reference}</AcctSvcrRef>{more}<NtryDtls>{details}</NtryDtls></Ntry>"""


def an_entry(
    amount: str = "5000.00",
    sign: str = "CRDT",
    reference: str = "NCB-1",
    details: str = "<TxDtls/>",
    more: str = "",
) -> str:
    """One Ntry of a camt.053."""
    marked = f"<CdtDbtInd>{sign}</CdtDbtInd>" if sign else ""
    return ENTRY.format(amount=amount, sign=marked, reference=reference, details=details, more=more)


def a_camt053(
    *entries: str,
    opening: str = "100.00",
    closing: str = "5100.00",
    account: str = "404385912",
    statement_id: str = "S-1",
    version: str = "08",
) -> bytes:
    """A camt.053 with one statement."""

    def balance(code: str, amount: str) -> str:
        return (
            f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy='JMD'>{amount}</Amt>"
            "<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-01-31</Dt></Dt></Bal>"
        )

    return (
        f"<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}'><BkToCstmrStmt>"
        f"<GrpHdr><MsgId>M-1</MsgId></GrpHdr><Stmt><Id>{statement_id}</Id>"
        f"<Acct><Id><Othr><Id>{account}</Id></Othr></Id><Ccy>JMD</Ccy></Acct>"
        f"{balance('OPBD', opening)}{balance('CLBD', closing)}{''.join(entries)}"
        "</Stmt></BkToCstmrStmt></Document>"
    ).encode()
