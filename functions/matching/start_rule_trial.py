"""POST /tenants/{tenant_id}/rule-trials: try rules without using them.
GET /tenants/{tenant_id}/rule-trials/{trial_id}: what would change."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pardna.identity.wiring import access
from pardna.matching.acts import asked
from pardna.matching.rule_trial import TrialRequest
from pardna.matching.wiring import rule_trials
from pardna.runtime.http import Request, Response, api, respond


class NewTrial(BaseModel):
    """The request's body. Without `run_id`, the latest run says which shards there are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: dict[str, Any]
    run_id: str = Field("", max_length=100)
    matched_too: bool = False


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    if "trial_id" in request.path:
        access().require(request.principal, tenant_id, "matching.read")
        return respond(200, rule_trials().show(tenant_id, request.path_value("trial_id")))
    access().require(request.principal, tenant_id, "matching_rules.write")
    body = request.parse(NewTrial)
    key = request.headers.get("idempotency-key", "")
    by = asked(tenant_id, request.principal, key, "start_rule_trial", request.body)
    trial = TrialRequest(json.dumps(body.rules), body.run_id, body.matched_too)
    return respond(202, rule_trials().start(by, trial))
