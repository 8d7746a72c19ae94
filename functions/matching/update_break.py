"""POST /tenants/{tenant_id}/breaks/{break_id}: assign, comment, resolve or reopen a break."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from pardna.identity.wiring import access
from pardna.matching.acts import Asked, asked
from pardna.matching.wiring import break_work
from pardna.runtime.http import Request, Response, api, respond


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Assign(_Words):
    """To whom; "" for nobody."""

    action: Literal["assign"]
    owner: Annotated[str, Field(max_length=128)]


class Comment(_Words):
    """What is said."""

    action: Literal["comment"]
    text: str


class Resolve(_Words):
    """How, and why."""

    action: Literal["resolve"]
    resolution: str
    reason_code: str
    note: str


class Reopen(_Words):
    """Why."""

    action: Literal["reopen"]
    reason: str


class Change(RootModel[Assign | Comment | Resolve | Reopen]):
    """The request's body; `action` says which."""

    root: Assign | Comment | Resolve | Reopen = Field(discriminator="action")


def _change(by: Asked, break_id: str, said: Any) -> Mapping[str, Any]:
    work = break_work()
    match said:
        case Assign():
            return work.assign(by, break_id, said.owner)
        case Comment():
            return work.comment(by, break_id, said.text)
        case Resolve():
            return work.resolve(by, break_id, said.resolution, said.reason_code, said.note)
        case _:
            return work.reopen(by, break_id, said.reason)


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "breaks.write")
    break_id, body = request.path_value("break_id"), request.parse(Change)
    key = request.headers.get("idempotency-key", "")
    by = asked(tenant_id, request.principal, key, f"update_break:{break_id}", request.body)
    answer = _change(by, break_id, body.root)
    return respond(202 if answer["status"] == "waiting_for_approval" else 200, answer)
