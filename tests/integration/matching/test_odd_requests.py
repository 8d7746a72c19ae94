"""Whatever stands in a request about matches, breaks, rules and runs: never our failure."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from pardna.identity.model import Membership, Role
from pardna.identity.wiring import tenancy
from tests.integration.matching.test_people_functions import PASS, REGION, deployed
from tests.statemachines.matching.conftest import forget_wiring
from tests.support.handlers import Context
from tests.support.matching import TENANT
from tests.support.odd import VALUES, failures

__all__ = ["deployed"]

EVENTS = Path(__file__).resolve().parents[3] / "events"
WHO = "tester-1"
LISTS = ("cursor", "limit", "status")
#: Samples, and what their queries may say.
SAMPLES = {
    "matching/change_alias.reference": (),
    "matching/list_breaks.open": (*LISTS, "class", "owner", "pair", "severity", "currency"),
    "matching/list_breaks.unknown": (),
    "matching/list_matches.proposed": LISTS,
    "matching/match_manually.unknown": (),
    "matching/save_rules.tolerance": (),
    "matching/show_history.month": ("cursor", "limit", "month", "subject"),
    "matching/start_rule_trial.tolerance": (),
    "matching/unmatch.unknown": (),
    "matching/update_break.comment": (),
    "matching/decide_proposal.unknown": (),
    "reconciliation/control_reconciliation.stop": (),
    "reconciliation/show_reconciliation.request": (),
    "reconciliation/start_reconciliation.request": (),
}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_no_value_anywhere_is_a_failure_of_ours(
    deployed: None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = boto3.client("stepfunctions", region_name=REGION).create_state_machine(
        name="runs", definition=PASS, roleArn="arn:aws:iam::123456789012:role/machine"
    )
    monkeypatch.setenv("RECONCILIATION_MACHINE_ARN", machine["stateMachineArn"])
    forget_wiring()
    member = Membership(TENANT, WHO, frozenset({Role.BANKER, Role.OPERATOR}))
    tenancy().add_member(f"admin-{TENANT}", member)
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    event["pathParameters"] |= {"tenant_id": TENANT}
    event["requestContext"]["authorizer"] = {"claims": {"sub": WHO, "token_use": "id"}}
    area, _, verb = name.partition("/")
    function = importlib.import_module(f"functions.{area}.{verb.partition('.')[0]}")
    assert failures(function.handler, event, SAMPLES[name]) == []
    for odd in filter(lambda value: isinstance(value, str), VALUES):
        named = event | {"headers": {"Idempotency-Key": odd}}
        assert function.handler(named, Context())["statusCode"] < 500, odd
