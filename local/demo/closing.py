"""The second half of the story: reconcile, approve, pay, confirm, report."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from datetime import date
from typing import Any

from local.demo.acts import Told, round_path, see_round
from local.demo.facts import APPROVER, AUDITOR, BANKER, CIRCLES, TENANT, Circle
from local.demo.player import Player, Unanswered

_BOOKS = f"/tenants/{TENANT}/trial-balance"
_RUNS = f"/tenants/{TENANT}/reconciliations"


def arrived_minor(told: Told, circle: Circle) -> int:
    """What the bank has credited: transfers, the stranger's money, and the processor's payout."""
    transfers = circle.hand_minor * len(circle.by_bank)
    return transfers + circle.stranger_minor + int(told.payouts[circle.reference]["amount"])


def await_records(player: Player, told: Told) -> None:
    """Until the ledger holds every line of the first statements, and all that the payouts settle."""

    def complete() -> bool:
        books = player.api(AUDITOR.email, "GET", _BOOKS)
        return all(
            _family(books, "bank", circle.currency, "debits_minor") == arrived_minor(told, circle)
            and _family(books, "psp_balance", circle.currency, "balance_minor") == 0
            for circle in CIRCLES
        )

    player.wait(
        "the banks' lines and the payouts to be in the ledger", complete,
        where="look at `make logs FUNCTION=NormaliseObjectFunction` and PostTransactionsFunction",
    )  # fmt: skip


def await_debits(player: Player) -> None:
    """Until the ledger holds the draws as the banks debited them."""

    def complete() -> bool:
        books = player.api(AUDITOR.email, "GET", _BOOKS)
        return all(
            _family(books, "bank", circle.currency, "credits_minor") == circle.pot_minor
            for circle in CIRCLES
        )

    player.wait("the draws to appear in the banks' statements", complete)


def _family(books: Any, family: str, currency: str, what: str) -> int:
    """Sum over a family of accounts (``bank``) of ``debits_minor`` and the like."""
    return sum(
        one[what]
        for one in books["accounts"]
        if one["account"].startswith(f"{family}:") and one["currency"] == currency
    )


def reconcile(player: Player, told: Told, day: date) -> str:
    """Run the reconciliation machine as of `day`; what it found, in a few words."""
    on = day.isoformat()
    started = player.api(BANKER.email, "POST", _RUNS, {"reference_date": on}, key=f"demo-{on}")
    run_id = started["run_id"]

    def finished() -> Any:
        run = player.api(BANKER.email, "GET", f"{_RUNS}/{run_id}")
        if run["status"] in ("failed", "aborted", "timed_out"):
            raise Unanswered(
                f"reconciliation {run_id} ended as {run['status']}",
                "look at the execution of the reconciliation state machine",
            )
        return run if run["status"] == "finished" else None

    run = player.wait(
        f"reconciliation {run_id} to finish", finished,
        where="look at the execution of the reconciliation state machine",
    )  # fmt: skip
    told.runs.append(run)
    counts, breaks = run.get("counts", {}), sum(run.get("breaks", {}).values())
    return f"{counts.get('committed', 0)} matches, {breaks} breaks, gate {run.get('outcome')}"


def await_approval(player: Player, told: Told, circle: Circle) -> None:
    """Until the round's machine has computed the draw and asks for a second person."""

    def asked() -> bool:
        draw = see_round(player, told, circle)["draw"]
        if draw is None:
            return False
        told.approvals[circle.reference] = draw["approval_id"] or _pending(player, draw)
        return bool(told.approvals[circle.reference])

    player.wait(
        f"the draw of {circle.name} to ask for approval", asked,
        where="look at the execution of the payout-round state machine",
    )  # fmt: skip


def _pending(player: Player, draw: Any) -> str:
    listed = player.api(APPROVER.email, "GET", f"/tenants/{TENANT}/approvals")
    found = [a for a in listed["approvals"] if draw["payment_id"] in a["subject"]]
    return str(found[0]["approval_id"]) if found else ""


def decide(player: Player, told: Told, circle: Circle) -> None:
    """Who asked for the payout tries to approve it and is refused; then somebody else approves."""
    path = f"/tenants/{TENANT}/approvals/{told.approvals[circle.reference]}/decision"
    decision = {"decision": "approve", "comment": "amount, account and name checked"}
    answer = player.ask(BANKER.email, "POST", path, decision)
    if answer.ok:
        raise Unanswered(f"the requester approved their own payout of {circle.name}")
    told.refusals.append(f"{answer.status} {answer.body.get('code', '')}")
    player.api(APPROVER.email, "POST", path, decision)


def await_payment(player: Player, told: Told, circle: Circle) -> None:
    """Until the bank has received the payment file and executed it."""
    wanted = told.rounds[circle.reference]["draw"]["end_to_end_id"]

    def paid() -> bool:
        return any(
            one["end_to_end"] == wanted and one["status"] == "ACSC"
            for one in player.bank("/payments")["payments"]
        )

    player.wait(
        f"the payment file of {circle.name} to reach the bank", paid,
        where="look at `make logs FUNCTION=UploadPaymentFileFunction`, and at bank.log",
    )  # fmt: skip


def await_closed(player: Player, told: Told, circle: Circle) -> None:
    """Until the bank's word has closed the round."""
    player.wait(
        f"the round of {circle.name} to close",
        lambda: see_round(player, told, circle)["status"] == "closed",
        where="look at the execution of the payout-round state machine",
    )


def write_reports(player: Player, told: Told, circle: Circle) -> None:
    """The report with what the last statement told; fetched by its links, as a person would."""
    path = f"{round_path(told, circle)}/report"
    player.api(BANKER.email, "POST", path, {})
    folder = player.home.paths.run / "demo"
    saved = {}
    for kind in ("html", "csv"):
        link = player.api(AUDITOR.email, "GET", f"{path}?format={kind}")["url"]
        with urllib.request.urlopen(link, timeout=30) as answer:
            content = answer.read()
        file = folder / f"{circle.reference}.{kind}"
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)
        saved[kind] = str(file)
    told.reports[circle.reference] = saved


def await_quiet(player: Player) -> None:
    """Until nothing is on its way any more: no machine runs, no queue or outbox holds anything."""
    player.wait("all machines, queues and outboxes to be idle", lambda: _quiet(player))


def _quiet(player: Player) -> bool:
    checks: tuple[Callable[[Player], bool], ...] = (_machines_idle, _outbox_empty, _queues_empty)
    return all(check(player) for check in checks)


def _machines_idle(player: Player) -> bool:
    machines = player.client("stepfunctions")
    outputs = player.home.outputs
    return not any(
        machines.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]
        for name, arn in outputs.items()
        if name.endswith("MachineArn")
    )


def _outbox_empty(player: Player) -> bool:
    table, dynamodb = player.home.outputs["OutboxTable"], player.client("dynamodb")
    left = dynamodb.scan(TableName=table, IndexName="unsent", Select="COUNT")
    return int(left["Count"]) == 0


def _queues_empty(player: Player) -> bool:
    queues = player.client("sqs")
    names = ("NormaliseQueueUrl", "ChargeCardQueueUrl", "NotificationQueueUrl")
    counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    for name in names:
        told = queues.get_queue_attributes(
            QueueUrl=player.home.outputs[name], AttributeNames=list(counts)
        )["Attributes"]
        if any(int(told.get(count, "0")) for count in counts):
            return False
    return True
