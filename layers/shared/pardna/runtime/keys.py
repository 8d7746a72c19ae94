"""Every DynamoDB key of the product, in one place.

All tables have a partition key ``pk`` and a sort key ``sk``; every item carries ``tenant_id`` and
``kind``. A tenant's name is inside every partition key, so no key of one tenant reaches another's
item. Item kinds and their keys:

| table | item | pk | sk |
|---|---|---|---|
| match | leg | ``T#t#LEG#pair#transaction_id`` | ``LEG`` |
| match | reference | ``T#t#REF#pair#currency#type#value`` | ``side#transaction_id`` |
| match | match header | ``T#t#MATCH#match_id`` | ``HEAD`` |
| match | match member | ``T#t#MATCH#match_id`` | ``LEG#transaction_id`` |
| match | break | ``T#t#BREAK#break_id`` | ``HEAD`` |
| match | run | ``T#t#RUN#run_id`` | ``HEAD`` |
| match | run's shard | ``T#t#RUN#run_id`` | ``SHARD#00001`` |
| match | run's name | ``T#t#RUNNAME#execution`` | ``HEAD`` |
| match | act (append-only) | ``T#t#HISTORY#subject`` | ``at#act_id`` |
| match | answered request | ``T#t#ONCE#principal#key`` | ``HEAD`` |
| match | rules, their number | ``T#t#RULES`` | ``HEAD`` |
| match | rules, a version | ``T#t#RULES`` | ``V#000001`` |
| match | alias | ``T#t#ALIASES`` | ``alias_id`` |
| match | refusal | ``T#t#REFUSED#pair`` | ``match_id`` |
| match | decision | ``T#t#DECISION#decision_id`` | ``HEAD`` |
| workflow | approval | ``T#t#APPROVAL#approval_id`` | ``HEAD`` |
| workflow | wait | ``T#t#WAIT#subject`` | ``HEAD`` |
| workflow | upload | ``T#t#UPLOAD#upload_id`` | ``HEAD`` |
| workflow | attempt | ``T#t#ATTEMPT#subject`` | ``HEAD`` |
| outbox | departure | ``T#t#EVENT#event_id`` | ``HEAD`` |
| directory | tenant | ``TENANT#t`` | ``HEAD`` |
| directory | membership | ``PRINCIPAL#principal`` | ``TENANT#t`` |
| directory | source | ``TENANT#t`` | ``SOURCE#source_id`` |

Indexes: match ``open`` (sparse: legs still open; ``open_pk``, ``open_sk``) and ``listing``
(matches, breaks, runs by day or status; ``list_pk``, ``list_sk``); workflow ``pending``
(``pending_pk``, ``pending_sk``); outbox ``unsent`` (sparse; ``unsent_pk``, ``unsent_sk``).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

HEAD = "HEAD"
LEG = "LEG"

#: One key takes about 1,000 writes a second, so open legs are spread over this many.
WRITE_SHARDS = 16
#: DynamoDB's limit on a partition key is 2,048 bytes; ours stay far below.
_PART_MAX = 300


@lru_cache(maxsize=16_384)
def _part(value: str) -> str:
    """A key part: no separator that could make two keys equal, bounded length."""
    escaped = value.replace("%", "%25").replace("#", "%23")
    if len(escaped.encode()) > _PART_MAX:
        return "%H" + hashlib.sha256(value.encode()).hexdigest()
    return escaped


def _tenant(tenant_id: str) -> str:
    if not tenant_id:
        raise ValueError("a key needs a tenant")
    return f"T#{_part(tenant_id)}"


def leg(tenant_id: str, pair: str, transaction_id: str) -> tuple[str, str]:
    """A transaction as one leg of one pair of sides (``internal~psp``)."""
    return f"{_tenant(tenant_id)}#LEG#{_part(pair)}#{_part(transaction_id)}", LEG


def reference(
    tenant_id: str, pair: str, currency: str, type_: str, value: str, side: str, transaction_id: str
) -> tuple[str, str]:
    """Where level 1 looks for the other side of a strong reference."""
    head = f"{_tenant(tenant_id)}#REF#{_part(pair)}#{_part(currency)}#{_part(type_)}#{_part(value)}"
    return head, f"{_part(side)}#{_part(transaction_id)}"


def match(tenant_id: str, match_id: str) -> tuple[str, str]:
    """A match's header; its members are under `match_member`."""
    return f"{_tenant(tenant_id)}#MATCH#{_part(match_id)}", HEAD


def match_member(tenant_id: str, match_id: str, transaction_id: str) -> tuple[str, str]:
    """One member of a match: an item each, never a list in one item."""
    return f"{_tenant(tenant_id)}#MATCH#{_part(match_id)}", f"LEG#{_part(transaction_id)}"


def break_(tenant_id: str, break_id: str) -> tuple[str, str]:
    """A break."""
    return f"{_tenant(tenant_id)}#BREAK#{_part(break_id)}", HEAD


def run(tenant_id: str, run_id: str) -> tuple[str, str]:
    """A reconciliation run's header."""
    return f"{_tenant(tenant_id)}#RUN#{_part(run_id)}", HEAD


def run_shard(tenant_id: str, run_id: str, shard: int) -> tuple[str, str]:
    """One shard of a run, with its checkpoint and counts."""
    return f"{_tenant(tenant_id)}#RUN#{_part(run_id)}", f"SHARD#{shard:05d}"


