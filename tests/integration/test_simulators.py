"""The simulators as processes, met as the product meets them: by Stripe's SDK and by paramiko."""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import mt940
import paramiko
import pytest
import stripe

from local.bank.launch import RunningBank, running_bank
from local.psp.launch import Running, free_port, running_localstripe, running_settlement
from tests.unit.local.simulated import JMD_ACCOUNT, USD_ACCOUNT, a_payment_file

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk_test_12345"
CAMT = {"c": "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"}
PAIN = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"}

# -- the settlement source -----------------------------------------------------------------------


@dataclass
class Cards:
    """Both card simulators, and the SDK's client for each."""

    localstripe: Running
    settlement: Running
    pay: stripe.StripeClient
    read: stripe.StripeClient
    folder: Path

    def charge(self, amount: int, currency: str, contribution: str) -> Any:
        customer = self.pay.v1.customers.create({"name": "Marcia Brown"})
        card = self.pay.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        intent = self.pay.v1.payment_intents.create(
            {
                "amount": amount,
                "currency": currency,
                "customer": customer.id,
                "payment_method": card.id,
                "confirm": True,
                "off_session": True,
                "metadata": {"contribution_id": contribution},
            }
        )
        return intent.latest_charge

    def decide(self, path: str, **body: Any) -> Any:
        return ask(f"{self.settlement.url}/_sim/{path}", body)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cards]:
    if not (ROOT / ".tools/bin/localstripe").exists():
        pytest.skip("localstripe is not installed: make setup")
    folder = tmp_path_factory.mktemp("cards")
    with (
        running_localstripe(folder / "stripe.pickle") as localstripe,
        running_settlement(localstripe.url, KEY, folder / "psp.json", rate=1000) as settlement,
    ):
        yield Cards(
            localstripe,
            settlement,
            stripe.StripeClient(KEY, base_addresses={"api": localstripe.url}),
            client_of(settlement),
            folder,
        )


@pytest.fixture
def cards(processes: Cards) -> Cards:
    """Both card simulators, empty."""
    ask(f"{processes.localstripe.url}/_config/data", method="DELETE")
    ask(f"{processes.settlement.url}/_sim/state", method="DELETE")
    return processes


def client_of(settlement: Running, key: str = KEY) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": settlement.url}, max_network_retries=3)


def ask(url: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method)) as response:
        answer = response.read()
    return json.loads(answer) if answer else None


def test_charges_become_balance_transactions_with_fees_and_the_same_ids(cards: Cards) -> None:
    charges = {
        one.id: one
        for one in [cards.charge(500_000, "jmd", "con_1"), cards.charge(10_000, "usd", "con_2")]
    }

    listed = cards.read.v1.balance_transactions.list({"expand": ["data.source"]})

    assert len(listed.data) == 2
    for transaction in listed.data:
        source: Any = transaction.source
        assert transaction.id == charges[source.id].balance_transaction
        assert transaction.net == transaction.amount - transaction.fee
        assert transaction.fee == sum(one.amount for one in transaction.fee_details)
        # The payment intent's metadata is on the charge, as Stripe puts it there.
        assert source.metadata["contribution_id"] in ("con_1", "con_2")
    fees = {one.currency: one.fee for one in listed.data}
    assert fees == {"jmd": 19_500, "usd": 320}


def test_the_sdk_pages_through_everything_once(cards: Cards) -> None:
    made = [cards.charge(1_000 + number, "usd", f"con_{number}").id for number in range(7)]

    listed = cards.read.v1.balance_transactions.list({"limit": 2, "type": "charge"})
    sources = [one.source for one in listed.auto_paging_iter()]

    assert sorted(map(str, sources)) == sorted(made)
    forwards = [one.id for one in cards.read.v1.charges.list({"limit": 100}).data]
    backwards = cards.read.v1.charges.list({"limit": 3, "ending_before": forwards[-1]})
    assert [one.id for one in backwards.data] == forwards[-4:-1]
    assert backwards.has_more


