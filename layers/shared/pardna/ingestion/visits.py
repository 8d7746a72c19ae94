"""Which sources a function that visits them has to visit now."""

from __future__ import annotations

from pardna.ingestion.model import SourceProfile
from pardna.ingestion.ports import Sources


def due(
    sources: Sources, channel: str, tenant_id: str = "", source_id: str = ""
) -> list[SourceProfile]:
    """One source by name (its own schedule, or a person, asked), or all that follow the stack's.

    A source that is switched off, or does not use the channel any more, is left alone. Raises
    NotFound for a name that nobody has, Unavailable.
    """
    if source_id:
        profile = sources.get(tenant_id, source_id)
        return [profile] if profile.enabled and channel in profile.channels else []
    return [p for p in sources.by_channel(channel) if tenant_id in ("", p.tenant_id)]