def history(tenant_id: str, subject: str, at: str, act_id: str) -> tuple[str, str]:
    """One thing that was done to `subject` (``match:m_…``, ``break:b_…``); never written twice."""
    return f"{_tenant(tenant_id)}#HISTORY#{_part(subject)}", f"{_part(at)}#{_part(act_id)}"


def once(tenant_id: str, principal: str, key: str) -> tuple[str, str]:
    """The answer to a request that a principal sent under an idempotency key."""
    return f"{_tenant(tenant_id)}#ONCE#{_part(principal)}#{_part(key)}", HEAD


def rules(tenant_id: str) -> tuple[str, str]:
    """Which version of a tenant's matching rules is in force, and which was given out last."""
    return f"{_tenant(tenant_id)}#RULES", HEAD


def rules_version(tenant_id: str, version: int) -> tuple[str, str]:
    """A version of a tenant's matching rules, never changed."""
    return f"{_tenant(tenant_id)}#RULES", f"V#{version:06d}"


def alias(tenant_id: str, alias_id: str) -> tuple[str, str]:
    """What a reference or a name also stands for."""
    return f"{_tenant(tenant_id)}#ALIASES", _part(alias_id)


def refused(tenant_id: str, pair: str, match_id: str) -> tuple[str, str]:
    """Legs that a person said are not the same money."""
    return f"{_tenant(tenant_id)}#REFUSED#{_part(pair)}", _part(match_id)


def decision(tenant_id: str, decision_id: str) -> tuple[str, str]:
    """Something that a person asked for in matching, and that a second person decides."""
    return f"{_tenant(tenant_id)}#DECISION#{_part(decision_id)}", HEAD


def run_name(tenant_id: str, execution: str) -> tuple[str, str]:
    """Which run an execution of the machine carries out."""
    return f"{_tenant(tenant_id)}#RUNNAME#{_part(execution)}", HEAD


def approval(tenant_id: str, approval_id: str) -> tuple[str, str]:
    """A decision that waits for a second person."""
    return f"{_tenant(tenant_id)}#APPROVAL#{_part(approval_id)}", HEAD


def wait(tenant_id: str, subject: str) -> tuple[str, str]:
    """A state machine that waits for the outside world to say something about `subject`."""
    return f"{_tenant(tenant_id)}#WAIT#{_part(subject)}", HEAD


def attempt(tenant_id: str, subject: str) -> tuple[str, str]:
    """An effect outside that must happen once: who is at it, and what came of it."""
    return f"{_tenant(tenant_id)}#ATTEMPT#{_part(subject)}", HEAD


def upload(tenant_id: str, upload_id: str) -> tuple[str, str]:
    """A file that a person has announced, and what came of it."""
    return f"{_tenant(tenant_id)}#UPLOAD#{_part(upload_id)}", HEAD


def departure(tenant_id: str, event_id: str) -> tuple[str, str]:
    """An event on its way out of the database's network."""
    return f"{_tenant(tenant_id)}#EVENT#{_part(event_id)}", HEAD


def tenant(tenant_id: str) -> tuple[str, str]:
    """A tenant."""
    return f"TENANT#{_part(tenant_id)}", HEAD


def membership(principal: str, tenant_id: str) -> tuple[str, str]:
    """What a principal may do in a tenant."""
    return f"PRINCIPAL#{_part(principal)}", f"TENANT#{_part(tenant_id)}"


def source(tenant_id: str, source_id: str) -> tuple[str, str]:
    """A source's profile: channel, format, secret's name."""
    return f"TENANT#{_part(tenant_id)}", f"SOURCE#{_part(source_id)}"


def layout(tenant_id: str, name: str, version: int) -> tuple[str, str]:
    """One version of a saved profile of files."""
    return f"TENANT#{_part(tenant_id)}", f"LAYOUT#{_part(name)}#{version:06d}"


def layouts(tenant_id: str, name: str = "") -> tuple[str, str]:
    """The partition of all saved profiles, and what the sort keys of one (or all) begin with."""
    return f"TENANT#{_part(tenant_id)}", f"LAYOUT#{_part(name)}#" if name else "LAYOUT#"


def open_leg_index(tenant_id: str, pair: str, currency: str, transaction_id: str) -> str:
    """`open_pk` of an open leg: tenant, pair, currency and a write shard."""
    shard = int(hashlib.sha256(transaction_id.encode()).hexdigest()[:8], 16) % WRITE_SHARDS
    return open_leg_shard(tenant_id, pair, currency, shard)


def open_leg_shard(tenant_id: str, pair: str, currency: str, shard: int) -> str:
    """The index partition that write shard `shard` of a pair and currency lies in."""
    return f"{_tenant(tenant_id)}#OPEN#{_part(pair)}#{_part(currency)}#{shard:02d}"


def listing(tenant_id: str, kind: str, status: str) -> str:
    """`list_pk`: a tenant's breaks, matches or runs of one status."""
    return f"{_tenant(tenant_id)}#LIST#{_part(kind)}#{_part(status)}"


def pending(tenant_id: str) -> str:
    """`pending_pk`: a tenant's approvals that nobody has decided."""
    return f"{_tenant(tenant_id)}#PENDING"


def unsent(event_id: str) -> str:
    """`unsent_pk` of a departure that has not been published; spread over write shards."""
    return unsent_shard(int(event_id[:8], 16) % WRITE_SHARDS)


def unsent_shard(shard: int) -> str:
    """The index partition of unsent departures in write shard `shard`."""
    return f"UNSENT#{shard:02d}"
