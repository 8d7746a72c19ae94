"""POST /tenants/{tenant_id}/matching-rules: propose a version of the rules; a second person decides."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from pardna.identity.wiring import access
from pardna.matching.acts import asked
from pardna.matching.wiring import rule_work
from pardna.runtime.http import Request, Response, api, respond


class NewRules(BaseModel):
    """The request's body: rules in full, and the version that they are made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_version: int
    note: str
    rules: dict[str, Any]


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "matching_rules.write")
    body = request.parse(NewRules)
    key = request.headers.get("idempotency-key", "")
    by = asked(tenant_id, request.principal, key, "save_rules", request.body)
    return respond(
        202, rule_work().propose(by, body.base_version, json.dumps(body.rules), body.note)
    )
