"""The simulated bank as a process, met as the product meets it: by paramiko, with a pinned key."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import mt940
import paramiko
import pytest

from local.bank.launch import RunningBank, running_bank
from tests.unit.local.simulated import JMD_ACCOUNT, USD_ACCOUNT, a_payment_file

ROOT = Path(__file__).resolve().parents[2]
CAMT = {"c": "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"}
PAIN = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"}


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[RunningBank]:
    with running_bank(tmp_path) as running:
        yield running


@contextmanager
def session(bank: RunningBank, user: str = "ncb") -> Iterator[paramiko.SFTPClient]:
    """A client that accepts the pinned host key and no other."""
    kind, value = bank.host_key.split()
    pinned = paramiko.PKey.from_type_string(kind, base64.b64decode(value))
    with paramiko.SSHClient() as ssh:
        ssh.get_host_keys().add(f"[127.0.0.1]:{bank.port}", kind, pinned)
        ssh.connect(
            "127.0.0.1",
            bank.port,
            username=user,
            key_filename=str(bank.client_key),
            allow_agent=False,
            look_for_keys=False,
        )
        with ssh.open_sftp() as client:
            yield client


def put(client: paramiko.SFTPClient, name: str, content: bytes) -> None:
    """Upload as the product shall: under a partial name, then renamed."""
    client.putfo(io.BytesIO(content), f"/in/{name}.part")
    client.rename(f"/in/{name}.part", f"/in/{name}")


def fetch(client: paramiko.SFTPClient, path: str) -> bytes:
    with client.open(path) as file:
        return file.read()


def test_money_comes_in_goes_out_and_the_statement_ties(bank: RunningBank) -> None:
    bank.control(
        "POST",
        "/credits",
        {
            "account": JMD_ACCOUNT,
            "amount_minor": 500_000,
            "currency": "JMD",
            "name": "Ramón Brown",
            "reference": "PDN-7K3Q-R01-04",
            "value_date": "2026-11-23",
        },
    )
    with session(bank) as client:
        put(client, "batch-1.xml", a_payment_file(amounts=("7500.25",)))
        assert client.listdir("/in") == []
        assert client.listdir("/done") == ["batch-1.xml"]
        answer = ElementTree.fromstring(fetch(client, "/out/pain002_batch-1.xml"))
        asked = bank.control("POST", "/statements", {"account": JMD_ACCOUNT, "date": "2026-11-23"})
        statement = ElementTree.fromstring(fetch(client, f"/{asked['file']}"))

    assert answer.findtext(".//p:GrpSts", namespaces=PAIN) == "ACSC"
    assert answer.findtext(".//p:OrgnlEndToEndId", namespaces=PAIN) == "batch-1-1"
    amounts = {
        balance.findtext(".//c:Cd", namespaces=CAMT): Decimal(
            str(balance.findtext("c:Amt", namespaces=CAMT))
        )
        for balance in statement.iterfind(".//c:Bal", CAMT)
    }
    assert amounts["OPBD"] + Decimal("5000.00") - Decimal("7500.25") == amounts["CLBD"]
    ends = [one.text for one in statement.iterfind(".//c:EndToEndId", CAMT)]
    assert ends == ["NOTPROVIDED", "batch-1-1"]
    assert statement.findtext(".//c:Acct/c:Svcr//c:BICFI", namespaces=CAMT) == "JNCBJMKX"


def test_the_second_bank_speaks_mt940(bank: RunningBank) -> None:
    for nth in (1, 2):
        bank.control(
            "POST",
            "/credits",
            {
                "account": USD_ACCOUNT,
                "amount_minor": 5_000,
                "reference": "PDN-9X2M-R01-02",
                "end_to_end": f"E2E-{nth}",
                "value_date": "2026-11-23",
            },
        )
    asked = bank.control("POST", "/statements", {"account": USD_ACCOUNT, "date": "2026-11-23"})

    with session(bank, "bns") as client:
        text = fetch(client, f"/{asked['file']}").decode("ascii")

    read = mt940.parse(text)
    assert [line.data["customer_reference"] for line in read] == ["E2E-1", "E2E-2"]
    assert read.data["final_closing_balance"].amount.amount == Decimal("2600.00")


def test_a_client_sees_its_own_bank_only_and_writes_only_into_in(bank: RunningBank) -> None:
    bank.control("POST", "/statements", {"account": JMD_ACCOUNT, "date": "2026-11-23"})
    with session(bank, "bns") as client:
        assert sorted(client.listdir("/")) == ["done", "in", "out"]
        assert client.listdir("/out") == []
        with pytest.raises(FileNotFoundError):
            client.open("/../ncb/out/camt053_404385912_20261123.xml")
        for path in ("/out/x.xml", "/x.xml", "/in/../out/x.xml", "/in/sub/x.xml"):
            with pytest.raises(PermissionError):
                client.open(path, "w")
        with pytest.raises(PermissionError):
            client.mkdir("/in/sub")


def test_strangers_stay_outside(bank: RunningBank, tmp_path: Path) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        session(bank, "nobody").__enter__()
    bank.control("POST", "/faults", {"name": "locked_out", "bank": "ncb", "times": 1})
    with pytest.raises(paramiko.AuthenticationException):
        session(bank).__enter__()
    with session(bank) as client:
        assert client.listdir("/out") == []


def test_a_changed_host_key_shows(bank: RunningBank) -> None:
    bank.control("POST", "/faults", {"name": "changed_host_key"})
    with pytest.raises(paramiko.BadHostKeyException):
        session(bank).__enter__()

    bank.control("DELETE", "/faults")
    with session(bank) as client:
        assert client.listdir("/in") == []


def test_refused_connections_come_back(bank: RunningBank) -> None:
    bank.control("POST", "/faults", {"name": "refuse"})
    with pytest.raises(paramiko.ssh_exception.NoValidConnectionsError):
        session(bank).__enter__()

    bank.control("DELETE", "/faults")
    with session(bank) as client:
        assert client.listdir("/in") == []


def test_a_download_can_break_in_the_middle(bank: RunningBank) -> None:
    bank.control("POST", "/statements", {"account": JMD_ACCOUNT, "date": "2026-11-23"})
    path = "/out/camt053_404385912_20261123.xml"
    bank.control("POST", "/faults", {"name": "cut_download", "after_bytes": 100, "times": 1})

    with session(bank) as client, pytest.raises((paramiko.SSHException, OSError)):
        fetch(client, path)

    with session(bank) as client:
        assert b"BkToCstmrStmt" in fetch(client, path)


@pytest.mark.parametrize("fault", ["cut_upload", "disk_full"])
def test_a_failed_upload_pays_nothing_and_can_be_repeated(bank: RunningBank, fault: str) -> None:
    bank.control("POST", "/faults", {"name": fault, "after_bytes": 100, "times": 1})
    with session(bank) as client, pytest.raises((paramiko.SSHException, OSError)):
        # Without a partial name, to see that what was cut is not taken for complete.
        client.putfo(io.BytesIO(a_payment_file()), "/in/batch-1.xml")

    if fault == "cut_upload":
        assert bank.control("GET", "/payments")["files_received"] == 0
    assert bank.control("GET", "/payments")["paid"] == 0

    with session(bank) as client:
        put(client, "batch-2.xml", a_payment_file("batch-2"))
    assert bank.control("GET", "/payments")["paid"] == 1


def test_a_payment_whose_reply_was_lost_is_found_and_never_paid_twice(bank: RunningBank) -> None:
    bank.control("POST", "/faults", {"name": "drop_reply", "times": 1})
    with session(bank) as client, pytest.raises((paramiko.SSHException, OSError)):
        put(client, "batch-1.xml", a_payment_file())

    with session(bank) as client:
        assert client.stat("/done/batch-1.xml").st_size == len(a_payment_file())
        put(client, "batch-1.xml", a_payment_file())
        refused = fetch(client, "/out/pain002_batch-1_2.xml")

    assert b"AM05" in refused
    assert bank.control("GET", "/payments")["paid"] == 1


def test_the_bank_remembers_and_pays_what_arrived_meanwhile(tmp_path: Path) -> None:
    with running_bank(tmp_path) as bank:
        bank.control("POST", "/faults", {"name": "hold_payments"})
        with session(bank) as client:
            put(client, "batch-1.xml", a_payment_file())
        before = bank.control("GET", "/digest")
        host_key = bank.host_key

    with running_bank(tmp_path) as bank:
        assert bank.host_key == host_key
        assert bank.control("GET", "/payments")["paid"] == 1
        after = bank.control("GET", "/digest")
        bank.control("POST", "/statements", {"account": JMD_ACCOUNT, "date": "2026-11-22"})

    assert before != after
    with running_bank(tmp_path) as bank:
        assert bank.control("GET", "/payments")["paid"] == 1


def test_a_port_in_use_is_named_and_ends_the_process(bank: RunningBank, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.bank.server", "--port", str(bank.port)]
    command += ["--root", str(tmp_path / "x"), "--host-key", str(tmp_path / "k")]
    command += ["--authorized-keys", str(tmp_path / "a")]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert f"127.0.0.1:{bank.port}" in ended.stderr
