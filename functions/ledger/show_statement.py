"""GET /tenants/{tenant_id}/statement?account=&currency=: an account's entries, balance after each."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ledger.report import statement_report
from pardna.ledger.wiring import ledger
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "ledger.read")
    return respond(200, statement_report(ledger(), tenant_id, request.principal, request.query))
