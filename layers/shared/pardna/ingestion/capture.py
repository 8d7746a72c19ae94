"""Capture a webhook: verify over the raw bytes, keep them, answer. One write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pardna.ingestion.event_ids import event_id
from pardna.ingestion.model import Captured, Receipt, SourceProfile
from pardna.ingestion.ports import RawStore, Sources
from pardna.ingestion.signatures import SCHEMES, WITHOUT_SECRET, Verify, Webhook
from pardna.runtime.clock import Clock
from pardna.runtime.errors import InvalidInput, NotFound
from pardna.runtime.observability import count, logger
from pardna.runtime.secrets import RenewableSecrets

#: What is kept of the headers; signatures, tokens and cookies are not.
_KEPT_HEADERS = ("content-type", "user-agent", "x-request-id")
_HEADER_MAX = 150

#: Parts of a source's webhook secret. The previous one counts until its end, and never without one.
CURRENT, PREVIOUS, PREVIOUS_UNTIL = (
    "webhook_secret",
    "webhook_secret_previous",
    "webhook_secret_previous_until",
)


def webhook_secret_id(secret_id: str) -> str:
    """A source's webhook secrets lie apart from its keys: the one function that anybody may call
    can read the former only."""
    return f"{secret_id}/webhook"


@dataclass(frozen=True, slots=True)
class CaptureWebhook:
    """The use case."""

    sources: Sources
    secrets: RenewableSecrets
    raw: RawStore
    clock: Clock
    schemes: Mapping[str, Verify] = field(default_factory=lambda: SCHEMES)

    def capture(self, tenant_id: str, source_id: str, webhook: Webhook) -> Captured:
        """Keep a webhook's bytes when its signature holds.

        A wrong or stale signature, an address that is not the provider's and a source that does
        not exist are the same refusal to the caller: InvalidInput ``webhook.refused``; nothing is
        stored, the refusal is counted. A signed webhook of a source that is switched off is
        NotFound ``webhook.disabled``: the provider tries again, and may be heard later. Raises
        Unavailable when it cannot be kept: the provider sends it again.
        """
        now = self.clock()
        try:
            profile = self.sources.get(tenant_id, source_id)
            self._verify(profile, webhook, now)
        except (InvalidInput, NotFound, KeyError) as error:
            code = error.code if isinstance(error, InvalidInput | NotFound) else "webhook.scheme"
            logger.info("Webhook refused", error_code=code)
            count("WebhookRefused")
            raise InvalidInput("webhook.refused", "the signature does not hold") from None
        if not profile.enabled:
            count("WebhookDisabled")
            raise NotFound("webhook.disabled", "this source is switched off")
        kept = _kept(webhook, event_id(profile.signature, webhook.headers, webhook.body))
        receipt = Receipt(source_id, "webhook", "webhook", now, kept.get("content-type", ""), kept)
        captured = self.raw.put_once(tenant_id, webhook.body, receipt)
        count("WebhookCaptured" if captured.created else "WebhookRepeated")
        return captured

    def _verify(self, profile: SourceProfile, webhook: Webhook, now: datetime) -> None:
        """Raises InvalidInput, NotFound, or KeyError for a scheme that nobody knows."""
        if "webhook" not in profile.channels:
            raise InvalidInput("webhook.channel", "this source sends no webhooks")
        if not may_send(profile.webhook.networks, webhook.address):
            raise InvalidInput("webhook.address", "not an address of this provider's")
        verify = self.schemes[profile.signature]
        if profile.signature in WITHOUT_SECRET:
            verify(webhook, (), profile.webhook, now)
            return
        if not profile.secret_id:
            raise InvalidInput("webhook.secret", "this source has no secret")
        secret_id = webhook_secret_id(profile.secret_id)
        try:
            verify(webhook, self._valid_secrets(secret_id, now), profile.webhook, now)
        except InvalidInput:
            # Perhaps the secret was rotated since it was read: look once more, at most so often.
            if not self.secrets.renew(secret_id):
                raise
            verify(webhook, self._valid_secrets(secret_id, now), profile.webhook, now)

    def _valid_secrets(self, secret_id: str, now: datetime) -> list[str]:
        part = self.secrets.part
        known = [part(secret_id, CURRENT)]
        if still_valid(part(secret_id, PREVIOUS_UNTIL), now):
            known.append(part(secret_id, PREVIOUS))
        return [secret for secret in known if secret]


def _kept(webhook: Webhook, event: str) -> dict[str, str]:
    """What a receipt holds of the headers: little, printable, and the event's id first."""
    kept = {"event-id": event} if event else {}
    for name in _KEPT_HEADERS:
        if name in webhook.headers:
            text = webhook.headers[name][:_HEADER_MAX].encode("ascii", "replace").decode()
            kept[name] = "".join(c if c.isprintable() and c not in '"\\' else "?" for c in text)
    return kept


def still_valid(until: str, now: datetime) -> bool:
    """Whether a previous secret counts still; an end that is missing or unreadable is past."""
    try:
        end = datetime.fromisoformat(until)
        return end.tzinfo is not None and now < end
    except ValueError:
        return False


def may_send(networks: tuple[str, ...], address: str) -> bool:
    """Whether an address lies in one of the networks (CIDR); without networks anybody's does."""
    if not networks:
        return True
    import ipaddress  # costs milliseconds at a cold start, and few sources have networks

    try:
        sender = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(sender in ipaddress.ip_network(network) for network in networks)


def rotated(
    text: str, new: str, previous_until: datetime, now: datetime
) -> tuple[str, datetime | None]:
    """A webhook secret's text after rotation to `new`, and until when the one before is valid.

    `text` is what the secret holds (JSON of parts, or empty when there is none yet). The same
    secret again changes nothing, so that a repeated request does not cut the old one's time.
    """
    try:
        parts = json.loads(text) if text else {}
    except ValueError:
        parts = {CURRENT: text}  # plain text is one part
    if not isinstance(parts, dict):
        parts = {CURRENT: text}
    current = str(parts.get(CURRENT, ""))
    if current == new:
        until = str(parts.get(PREVIOUS_UNTIL, ""))
        return text, datetime.fromisoformat(until) if still_valid(until, now) else None
    parts = {k: v for k, v in parts.items() if k not in (PREVIOUS, PREVIOUS_UNTIL)}
    parts[CURRENT] = new
    if not current or previous_until <= now:
        return json.dumps(parts), None
    return json.dumps(parts | {PREVIOUS: current, PREVIOUS_UNTIL: previous_until.isoformat()}), (
        previous_until
    )
