"""The payout-round machine: the whole way, every side path, and every step killed once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions.circles import create_circle, show_round, start_round
from local.bank.pain001 import read
from pardna.approvals.wiring import waits
from pardna.formats.model import PaymentStatus
from pardna.payments.wiring import payment_statuses
from pardna.runtime.errors import Unavailable
from pardna.runtime.events import Envelope
from tests.statemachines.test_approval import decide, waiting
from tests.support.deployed import deployed, join, register, sample
from tests.support.handlers import Context, a_request
from tests.support.machines import Machines, playing
from tests.support.postgres import TestDatabase
from tests.support.sftp_server import PASSWORD, USER, SftpServer, running_sftp

ALL = (1, 2, 3, 4, 5)


class Stage:
    """A circle whose first round is played, the bank's server, and the people."""

    def __init__(self, database: TestDatabase, machines: Machines, server: SftpServer) -> None:
        self.session = database.session()
        self.machines = machines
        self.server = server
        self.machines.handlers["WriteRoundReport"] = lambda *_: {"outcome": "written"}
        answer = create_circle.handler(sample("circles", "create_circle.five_members"), Context())
        assert answer["statusCode"] == 201, answer
        self.circle = json.loads(answer["body"])
        self.arn = ""

    def start(self, by: str = "ann") -> dict[str, Any]:
        path = {"tenant_id": "harbour", "circle_id": self.circle["circle_id"], "round_number": "1"}
        request = a_request('{"poll_seconds": 1}', path=path, principal=by)
        answer = start_round.handler(request, Context())
        assert answer["statusCode"] == 200, answer
        body: dict[str, Any] = json.loads(answer["body"])
        machine = self.machines.arns["payout_round"]
        self.arn = f"{machine.replace(':stateMachine:', ':execution:')}:{body['execution']}"
        return body

    def round(self) -> dict[str, Any]:
        path = {"tenant_id": "harbour", "circle_id": self.circle["circle_id"], "round_number": "1"}
        body = show_round.handler(a_request(path=path, principal="ann"), Context())["body"]
        shown: dict[str, Any] = json.loads(body)
        return shown

    def fund(self) -> None:
        """Every hand is matched with real money, as the ledger writes it down."""
        until(lambda: self.round()["contributions"])
        legs = [
            {
                "pair": "internal~bank",
                "transaction_id": leg,
                "match_id": f"m-{c['contribution_id']}",
                "version": 1,
                "status": "committed",
                "matched_at": "2026-01-09T00:00:00Z",
            }
            for c in self.round()["contributions"]
            for leg in (c["transaction_id"], f"bank-{c['contribution_id']}")
        ]
        self.rows("SELECT ledger.mark_legs(%s::jsonb)", json.dumps(legs))

    def asked(self, kind: str = "payout") -> dict[str, Any]:
        return until(lambda: [a for a in waiting(self.machines) if a["kind"] == kind])[0]

    def approve(self, decision: str = "approve", kind: str = "payout", by: str = "ben") -> None:
        status, body = decide(self.asked(kind)["approval_id"], decision, by)
        assert status == 200, body

    def bank_says(self, code: str, reason: str = "") -> None:
        """The bank takes the file and answers; the answer leaves the database and is signalled."""
        (file,) = until(self.waiting_files)
        file.rename(self.server.root / "done" / file.name)
        said = PaymentStatus(file.stem, code, reason_code=reason)
        payment_statuses().apply("harbour", [said], "test")
        self.signal()

    def signal(self) -> None:
        """What the outbox does with signals, twice."""
        rows = self.rows("SELECT envelope FROM platform.outbox WHERE event_type = 'wait.signalled'")
        for row in rows * 2:
            event = Envelope.from_json(row[0])
            waits().signal(event.tenant_id, event.data["subject"], event.data["outcome"])

    def waiting_files(self) -> list[Path]:
        return sorted((self.server.root / "in").glob("*.xml"))

    def files(self) -> list[Path]:
        return self.waiting_files() + sorted((self.server.root / "done").iterdir())

    def end(self) -> tuple[str, str]:
        found = self.machines.wait(self.arn)
        return found["status"], self.machines.entered(self.arn)[-1]

    def rows(self, query: str, *values: Any) -> list[Any]:
        with self.session.transaction("harbour", "tester") as connection:
            return connection.execute(query.encode(), values).fetchall()

    def paid_once(self) -> None:
        """One file, one payment, one movement of our own, one receipt each."""
        (file,) = self.files()
        (order,) = read(file.read_bytes()).batches[0].instructions
        assert order.amount_minor == 2_500_000
        assert self.rows("SELECT status, amount_minor FROM payments.payments") == [
            ("confirmed", 2_500_000)
        ]
        assert self.rows(
            "SELECT kind, sum(amount_minor)::bigint, count(*) FROM platform.transaction_versions v"
            " JOIN platform.transactions USING (tenant_id, transaction_id) GROUP BY kind ORDER BY 1"
        ) == [("contribution", 2_500_000, 5), ("draw", -2_500_000, 1)]
        outbox = self.rows("SELECT envelope FROM platform.outbox")
        told = [json.loads(row[0])["subject"] for row in outbox if "notification." in row[0]]
        assert sum(s.startswith("contribution_receipt:") for s in told) == 5
        assert sum(s.startswith("draw_receipt:") for s in told) == 1


