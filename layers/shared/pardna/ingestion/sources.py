"""A tenant's sources, looked after by its people: listed, switched, scheduled, given new secrets.

Numbered write boundaries of `change`, each of which may be the last thing that a process does:
1. wanted schedules are put    2. the profile's switches are written    3. unwanted ones are removed
A source whose profile names a schedule of its own leaves the stack's; so its schedule is there
before the profile says so, and goes after the profile has ceased to. Between two of them a source
is visited twice at worst, and a visit may be repeated. The same request again completes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pardna.ingestion import schedules as rules
from pardna.ingestion.capture import rotated, webhook_secret_id
from pardna.ingestion.credentials import part_for, secret_id_of
from pardna.ingestion.model import SourceProfile
from pardna.ingestion.ports import Schedules, SecretVault, Sources
from pardna.ingestion.schedules import Schedule
from pardna.ingestion.signatures import WITHOUT_SECRET, usable
from pardna.runtime.clock import Clock
from pardna.runtime.errors import InvalidInput
from pardna.runtime.observability import count, logger

#: An old secret lives on this long at most, beside the new one.
OVERLAP_MAX = timedelta(days=30)
PAGE = 100


@dataclass(frozen=True, slots=True)
class SourceDesk:
    """The use cases of people who look after sources."""

    sources: Sources
    schedules: Schedules

    def change(
        self,
        tenant_id: str,
        source_id: str,
        enabled: bool | None = None,
        expressions: Mapping[str, str] | None = None,
    ) -> SourceProfile:
        """Switch a source off or on, or give its channels other schedules; None leaves as it is.

        `expressions` replaces all schedules: a channel that it leaves out follows the stack's again.
        Raises NotFound, InvalidInput ``source.schedule``, Unavailable.
        """
        profile = self.sources.get(tenant_id, source_id)
        wanted = replace(
            profile,
            enabled=profile.enabled if enabled is None else enabled,
            schedules=dict(profile.schedules if expressions is None else expressions),
        )
        put = rules.of(wanted, wanted.schedules, wanted.enabled)
        if wanted.enabled:
            for schedule in put:
                self.schedules.put(schedule)  # boundary 1
        self.sources.switch(wanted)  # boundary 2
        if not wanted.enabled:
            for schedule in put:
                self.schedules.put(schedule)  # boundary 3
        for channel in rules.VISITED:
            if channel not in wanted.schedules:
                # Also what the profile does not name: a request that was cut off may have left it.
                self.schedules.remove(Schedule(tenant_id, source_id, channel, ""))  # boundary 3
        logger.info("Source changed", tenant_id=tenant_id, source_id=source_id)
        return wanted


@dataclass(frozen=True, slots=True)
class SecretDesk:
    """Gives a source other secrets: what its webhooks are signed with, what we sign in with."""

    sources: Sources
    vault: SecretVault
    clock: Clock

    def rotate(
        self, tenant_id: str, source_id: str, secret: str, overlap: timedelta
    ) -> datetime | None:
        """Make `secret` the source's; returns until when the one before is valid too.

        None when there was none, or the overlap is nothing. The same secret again changes nothing.
        Never returned, logged or shown. Raises NotFound, InvalidInput ``source.secret`` (a secret
        that the source's signature cannot be checked with, a source without webhooks), Unavailable.
        """
        if not timedelta(0) <= overlap <= OVERLAP_MAX:
            raise InvalidInput("source.secret", f"at most {OVERLAP_MAX.days} days of overlap")
        profile = self.sources.get(tenant_id, source_id)
        if "webhook" not in profile.channels or not profile.secret_id:
            raise InvalidInput("source.secret", "this source has no webhooks that a secret signs")
        if profile.signature in WITHOUT_SECRET:
            raise InvalidInput("source.secret", "this provider signs with a key of its own")
        if not usable(profile.signature, profile.webhook, secret):
            raise InvalidInput("source.secret", "no secret of this kind of signature")
        now = self.clock()
        secret_id = webhook_secret_id(profile.secret_id)
        before = self.vault.read(secret_id)
        text, until = rotated(before, secret, now + overlap, now)
        if text != before:
            self.vault.write(secret_id, text)
            count("WebhookSecretRotated")
        return until

    def replace_credential(self, tenant_id: str, source_id: str, channel: str, secret: str) -> None:
        """Make `secret` what a channel (``poll``, ``sftp``, ``email``) signs in with from now on.

        What it was before is not read; whether it is still valid is the other side's business.
        Never returned, logged or shown. Raises NotFound, InvalidInput ``source.secret``, Unavailable.
        """
        profile = self.sources.get(tenant_id, source_id)
        secret_id = secret_id_of(profile, channel)
        self.vault.write(secret_id, json.dumps({part_for(channel, secret): secret}))
        count("CredentialReplaced")
        logger.info("Credential replaced", tenant_id=tenant_id, source_id=source_id)


def shown(profile: SourceProfile) -> dict[str, Any]:
    """A source as its people see it: everything but other people's business; it holds no secrets."""
    plain = {k: v for k, v in profile.to_dict().items() if k != "extra"}
    return plain | {"webhook_path": f"/webhooks/{profile.tenant_id}/{profile.source_id}"}
