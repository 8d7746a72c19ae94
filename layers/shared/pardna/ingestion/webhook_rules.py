"""How a source's webhooks are told from forgeries: data, checked when it is written down. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pardna.runtime.errors import InvalidInput

#: A signature older, or further ahead, than this is a replay or a wrong clock.
TOLERANCE_SECONDS = 300
TOLERANCE_SECONDS_MAX = 7 * 86_400
#: What may be signed, in the order in which it is joined.
SIGNED_PARTS = ("id", "timestamp", "url", "body")
ALGORITHMS = ("sha256", "sha384", "sha512")
ENCODINGS = ("hex", "base64")
KEY_ENCODINGS = ("text", "hex", "base64")
TIMESTAMP_FORMATS = ("seconds", "milliseconds", "iso")

_HEADER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_AFFIX = re.compile(r"[\x21-\x7e]{0,20}")
_SEPARATOR = re.compile(r"[\x20-\x2f\x3a-\x40|~]?")


@dataclass(frozen=True, slots=True)
class HmacScheme:
    """A keyed hash in a header, described as data.

    `header` holds it (lower case), `prefix` stands before it, `separator` between several of them.
    `signed` are parts of the request, joined by `joint`; the times and ids come from their headers.
    `key_encoding` says how the secret is written, after `key_prefix`. A time that is not signed
    would prove nothing, so it is refused here. Raises InvalidInput ``source.webhook``.
    """

    header: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    separator: str = ""
    signed: tuple[str, ...] = ("body",)
    joint: str = ""
    timestamp_header: str = ""
    timestamp_format: str = "seconds"
    tolerance_seconds: int = TOLERANCE_SECONDS
    id_header: str = ""
    key_encoding: str = "text"
    key_prefix: str = ""

    def __post_init__(self) -> None:
        for name in (self.header, self.timestamp_header, self.id_header):
            _need(not name or bool(_HEADER.fullmatch(name)), "a header's name, in lower case")
        _need(bool(self.header), "the header that holds the signature")
        _need(self.algorithm in ALGORITHMS, f"algorithm: one of {', '.join(ALGORITHMS)}")
        _need(self.encoding in ENCODINGS, f"encoding: one of {', '.join(ENCODINGS)}")
        _need(self.key_encoding in KEY_ENCODINGS, f"key: one of {', '.join(KEY_ENCODINGS)}")
        _need(self.timestamp_format in TIMESTAMP_FORMATS, "timestamp: seconds, milliseconds or iso")
        for affix in (self.prefix, self.joint, self.key_prefix):
            _need(bool(_AFFIX.fullmatch(affix)), "prefixes and joints: up to 20 ASCII characters")
        _need(bool(_SEPARATOR.fullmatch(self.separator)), "separator: one space or punctuation")
        parts = set(self.signed)
        _need("body" in parts and parts <= set(SIGNED_PARTS), "signed: the body, and what else")
        _need(len(parts) == len(self.signed), "signed: each part once")
        _need(
            ("timestamp" in parts) == bool(self.timestamp_header), "a time is signed, or not read"
        )
        _need(("id" in parts) == bool(self.id_header), "an id is signed, or not read")
        _need(1 <= self.tolerance_seconds <= TOLERANCE_SECONDS_MAX, "tolerance: up to a week")


@dataclass(frozen=True, slots=True)
class WebhookRules:
    """What checking a source's webhooks needs besides its secret.

    `url` is the address as the provider was told it, `webhook_id` the provider's name for it
    (PayPal); `sandbox` means the provider's test system. `networks` (CIDR) are the only addresses
    that may send; none means any. `scheme` describes the signature ``hmac``.
    """

    url: str = ""
    webhook_id: str = ""
    sandbox: bool = False
    networks: tuple[str, ...] = ()
    scheme: HmacScheme | None = None

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> WebhookRules:
        """The inverse of `dataclasses.asdict`; raises KeyError, TypeError or InvalidInput."""
        scheme = plain.get("scheme")
        fields = dict(plain) | {"networks": tuple(plain.get("networks", ()))}
        if scheme is not None:
            fields["scheme"] = HmacScheme(**dict(scheme) | {"signed": tuple(scheme["signed"])})
        return cls(**fields)


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise InvalidInput("source.webhook", what)