def until(look: Callable[[], Any]) -> Any:
    for _ in range(400):
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


@pytest.fixture
def stage(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Stage]:
    for name in ("in", "done"):
        (tmp_path / name).mkdir()
    with (
        running_sftp(tmp_path) as server,
        deployed(database, monkeypatch),
        playing(monkeypatch) as machines,
    ):
        join("ann", "banker")
        join("ben", "approver")
        join("cat", "approver")
        join("dora", "operator")
        boto3.client("secretsmanager").create_secret(
            Name="/pardna/local/harbour/ncb", SecretString=json.dumps({"password": PASSWORD})
        )
        place = {
            "host": server.host,
            "port": server.port,
            "user": USER,
            "host_key": server.host_key,
            "secret_id": "/pardna/local/harbour/ncb",
        }
        register(
            "ncb-main",
            provider="ncb",
            channels=("sftp",),
            account="404385912",
            currency="JMD",
            format="camt.053",
            sftp=place,
        )
        machines.create("approval")
        monkeypatch.setenv("PAYOUT_ROUND_MACHINE_ARN", machines.create("payout_round"))
        yield Stage(database, machines, server)


def test_the_whole_way(stage: Stage) -> None:
    first = stage.start()
    assert stage.start(by="dora") == first
    until(lambda: stage.machines.calls["CheckFunding"])
    stage.fund()
    asked = stage.asked()
    assert decide(asked["approval_id"], "approve", "ann")[1]["code"] == "approval.own_request"
    stage.approve()
    stage.bank_says("ACSC")
    assert stage.end() == ("SUCCEEDED", "Round closed")
    stage.paid_once()
    assert (stage.round()["status"], stage.round()["draw"]["approved_by"]) == ("closed", "ben")
    assert stage.start() == first
    assert stage.files() == stage.files()
    states = stage.machines.entered(stage.arn)
    assert states[-4:] == ["Close round", "Send receipts", "Write round report", "Round closed"]


def test_two_approvers_at_once_make_one_payment(stage: Stage) -> None:
    stage.start()
    stage.fund()
    approval_id = stage.asked()["approval_id"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: decide(approval_id, "approve", ("ben", "cat")[n % 2])[0], range(16))
        )
    assert set(answers) == {200, 409}
    stage.bank_says("ACSC")
    assert stage.end() == ("SUCCEEDED", "Round closed")
    stage.paid_once()


def test_every_step_killed_after_its_effect(stage: Stage) -> None:
    """Each function does its work, and dies before it can say so; the machine takes it again."""
    from tests.support import machines as support

    died: set[str] = set()

    def deadly(name: str) -> Callable[[dict[str, Any], Any], Any]:
        real = stage.machines.handlers.get(name) or support._handler(name)

        def handler(event: dict[str, Any], context: Any) -> Any:
            answer = real(event, context)
            if name not in died:
                died.add(name)
                raise RuntimeError("killed after its effect")
            return answer

        return handler

    steps = (
        "OpenRound",
        "CheckFunding",
        "ComputeDraw",
        "RequestApproval",
        "WritePaymentFile",
        "UploadPaymentFile",
        "AwaitConfirmation",
        "PostPayment",
        "CloseRound",
        "SendReceipts",
        "WriteRoundReport",
    )
    stage.machines.handlers |= {name: deadly(name) for name in steps}
    stage.start()
    stage.fund()
    until(lambda: "RequestApproval" in died)
    until(lambda: stage.machines.calls["RequestApproval"] >= 2)
    stage.approve()
    stage.bank_says("ACSC")
    assert stage.end() == ("SUCCEEDED", "Round closed")
    assert died == set(steps)
    stage.paid_once()


