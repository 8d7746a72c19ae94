"""The reconciliation machine: happy, repeated, retried, caught, killed half-way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest

from pardna.matching.model import Pair, Status
from pardna.matching.summary import RunReader
from pardna.matching.wiring import (
    _run_book,
    break_book,
    control_runs,
    match_state,
    show_runs,
)
from pardna.transactions.model import Counterparty
from tests.statemachines.matching.conftest import REGION, TOPIC, Product, forget_wiring
from tests.support.matching import TENANT, bank_line, charge, contribution, payout, strong, weak


def round_of_payments() -> list:
    """Three by card, two by transfer, their payout, and one deliberate break."""
    cards = [charge(n, 10_000, 590, payout="po_K3Q81") for n in (1, 2, 3)]
    return [
        *(contribution(n, 10_000) for n in (1, 2, 3)),
        *cards,
        payout("po_K3Q81", 3 * 9_410),
        bank_line(1, 3 * 9_410, weak("payout", "po_K3Q81")),
        contribution(4, 10_000, "bank"),
        bank_line(4, 10_000, strong("end_to_end", "E2E4")),
        contribution(5, 10_000, "bank"),
        bank_line(5, 9_000, weak("payment_reference", "PDN-7K3Q-R01-5")),
    ]


def levels() -> list[tuple[str, int]]:
    state = match_state()
    found = [state.get(TENANT, m) for m in state.of_status(TENANT, Status.COMMITTED)]
    return sorted((m.pair.value, m.level) for m in found if m)


EXPECTED = [
    *[("internal~bank", 1)],
    *[("internal~psp", 1)] * 3,
    *[("psp~bank", 3)],
]


def test_a_round_is_matched_proved_cleared_and_its_break_named(product: Product) -> None:
    product.record(*round_of_payments(), project=True)

    ended = product.run(on="2026-03-10")

    assert ended["status"] == "SUCCEEDED", ended
    assert levels() == EXPECTED
    output = ended["output"]
    assert output["gate"] == {"outcome": "passed", "reasons": []}
    assert output["proof"]["settlements_proved_count"] == 1
    assert output["clearing"]["outcome"] == "posted"
    assert output["summary"]["matched_count"] == 1  # the rest was matched as it arrived
    open_breaks = list(break_book().listed(TENANT, "open"))
    assert {(b.class_.value, b.pair, b.amount_minor) for b in open_breaks} == {
        ("MISSING_BANK", Pair.INTERNAL_BANK, 10_000),
        ("MISSING_INTERNAL", Pair.INTERNAL_BANK, 9_000),
    }
    assert all(b.reason.startswith("Nothing on the") for b in open_breaks)


def test_what_never_arrived_is_projected_again_and_the_same_run_changes_nothing(
    product: Product,
) -> None:
    product.record(*round_of_payments())

    first = product.run(name="first")
    before = [i for i in product.items() if i["kind"]["S"] != "run_name"]
    second = product.run(name="second")

    assert first["output"]["completeness"]["projected_count"] == 12
    assert levels() == EXPECTED
    assert second["output"]["plan"]["outcome"] == "nothing_new"
    assert second["output"]["plan"]["run_id"] == first["output"]["plan"]["run_id"]
    assert [i for i in product.items() if i["kind"]["S"] != "run_name"] == before


def test_late_data_is_another_run_and_closes_the_break(product: Product) -> None:
    product.record(*round_of_payments())
    product.run(on="2026-03-10", name="first")
    product.record(bank_line(6, 10_000, strong("end_to_end", "E2E5")))

    ended = product.run(on="2026-03-10", name="second")

    assert ended["output"]["plan"]["outcome"] == "decided"
    assert ended["output"]["breaks"]["resolved_count"] == 1
    assert [b.class_.value for b in break_book().listed(TENANT, "open")] == ["MISSING_INTERNAL"]
    assert [b.resolution for b in break_book().listed(TENANT, "resolved")] == ["matched"]


@pytest.mark.parametrize(
    "function",
    [
        "CheckCompletenessFunction",
        "PlanRunFunction",
        "MatchShardFunction",
        "ClassifyBreaksFunction",
        "ProveSettlementsFunction",
        "PostMatchesFunction",
        "GateQualityFunction",
        "SummariseRunFunction",
    ],
)
def test_each_step_is_tried_again(product: Product, function: str) -> None:
    product.record(contribution(1, 500), charge(1, 500))
    product.failures[function] = [RuntimeError("once")]

    ended = product.run()

    assert ended["status"] == "SUCCEEDED"
    assert product.failures[function] == []
    assert levels() == [("internal~psp", 1)]


@pytest.mark.parametrize("function", ["CheckCompletenessFunction", "MatchShardFunction", "SummariseRunFunction"])  # fmt: skip
def test_a_step_that_keeps_failing_ends_the_run_and_starting_again_completes_it(
    product: Product, function: str
) -> None:
    product.record(*round_of_payments())
    product.failures[function] = [RuntimeError("again")] * 40

    broken = product.run(name="broken")
    product.failures.clear()
    whole = product.run(name="whole")

    # moto lets a map pass whose item failed; then the gate holds the run, and it stays incomplete.
    assert broken["status"] == "FAILED" or broken["output"]["gate"]["outcome"] == "held"
    assert whole["status"] == "SUCCEEDED"
    assert whole["output"]["summary"]["outcome"] == "passed"
    assert levels() == EXPECTED


def test_a_partial_run_names_its_shards_and_is_resumed_with_those_only(product: Product) -> None:
    product.record(*round_of_payments())
    product.failures["MatchShardFunction"] = [RuntimeError("again")] * 40
    broken = product.run(name="broken")
    assert broken["status"] == "SUCCEEDED"
    assert broken["output"]["summary"]["outcome"] == "partial"
    run_id = broken["output"]["plan"]["run_id"]
    [notice] = product.notices()
    assert f"{run_id} of {TENANT}, up to 2026-03-04, is partial" in notice
    assert "2 shards did not finish: [0, 1]" in notice
    shown = RunReader(_run_book()).show(TENANT, run_id)
    assert (shown["status"], shown["unfinished_shards"]) == ("partial", [0, 1])

    product.failures.clear()
    product.calls.clear()
    resumed = product.run(name="resumed", told={"tenant_id": TENANT, "run_id": run_id})

    assert resumed["output"]["summary"]["outcome"] == "passed"
    assert resumed["output"]["plan"]["run_id"] == run_id
    assert levels() == EXPECTED
    assert "CheckCompletenessFunction" not in [name for name, _ in product.calls]
    assert len(product.notices()) == 1, "a run that passed needs nobody"


def test_a_held_run_is_told_of_with_its_reasons_and_a_silent_topic_holds_nothing_up(
    product: Product,
) -> None:
    """The ledger refuses; whoever is told of alarms hears which run it was, and why."""
    product.record(*round_of_payments())
    product.answers["PostMatchesFunction"] = {"outcome": "refused"}
    held = product.run(name="held")
    assert held["output"]["summary"]["outcome"] == "held"
    [notice] = product.notices()
    assert f"of {TENANT}, up to 2026-03-04, is held" in notice
    assert "- the ledger refused to clear some matches" in notice
    assert "1 matched in this run, 0 breaks" in notice

    boto3.client("sns", region_name=REGION).delete_topic(TopicArn=TOPIC)
    product.record(bank_line(6, 10_000, strong("end_to_end", "E2E5")))
    again = product.run(name="again")
    assert (again["status"], again["output"]["summary"]["outcome"]) == ("SUCCEEDED", "held")


def test_people_stop_a_run_in_the_machine_and_resume_it(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILIATION_MACHINE_ARN", product.machine_arn)
    forget_wiring()
    product.record(*round_of_payments())
    name = f"{TENANT}-{'a' * 32}"
    product.before["MatchShardFunction"] = lambda: control_runs().control(
        TENANT, name, "stop", "ann"
    )

    stopped = product.run(name=name)

    assert stopped["status"] == "SUCCEEDED"
    assert stopped["output"]["plan"]["outcome"] == "stopped"
    assert "summary" not in stopped["output"]
    assert ("psp~bank", 3) not in levels(), "only what matched as it arrived"
    run_id = stopped["output"]["plan"]["run_id"]
    assert show_runs().show(TENANT, name)["status"] == "stopped"

    product.calls.clear()
    resumed = control_runs().control(TENANT, name, "resume", "ben")
    assert (resumed["status"], resumed["attempt"]) == ("running", 1)
    ended = product.ended(
        product.machine_arn.replace(":stateMachine:", ":execution:") + f":{run_id}-001"
    )
    summary = ended["output"]["summary"]
    assert (summary["outcome"], summary["run_id"], summary["matched_count"]) == (
        "passed",
        run_id,
        1,
    )
    assert levels() == EXPECTED
    assert "CheckCompletenessFunction" not in [called for called, _ in product.calls]


def test_an_operator_starts_it_with_a_tenant_only(product: Product) -> None:
    """Plain input, typed in the console: today, the usual window, no correlation id."""
    now = datetime.now(UTC)
    product.record(*(replace(one, occurred_at=now) for one in round_of_payments()))
    ended = product.run(name="3f0c9b1e-console", told={"tenant_id": TENANT})
    assert ended["output"]["summary"]["outcome"] == "passed"
    assert ended["output"]["completeness"]["window_days"] == 45
    assert levels() == EXPECTED
    shown = RunReader(_run_book()).show(TENANT, ended["output"]["plan"]["run_id"])
    assert shown["execution"] == "3f0c9b1e-console", "so that it can be stopped by its run's id"
    assert shown["reference_date"] == ended["output"]["completeness"]["reference_date"]


@pytest.mark.parametrize(
    "told",
    [{"tenant": TENANT}, {"tenant_id": TENANT, "reference_date": "4/3/2026"}, {"tenant_id": ""}],
    ids=["misspelt", "no such date", "nobody"],
)
def test_an_operator_who_mistypes_changes_nothing(product: Product, told: dict[str, str]) -> None:
    product.record(*round_of_payments())
    ended = product.run(told=told)
    assert ended["status"] == "FAILED"
    assert product.items() == []


def test_a_settlement_that_does_not_add_up_is_a_break_and_no_match(product: Product) -> None:
    records = round_of_payments()
    records[4] = replace(records[4], fee_minor=600, net_minor=9_400)
    product.record(*records)

    product.run()

    assert ("psp~bank", 3) not in levels()
    [found] = [b for b in break_book().listed(TENANT, "open") if b.pair is Pair.PSP_BANK]
    assert (found.class_.value, found.amount_minor, found.legs_count) == ("AMOUNT_MISMATCH", 10, 5)
    assert "do not come to it: difference -J$0.10" in found.reason


def test_a_tenant_without_transactions_has_an_empty_run(product: Product) -> None:
    ended = product.run()
    assert ended["output"]["summary"]["outcome"] == "passed"
    assert "MatchShardFunction" not in [name for name, _ in product.calls]


def test_a_proposal_stands_until_a_match_takes_one_of_its_legs(product: Product) -> None:
    """Same amount, day and name, no shared reference: a person decides, unless proof arrives."""
    ours = replace(contribution(7, 7_700, "bank"), counterparty=Counterparty("Avis Brown"))
    ours = replace(ours, references=tuple(r for r in ours.references if r.type == "rail"))
    line = bank_line(7, 7_700, counterparty=Counterparty("AVIS BROWN"))
    product.record(ours, line)

    product.run(name="first")
    [proposal] = match_state().proposed(TENANT)
    assert (proposal.level, proposal.confidence_bp) == (4, 7_500)
    assert levels() == []
    assert list(break_book().listed(TENANT, "open")) == []

    known = replace(ours, references=(*ours.references, strong("end_to_end", "E2E7")))
    product.record(known, bank_line(8, 7_700, strong("end_to_end", "E2E7")))
    product.run(name="second")
    assert levels() == [("internal~bank", 1)]
    assert list(match_state().proposed(TENANT)) == []
