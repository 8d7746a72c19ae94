"""POST …/circles/{circle_id}/rounds/{round_number}/start: play a round; the same again finds it.

Who starts a round is its requester, and so cannot approve its payout.
"""

from __future__ import annotations

from pardna.circles.requests import Start, known_shape, round_number
from pardna.circles.wiring import start_round
from pardna.identity.wiring import access
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "rounds.start")
    started = start_round().start(
        tenant_id,
        request.principal,
        known_shape(request.path_value("circle_id")),
        round_number(request.path_value("round_number")),
        poll_seconds=request.parse(Start).poll_seconds,
        correlation_id=request.correlation_id,
    )
    return respond(200, started)
