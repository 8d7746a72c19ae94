"""Builders by intent for the simulators' unit tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from local.bank.control import Control
from local.bank.desk import Desk
from local.bank.faults import Faults
from local.psp.records import Json, Records

JMD_ACCOUNT = "404385912"
USD_ACCOUNT = "831047265"
NOON = 1_795_262_400  # 2026-11-21 12:00:00 UTC


def a_charge(number: int = 1, amount: int = 500_000, currency: str = "jmd", **more: Any) -> Json:
    """A captured charge as the simulator remembers it."""
    return {
        "id": f"ch_{number:014d}",
        "amount": amount,
        "currency": currency,
        "created": NOON + number,
        "status": "succeeded",
        "captured": True,
        "balance_transaction": f"txn_{number:014d}",
        "payment_intent": f"pi_{number:014d}",
        "payment_method": f"pm_{number:014d}",
        "customer": "cus_1",
        "description": None,
        "failure_code": None,
        "failure_message": None,
        "statement_descriptor": None,
        "metadata": {"contribution_id": f"con_{number}"},
        "billing_details": {"name": "Marcia Brown"},
        "card": {
            "brand": "visa",
            "country": "JM",
            "exp_month": 12,
            "exp_year": 2030,
            "fingerprint": "f" * 16,
            "funding": "credit",
            "last4": "4242",
        },
        **more,
    }


def a_refund(of: Json, number: int = 1, amount: int = 1_000) -> Json:
    """A refund as localstripe lists it."""
    return {
        "id": f"re_{number:014d}",
        "charge": of["id"],
        "payment_intent": None,
        "amount": amount,
        "currency": of["currency"],
        "created": of["created"] + 10,
        "date": of["created"] + 10,
        "status": "succeeded",
        "metadata": {},
        "balance_transaction": f"txn_r{number:013d}",
    }


def records(*charges: Json, refunds: tuple[Json, ...] = ()) -> Records:
    """Records that hold these."""
    return Records(
        charges={one["id"]: one for one in charges}, refunds={one["id"]: one for one in refunds}
    )


class Branch:
    """The bank without its servers: control requests, and files that appear in `in/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.desk = Desk(root)
        self.faults = Faults()
        self.control = Control(self.desk, self.faults, lambda: None)

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """A control request that must succeed."""
        status, answer = self.control.handle(method, path, json.dumps(body).encode())
        assert status == 200, answer
        return answer

    def refused(self, method: str, path: str, **body: Any) -> str:
        """A control request that must be refused; why."""
        status, answer = self.control.handle(method, path, json.dumps(body).encode())
        assert status == 400, answer
        return str(answer["error"])

    def credit(self, amount: int = 500_000, **more: Any) -> Any:
        """A member's transfer."""
        body = {
            "account": JMD_ACCOUNT,
            "amount_minor": amount,
            "name": "Marcia Brown",
            "reference": "PDN-7K3Q-R01-04",
            "value_date": "2026-11-23",
        }
        return self.ask("POST", "/credits", **{**body, **more})

    def statement(self, day: str = "2026-11-23", account: str = JMD_ACCOUNT, **more: Any) -> bytes:
        """The bytes of a day's statement."""
        asked = self.ask("POST", "/statements", account=account, date=day, **more)
        user = "ncb" if asked["file"].endswith(".xml") else "bns"
        return (self.desk.folders[user].home / asked["file"]).read_bytes()

    def upload(self, name: str, content: bytes, user: str = "ncb") -> None:
        """A payment file arrives, complete."""
        (self.desk.folders[user].home / "in" / name).write_bytes(content)
        self.desk.sweep()

    def answers(self, user: str = "ncb") -> dict[str, str]:
        """The status reports in `out/`, by name."""
        found = (self.desk.folders[user].home / "out").glob("pain002_*")
        return {path.name: path.read_text() for path in sorted(found)}


def a_payment_file(
    message: str = "batch-1",
    amounts: tuple[str, ...] = ("5000.00",),
    *,
    version: str = "03",
    currency: str = "JMD",
    account: str = JMD_ACCOUNT,
    creditor_account: str = "100200300",
    count: int | None = None,
    control_sum: str | None = None,
    day: str = "2026-11-23",
    service: str = "",
) -> bytes:
    """A pain.001 with one batch. Totals are right unless given."""
    cents = sum(int(one.replace(".", "")) for one in amounts)
    total = control_sum or f"{cents // 100}.{cents % 100:02d}"
    number = len(amounts) if count is None else count
    requested = day if version == "03" else f"<Dt>{day}</Dt>"
    bic = "BIC" if version == "03" else "BICFI"
    kind = f"<PmtTpInf><SvcLvl><Cd>{service}</Cd></SvcLvl></PmtTpInf>" if service else ""
    transfers = "".join(
        f"""<CdtTrfTxInf>
        <PmtId><InstrId>{message}-I{index}</InstrId><EndToEndId>{message}-{index}</EndToEndId></PmtId>
        <Amt><InstdAmt Ccy="{currency}">{amount}</InstdAmt></Amt>
        <CdtrAgt><FinInstnId><{bic}>NOSCJMKN</{bic}></FinInstnId></CdtrAgt>
        <Cdtr><Nm>Devon Clarke</Nm></Cdtr>
        <CdtrAcct><Id><Othr><Id>{creditor_account}</Id></Othr></Id></CdtrAcct>
        <RmtInf><Ustrd>Draw of round 1</Ustrd></RmtInf></CdtTrfTxInf>"""
        for index, amount in enumerate(amounts, start=1)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.{version}"><CstmrCdtTrfInitn>
  <GrpHdr><MsgId>{message}</MsgId><CreDtTm>{day}T09:00:00</CreDtTm>
    <NbOfTxs>{number}</NbOfTxs><CtrlSum>{total}</CtrlSum>
    <InitgPty><Nm>Pardna</Nm></InitgPty></GrpHdr>
  <PmtInf><PmtInfId>{message}-P1</PmtInfId><PmtMtd>TRF</PmtMtd>{kind}
    <ReqdExctnDt>{requested}</ReqdExctnDt>
    <Dbtr><Nm>Pardna Client Funds</Nm></Dbtr>
    <DbtrAcct><Id><Othr><Id>{account}</Id></Othr></Id></DbtrAcct>
    <DbtrAgt><FinInstnId><{bic}>JNCBJMKX</{bic}></FinInstnId></DbtrAgt>
    {transfers}</PmtInf>
</CstmrCdtTrfInitn></Document>
""".encode()
