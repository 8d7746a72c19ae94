"""POST /tenants/{tenant_id}/reconciliations, and the daily schedule: start runs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from pardna.identity.wiring import access
from pardna.matching.starting import RunRequest
from pardna.matching.wiring import start_runs, tenant_ids
from pardna.runtime.http import Request, Response, api, respond
from pardna.runtime.observability import correlation_id, logger, observed


class NewRun(BaseModel):
    """The request's body: up to which day (default today), how many days back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference_date: str = ""
    window_days: int = 45


@api
def by_request(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "reconciliation.run")
    body = request.parse(NewRun)
    key = request.headers.get("idempotency-key", "")
    return respond(202, start_runs().start(RunRequest(
        tenant_id, body.reference_date, body.window_days, request.correlation_id,
        f"{request.principal}:{key}" if key else "",
    )))  # fmt: skip


@observed
def by_schedule(event: dict[str, Any], context: Any) -> dict[str, Any]:
    started = start_runs().start_all(tenant_ids(), correlation_id(event, context))
    logger.info("Runs started", started_count=started)
    return {"started_count": started}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return (by_request if "requestContext" in event else by_schedule)(event, context)
