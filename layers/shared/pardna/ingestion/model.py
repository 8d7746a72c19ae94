"""Sources of money data, and how their bytes are named. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from pardna.formats.model import Origin
from pardna.ingestion.webhook_rules import WebhookRules
from pardna.runtime.errors import InvalidInput

CHANNELS = ("webhook", "poll", "sftp", "email", "upload")
_SOURCE_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_PROVIDER = re.compile(r"[a-z0-9_]{2,20}")
_KEY = re.compile(r"raw/([^/]+)/([0-9a-f]{64})(?:/receipts/([0-9a-f]{64}))?")


@dataclass(frozen=True, slots=True)
class SftpPlace:
    """A bank's SFTP server and its folders; `host_key` is pinned, one public key a line.

    `include` are patterns of names. A file counts as finished when two looks, `settle_seconds`
    apart, show it unchanged and, with `ready_marker` (``.ok``), the bank has put a file of that
    name with this ending beside it. What was fetched is remembered; where `archive_dir` is given it
    is moved there besides, and where `done_marker` (``.done``) is, an empty file is left beside it.
    """

    host: str
    port: int
    user: str
    host_key: str
    secret_id: str
    out_dir: str = "out"
    in_dir: str = "in"
    done_dir: str = "done"
    include: tuple[str, ...] = ("*",)
    ready_marker: str = ""
    done_marker: str = ""
    archive_dir: str = ""
    settle_seconds: int = 1


@dataclass(frozen=True, slots=True)
class MailPlace:
    """A mailbox that statements are sent to, and whom it believes.

    Without `host` the mail arrives in the object store (SES), and is not fetched. `allowed_senders`
    are addresses (``files@ncb.example``) or domains (``@ncb.example``); nobody else is believed.
    `authserv_id` names the server (RFC 8601) whose word on DKIM, SPF and DMARC counts; with it, a
    mail that did not pass is refused. `ca_certificate` (PEM) is trusted instead of the public ones.
    """

    allowed_senders: tuple[str, ...]
    host: str = ""
    port: int = 993
    user: str = ""
    secret_id: str = ""
    folder: str = "INBOX"
    processed_folder: str = "Processed"
    refused_folder: str = "Refused"
    authserv_id: str = ""
    include: tuple[str, ...] = ("*",)
    ca_certificate: str = ""


@dataclass(frozen=True, slots=True)
class SourceProfile:
    """Where a tenant's data comes from: one account at one provider, by one or more channels.

    `provider` and `account` make `Transaction.source` (a bank's file may name accounts itself).
    `format` is the family that the files are in (`formats.registry.READERS`), or empty: detected.
    `layout` is the profile (JSON, `formats.profile`) by which its CSV or fixed-width files are read;
    `layout_name` and `layout_version` say which saved one it is, where it is one.
    `signature` is the scheme of its webhooks, `webhook` what else checking them takes. A source that
    is not `enabled` is neither heard nor asked. `schedules` says when a channel is visited (an
    expression of EventBridge Scheduler); a channel without one follows the stack's schedule.
    """

    tenant_id: str
    source_id: str
    provider: str
    channels: tuple[str, ...]
    account: str = ""
    currency: str = ""
    format: str = ""
    layout: str = ""
    layout_name: str = ""
    layout_version: int = 0
    secret_id: str = ""
    signature: str = "stripe"
    holder: str = ""
    bic: str = ""
    sftp: SftpPlace | None = None
    mail: MailPlace | None = None
    webhook: WebhookRules = field(default_factory=WebhookRules)
    enabled: bool = True
    schedules: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _SOURCE_ID.fullmatch(self.source_id):
            raise InvalidInput("source.id", "1 to 40 lower-case letters, digits and hyphens")
        if not _PROVIDER.fullmatch(self.provider):
            raise InvalidInput("source.provider", "2 to 20 lower-case letters, digits, underscores")
        if not self.channels or not set(self.channels) <= set(CHANNELS):
            raise InvalidInput("source.channels", f"one or more of {', '.join(CHANNELS)}")
        if "sftp" in self.channels and self.sftp is None:
            raise InvalidInput("source.sftp", "a source of files needs its server")
        if "email" in self.channels and (self.mail is None or not self.mail.allowed_senders):
            raise InvalidInput("source.mail", "a source of mail needs senders that it believes")

    @property
    def account_number(self) -> str:
        """The account alone, of ``ncb:404385912`` as of ``404385912``."""
        return self.account.rpartition(":")[2]

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that a tenant has named, and that we go to."""
        named = (self.sftp.host if self.sftp else "", self.mail.host if self.mail else "")
        return tuple(host for host in named if host)

    def origin(self, raw_sha256: str) -> Origin:
        """Whose bytes these are, for a format's reader."""
        return Origin(self.tenant_id, self.provider, raw_sha256, self.account_number)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> SourceProfile:
        """The inverse of `to_dict`; raises InvalidInput ``source.unreadable``."""
        try:
            fields = dict(plain) | {"channels": tuple(plain["channels"])}
            if plain.get("sftp") is not None:
                place = dict(plain["sftp"])
                fields["sftp"] = SftpPlace(**place | {"include": tuple(place["include"])})
            if "webhook" in plain:
                fields["webhook"] = WebhookRules.from_dict(plain["webhook"])
            if plain.get("mail") is not None:
                box = dict(plain["mail"])
                lists = {n: tuple(box[n]) for n in ("allowed_senders", "include")}
                fields["mail"] = MailPlace(**box | lists)
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise InvalidInput("source.unreadable", f"not a source: {error}") from None


@dataclass(frozen=True, slots=True)
class Receipt:
    """How bytes were received. `name` is the file's, or the channel's word for it.

    A webhook's event id travels among the headers, as ``event-id``.
    """

    source_id: str
    channel: str
    name: str
    received_at: datetime
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def event_id(self) -> str:
        """What the provider calls the event, or empty."""
        return str(self.headers.get("event-id", "")) if self.channel == "webhook" else ""


@dataclass(frozen=True, slots=True)
class Captured:
    """Bytes that are kept: their SHA-256, and whether they were not there before."""

    raw_sha256: str
    created: bool


@dataclass(frozen=True, slots=True)
class RawKey:
    """The key of a raw object, or of a receipt: the same bytes under another name."""

    tenant_id: str
    raw_sha256: str
    receipt: str = ""

    def __str__(self) -> str:
        key = f"raw/{self.tenant_id}/{self.raw_sha256}"
        return f"{key}/receipts/{self.receipt}" if self.receipt else key

    @property
    def object(self) -> RawKey:
        """The bytes that a receipt is about."""
        return replace(self, receipt="")

    @classmethod
    def parse(cls, key: str) -> RawKey:
        """Raises InvalidInput ``raw.key`` for a key that is none of ours."""
        match = _KEY.fullmatch(key)
        if match is None:
            raise InvalidInput("raw.key", "not the key of a raw object")
        return cls(match[1], match[2], match[3] or "")


def sha256(data: bytes) -> str:
    """The name of bytes."""
    return hashlib.sha256(data).hexdigest()


def receipt_id(source_id: str, name: str) -> str:
    """Names a receipt: one for each source and file name."""
    return sha256(f"{source_id}\x1f{name}".encode())
