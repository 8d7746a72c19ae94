"""What people do to matching: each act is kept, with who did it, and is never changed. Pure.

An **act** names its subject (``match:m_…``, ``break:b_…``, ``rules``, ``alias:a_…``); acts of a
subject in the order of time are its history. A request is **asked** under an idempotency key: its
acts, its answer and the change itself are written together, so that the same request again finds its
answer and does nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pardna.runtime.errors import InvalidInput

#: Characters of a reason or a comment; what does not fit into a few sentences is a document.
TEXT_MAX = 1_000
KEY_MAX = 128
#: Bytes of a place in an index; a sort key has at most 1,024.
_PLACE_MAX = 400


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: who, in which tenant, under which key, and a hash of all that was asked.

    `approved_by` is the second person who let it happen, when one was needed.
    """

    tenant_id: str
    principal: str
    key: str
    request_hash: str
    approved_by: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that was done. `at` is an ISO 8601 instant; `details` holds ids, codes, numbers."""

    tenant_id: str
    subject: str
    verb: str
    principal: str
    at: str
    reason: str = ""
    approved_by: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    act_id: str = ""


@dataclass(frozen=True, slots=True)
class Deed:
    """What one request leaves behind: its acts, and the answer that it is given for ever."""

    asked: Asked
    acts: tuple[Act, ...]
    answer: Mapping[str, Any]


def asked(tenant_id: str, principal: str, key: str, what: str, body: bytes) -> Asked:
    """A request as it came. `what` names the use case and its subject. Raises InvalidInput."""
    if not (key.isprintable() and 1 <= len(key) <= KEY_MAX):
        raise InvalidInput(
            "request.idempotency_key",
            "send a header Idempotency-Key of up to 128 characters, a new one for each new request "
            "and the same one when you repeat it",
        )
    digest = hashlib.sha256(b"\x1f".join((what.encode(), body))).hexdigest()
    return Asked(tenant_id, principal, key, digest)


def act(
    by: Asked, subject: str, verb: str, at: str, reason: str = "", /, **details: str | int
) -> Act:
    """An act of the request `by`; its id follows from the request, so that it exists once."""
    text = "\x1f".join((by.tenant_id, by.principal, by.key, subject, verb))
    return Act(
        tenant_id=by.tenant_id,
        subject=subject,
        verb=verb,
        principal=by.principal,
        at=at,
        reason=checked_text(reason, "reason") if reason else "",
        approved_by=by.approved_by,
        details=details,
        act_id=hashlib.sha256(text.encode()).hexdigest()[:16],
    )


def checked_text(text: str, name: str) -> str:
    """A text that people will read; raises InvalidInput naming the field when it is none."""
    if not text.strip() or len(text) > TEXT_MAX or "\x00" in text:
        raise InvalidInput("request.text", f"{name}: write 1 to {TEXT_MAX} characters")
    return text


def position(part: str | int) -> str:
    """A place in an index that a cursor named; raises InvalidInput for one that no key could be."""
    text = str(part)
    if len(text.encode("utf-8", "surrogatepass")) > _PLACE_MAX or not text.isprintable():
        raise InvalidInput("request.cursor", "cursor is not one that we gave; ask again without it")
    return text


def act_to_plain(one: Act) -> dict[str, Any]:
    """As it is stored and shown."""
    return {
        "subject": one.subject,
        "verb": one.verb,
        "principal": one.principal,
        "at": one.at,
        "reason": one.reason,
        "approved_by": one.approved_by,
        "details": dict(one.details),
        "act_id": one.act_id,
    }


def act_from_plain(tenant_id: str, plain: Mapping[str, Any]) -> Act:
    """The inverse of `act_to_plain`."""
    return Act(tenant_id=tenant_id, **plain)


def canonical(answer: Mapping[str, Any]) -> str:
    """An answer as it is kept."""
    return json.dumps(answer, sort_keys=True, ensure_ascii=False)