def test_a_payout_settles_once_and_ties_to_its_members_and_its_report(cards: Cards) -> None:
    first = cards.charge(500_000, "jmd", "con_1")
    second = cards.charge(500_000, "jmd", "con_2")
    cards.charge(10_000, "usd", "con_3")
    cards.pay.v1.refunds.create({"charge": first.id, "amount": 5_000})
    cards.decide("disputes", charge=second.id, reason="fraudulent")

    payout = cards.decide("payouts", currency="jmd", date="2026-11-23")
    again = cards.decide("payouts", currency="jmd", date="2026-11-23")

    assert again == payout
    members = list(
        cards.read.v1.balance_transactions.list({"payout": payout["id"]}).auto_paging_iter()
    )
    assert sum(one.net for one in members) == 0
    assert {one.reporting_category for one in members} == {"charge", "refund", "dispute", "payout"}
    with urllib.request.urlopen(
        f"{cards.settlement.url}/_sim/payouts/{payout['id']}/report.csv"
    ) as response:
        rows = list(csv.DictReader(io.StringIO(response.read().decode())))
    assert sum(Decimal(row["net"]) for row in rows) * 100 == payout["amount"]
    assert {row["balance_transaction_id"] for row in rows} == {
        one.id for one in members if one.type != "payout"
    }
    retrieved = cards.read.v1.payouts.retrieve(payout["id"])
    assert (retrieved.amount, retrieved.status) == (payout["amount"], "paid")
    assert [one.id for one in cards.read.v1.disputes.list({"charge": second.id}).data]
    assert [one.charge for one in cards.read.v1.refunds.list().data] == [first.id]


def test_a_restart_gives_the_same_answers(cards: Cards) -> None:
    cards.charge(500_000, "jmd", "con_1")
    cards.decide("payouts", currency="jmd", date="2026-11-23")
    cards.decide("adjustments", currency="jmd", amount=-250, description="Correction")
    before = str(cards.read.v1.balance_transactions.list({"limit": 100}))

    with running_settlement(cards.localstripe.url, KEY, cards.folder / "psp.json") as restarted:
        after = str(client_of(restarted).v1.balance_transactions.list({"limit": 100}))

    assert after == before


def test_the_sdk_waits_out_a_rate_limit(cards: Cards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe._http_client.HTTPClient.INITIAL_DELAY", 0.01)
    cards.charge(10_000, "usd", "con_1")
    cards.decide("faults", name="rate_limit", times=2)

    assert len(cards.read.v1.balance_transactions.list().data) == 1

    cards.decide("faults", name="rate_limit", should_retry=False)
    with pytest.raises(stripe.RateLimitError) as limited:
        cards.read.v1.balance_transactions.list()
    assert limited.value.http_status == 429
    body: Any = limited.value.json_body
    assert body["error"]["code"] == "rate_limit"


def test_errors_are_those_of_the_api(cards: Cards) -> None:
    with pytest.raises(stripe.AuthenticationError) as wrong:
        client_of(cards.settlement, "sk_test_another").v1.payouts.list()
    assert str(wrong.value.request_id).startswith("req_")
    with pytest.raises(stripe.InvalidRequestError) as missing:
        cards.read.v1.payouts.retrieve("po_x")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match="between 1 and 100"):
        cards.read.v1.charges.list({"limit": 500})
    request = urllib.request.Request(f"{cards.settlement.url}/v1/payouts")
    with pytest.raises(urllib.error.HTTPError) as nobody:
        urllib.request.urlopen(request)
    with nobody.value as refused:
        assert refused.status == 401
        assert json.load(refused)["error"]["type"] == "invalid_request_error"


def test_without_its_source_it_says_so_and_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stripe._http_client.HTTPClient.INITIAL_DELAY", 0.01)
    nobody = f"http://127.0.0.1:{free_port()}"

    with running_settlement(nobody, KEY, tmp_path / "psp.json") as settlement:
        with pytest.raises(stripe.APIError, match="did not answer"):
            client_of(settlement).v1.payouts.list()

        assert ask(f"{settlement.url}/_sim/health") == {"ok": True}


# -- the bank ------------------------------------------------------------------------------------


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
