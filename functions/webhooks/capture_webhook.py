"""POST /webhooks/{tenant_id}/{source_id}: the signature is the credential; 202 after one write."""

from __future__ import annotations

from pardna.ingestion import wiring
from pardna.ingestion.signatures import Webhook
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """Keep a signed webhook's exact bytes; what it means is found out at its own pace."""
    captured = wiring.capture_webhook().capture(
        request.path_value("tenant_id"),
        request.path_value("source_id"),
        Webhook(request.headers, request.body, request.repeated, request.address),
    )
    return respond(202, {"received": captured.raw_sha256})
