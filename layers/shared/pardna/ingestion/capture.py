"""Capture a webhook: verify over the raw bytes, keep them, answer. One write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pardna.ingestion.model import Captured, Receipt
from pardna.ingestion.ports import RawStore, SecretParts, Sources
from pardna.ingestion.signatures import SCHEMES
from pardna.runtime.clock import Clock
from pardna.runtime.errors import InvalidInput, NotFound
from pardna.runtime.observability import count, logger

#: What is kept of the headers; signatures, tokens and cookies are not.
_KEPT_HEADERS = ("content-type", "user-agent", "x-request-id")
_HEADER_MAX = 200


def webhook_secret_id(secret_id: str) -> str:
    """A source's webhook secrets lie apart from its keys: the one function that anybody may call
    can read the former only."""
    return f"{secret_id}/webhook"


@dataclass(frozen=True, slots=True)
class CaptureWebhook:
    """The use case."""

    sources: Sources
    secrets: SecretParts
    raw: RawStore
    clock: Clock

    def capture(
        self, tenant_id: str, source_id: str, headers: Mapping[str, str], body: bytes
    ) -> Captured:
        """Keep a webhook's bytes when its signature holds; `headers` have lower-case names.

        A wrong or stale signature, and a source that does not exist, are the same refusal to the
        caller: InvalidInput ``webhook.refused``; nothing is stored, the refusal is counted.
        Raises Unavailable when it cannot be kept: the provider sends it again.
        """
        now = self.clock()
        try:
            profile = self.sources.get(tenant_id, source_id)
            if "webhook" not in profile.channels or not profile.secret_id:
                raise InvalidInput("webhook.channel", "this source sends no webhooks")
            names = ("webhook_secret", "webhook_secret_previous")
            secret_id = webhook_secret_id(profile.secret_id)
            known = [self.secrets.part(secret_id, name) for name in names]
            SCHEMES[profile.signature](headers, body, known, now)
        except (InvalidInput, NotFound, KeyError) as error:
            code = error.code if isinstance(error, InvalidInput | NotFound) else "webhook.scheme"
            logger.info("Webhook refused", error_code=code)
            count("WebhookRefused")
            raise InvalidInput("webhook.refused", "the signature does not hold") from None
        kept = {n: headers[n][:_HEADER_MAX] for n in _KEPT_HEADERS if n in headers}
        receipt = Receipt(source_id, "webhook", "webhook", now, kept.get("content-type", ""), kept)
        captured = self.raw.put_once(tenant_id, body, receipt)
        count("WebhookCaptured" if captured.created else "WebhookRepeated")
        return captured
