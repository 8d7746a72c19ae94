"""GET /tenants/{tenant_id}/trial-balance: accounts now or as of a moment, and that they sum to zero."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ledger.report import trial_balance_report
from pardna.ledger.wiring import ledger
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "ledger.read")
    return respond(200, trial_balance_report(ledger(), tenant_id, request.principal, request.query))
