"""POST /tenants/{tenant_id}/matches: a person says that legs are the same money."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from pardna.identity.wiring import access
from pardna.matching.acts import asked
from pardna.matching.model import Pair
from pardna.matching.people import LEGS_MAX, ManualMatch
from pardna.matching.wiring import hand_matching
from pardna.runtime.http import Request, Response, api, respond

Id = Annotated[str, Field(min_length=1, max_length=100)]


class NewMatch(BaseModel):
    """The request's body. `variance_minor` names what the left side exceeds the right side by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pair: Pair
    transaction_ids: Annotated[tuple[Id, ...], Field(max_length=LEGS_MAX)]
    reason: str
    variance_minor: Annotated[int, Field(strict=True)] = 0
    variance_kind: str = ""


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "matching.write")
    body = request.parse(NewMatch)
    key = request.headers.get("idempotency-key", "")
    by = asked(tenant_id, request.principal, key, "match_manually", request.body)
    answer = hand_matching().match(
        by,
        ManualMatch(
            body.pair, body.transaction_ids, body.reason, body.variance_minor, body.variance_kind
        ),
    )
    return respond(200 if answer["status"] == "committed" else 202, answer)