def test_a_sender_killed_between_upload_and_record(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is cut right after the rename: the file is there, nobody wrote that down."""
    stage.server.cut_after_rename = True
    stage.start()
    stage.fund()
    stage.approve()
    stage.bank_says("ACSC")
    assert stage.end() == ("SUCCEEDED", "Round closed")
    assert stage.machines.calls["UploadPaymentFile"] == 2
    stage.paid_once()


def vanish(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first sender dies without leaving a trace at the bank."""
    from pardna.payments import service

    monkeypatch.setattr(service, "LEASE_SECONDS", -1)
    real = service.UploadPaymentFile._send
    deaths = [1]

    def send(self: Any, *args: Any) -> str:
        if deaths:
            deaths.pop()
            args[-1].may_have_arrived = True
            raise Unavailable("sftp.unavailable", "gone without a trace")
        return real(self, *args)

    monkeypatch.setattr(service.UploadPaymentFile, "_send", send)


def test_a_doubt_that_a_person_resolves_by_sending_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    vanish(stage, monkeypatch)
    stage.start()
    stage.fund()
    stage.approve()
    assert stage.files() == []
    stage.asked("payment_unclear")
    assert stage.round()["draw"]["payment_status"] == "unclear"
    assert stage.files() == []
    stage.approve(kind="payment_unclear", by="cat")
    stage.bank_says("ACSC")
    assert stage.end() == ("SUCCEEDED", "Round closed")
    stage.paid_once()


def test_a_doubt_about_a_file_that_the_bank_has_after_all(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    vanish(stage, monkeypatch)
    stage.start()
    stage.fund()
    stage.approve()
    stage.approve("reject", kind="payment_unclear", by="cat")
    batch_id = stage.round()["draw"]["batch_id"]
    payment_statuses().apply("harbour", [PaymentStatus(batch_id, "ACSC")], "test")
    stage.signal()
    assert stage.end() == ("SUCCEEDED", "Round closed")
    assert stage.files() == []
    assert stage.rows("SELECT count(*) FROM payments.payments") == [(1,)]


def test_a_payout_that_nobody_wants_is_held(stage: Stage) -> None:
    stage.start()
    stage.fund()
    stage.approve("reject")
    assert stage.end() == ("SUCCEEDED", "Round held")
    assert stage.round()["status"] == "held"
    assert stage.files() == []
    assert stage.rows("SELECT status FROM payments.payments") == [("cancelled",)]


def test_a_payment_that_the_bank_refuses_holds_the_round(stage: Stage) -> None:
    stage.start()
    stage.fund()
    stage.approve()
    stage.bank_says("RJCT", "AC04")
    assert stage.end() == ("SUCCEEDED", "Round held")
    assert stage.round()["draw"]["reason_code"] == "AC04"


def test_a_bank_that_answers_before_anybody_waits(stage: Stage) -> None:
    answered: list[str] = []

    def early(event: dict[str, Any], context: Any) -> Any:
        from functions.payments import await_confirmation

        if not answered:
            answered.append("once")
            stage.bank_says("ACSC")
        return await_confirmation.handler(event, context)

    stage.machines.handlers["AwaitConfirmation"] = early
    stage.start()
    stage.fund()
    stage.approve()
    assert stage.end() == ("SUCCEEDED", "Round closed")
    stage.paid_once()


@pytest.mark.parametrize("step", ["OpenRound", "ComputeDraw", "WritePaymentFile", "PostPayment"])
def test_a_step_that_keeps_failing_calls_for_a_person(stage: Stage, step: str) -> None:
    def fails(event: dict[str, Any], context: Any) -> Any:
        raise RuntimeError("always")

    stage.machines.handlers[step] = fails
    stage.start()
    if step != "OpenRound":
        stage.fund()
    if step in ("WritePaymentFile", "PostPayment"):
        stage.approve()
    assert stage.end() == ("FAILED", "Round needs a person")
    assert stage.machines.calls[step] == 5
    assert len(stage.files()) == (1 if step == "PostPayment" else 0)


def test_a_round_that_the_circle_does_not_have_ends_at_once(stage: Stage) -> None:
    machine = stage.machines.arns["payout_round"]
    start = {
        "tenant_id": "harbour",
        "circle_id": stage.circle["circle_id"],
        "round_number": 99,
        "correlation_id": "test",
        "requested_by": "ann",
        "poll_seconds": 1,
    }
    started = boto3.client("stepfunctions", region_name="us-east-1").start_execution(
        stateMachineArn=machine, name="no-such-round", input=json.dumps(start)
    )
    stage.arn = started["executionArn"]
    assert stage.end() == ("SUCCEEDED", "No such round")
    assert stage.rows("SELECT count(*) FROM circles.contributions") == [(0,)]
