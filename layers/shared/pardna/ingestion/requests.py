"""What callers of the API send about sources."""

from __future__ import annotations

import base64
import binascii
import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from pardna.formats.profile import Profile
from pardna.formats.registry import READERS
from pardna.ingestion.model import MailPlace, SftpPlace, SourceProfile
from pardna.ingestion.signatures import NAMES, WITHOUT_SECRET
from pardna.ingestion.webhook_rules import (
    TOLERANCE_SECONDS,
    TOLERANCE_SECONDS_MAX,
    HmacScheme,
    WebhookRules,
)
from pardna.money.model import MoneyError, exponent
from pardna.runtime.errors import InvalidInput

if TYPE_CHECKING:
    from pardna.ingestion.profiles import SavedProfile

#: What Secrets Manager takes as a name, with room for what we add.
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,200}")
Short = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


#: As `formats.profile.Profile` has it.
ProfileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{1,60}$")]
#: The ending of a file that says something about the file beside it.
Marker = Annotated[str, StringConstraints(max_length=20, pattern=r"^(\.[A-Za-z0-9._-]+)?$")]
#: ``files@bank.example``, or ``@bank.example`` for everybody there.
Sender = Annotated[
    str,
    StringConstraints(
        to_lower=True,
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$",
    ),
]


class NewMail(_Strict):
    """A mailbox, and whom it believes; see `MailPlace`."""

    allowed_senders: tuple[Sender, ...] = Field(min_length=1, max_length=50)
    host: Short = ""
    port: int = Field(default=993, ge=1, le=65535)
    user: Short = ""
    secret_id: Short = ""
    folder: Short = "INBOX"
    processed_folder: Short = Field(default="Processed", min_length=1)
    refused_folder: Short = Field(default="Refused", min_length=1)
    authserv_id: Short = ""
    include: tuple[Short, ...] = Field(default=("*",), max_length=20)
    ca_certificate: str = Field(default="", max_length=20_000)

    @model_validator(mode="after")
    def _can_sign_in(self) -> NewMail:
        if self.host and not (self.user and self.secret_id):
            raise ValueError("a mailbox needs a user and a secret")
        if len({self.folder, self.processed_folder, self.refused_folder}) < 3:
            raise ValueError("three different folders: new, processed and refused mail")
        return self


class NewSftp(_Strict):
    """A bank's server. `host_key`: one public key a line, as ``ssh-ed25519 AAAA...``."""

    host: Short = Field(min_length=1)
    port: int = Field(default=22, ge=1, le=65535)
    user: Short = Field(min_length=1)
    host_key: str = Field(min_length=20, max_length=8_000)
    secret_id: Short = Field(min_length=1)
    out_dir: Short = "out"
    in_dir: Short = "in"
    done_dir: Short = "done"
    include: tuple[Short, ...] = Field(default=("*",), max_length=20)
    ready_marker: Marker = ""
    done_marker: Marker = ""
    archive_dir: Short = ""
    settle_seconds: int = Field(default=1, ge=0, le=60)

    @field_validator("host_key")
    @classmethod
    def _is_a_public_key(cls, text: str) -> str:
        """A pin that cannot be read is refused now, not at the first pull."""
        for line in filter(str.strip, text.splitlines()):
            kind, _, rest = line.partition(" ")
            try:
                blob = base64.b64decode(rest.split(" ")[0], validate=True)
            except (binascii.Error, ValueError):
                blob = b""
            if not kind or blob[4 : 4 + int.from_bytes(blob[:4], "big")] != kind.encode():
                raise ValueError("not a public key as known_hosts writes it")
        return text


class NewScheme(_Strict):
    """A keyed hash in a header; see `pardna.ingestion.webhook_rules.HmacScheme`."""

    header: Short
    algorithm: Literal["sha256", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Short = ""
    separator: Short = ""
    signed: tuple[Literal["id", "timestamp", "url", "body"], ...] = ("body",)
    joint: Short = ""
    timestamp_header: Short = ""
    timestamp_format: Literal["seconds", "milliseconds", "iso"] = "seconds"
    tolerance_seconds: int = Field(default=TOLERANCE_SECONDS, ge=1, le=TOLERANCE_SECONDS_MAX)
    id_header: Short = ""
    key_encoding: Literal["text", "hex", "base64"] = "text"
    key_prefix: Short = ""


class NewWebhook(_Strict):
    """What checking a source's webhooks needs besides its secret."""

    url: str = Field(default="", max_length=500, pattern=r"^(https://[\x21-\x7e]+)?$")
    webhook_id: str = Field(default="", pattern=r"^[A-Za-z0-9]{0,50}$")
    sandbox: bool = False
    networks: tuple[Short, ...] = Field(default=(), max_length=50)
    scheme: NewScheme | None = None

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)  # raises ValueError, also for bits below the mask
        return networks

    def to_rules(self) -> WebhookRules:
        """The rules; raises InvalidInput ``source.webhook``."""
        fields = self.model_dump(exclude={"scheme"})
        scheme = HmacScheme(**self.scheme.model_dump()) if self.scheme else None
        return WebhookRules(scheme=scheme, **fields)


class SavedLayout(_Strict):
    """A saved profile by its name; `version` 0 is the latest when the source is registered."""

    name: ProfileName
    version: int = Field(default=0, ge=0, le=999_999)


class NewSource(_Strict):
    """One account at one provider, by one or more channels."""

    source_id: Short
    provider: Short
    channels: tuple[Literal["webhook", "poll", "sftp", "email", "upload"], ...]
    account: Short = ""
    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$")
    format: Short = ""
    layout: Profile | None = None
    profile: SavedLayout | None = None
    secret_id: Short = ""
    signature: str = "stripe"
    webhook: NewWebhook = NewWebhook()
    holder: Short = ""
    bic: Short = ""
    sftp: NewSftp | None = None
    mail: NewMail | None = None

    def to_profile(
        self, tenant_id: str, stage: str, saved: SavedProfile | None = None
    ) -> SourceProfile:
        """The profile; raises InvalidInput, also for a secret that is not this tenant's own.

        `saved` is what `profile` names. Its text is copied: versions that come later, and other
        sources, do not touch this one.
        """
        ours = f"/pardna/{stage}/{tenant_id}/"
        named = [place.secret_id for place in (self.sftp, self.mail) if place]
        for secret_id in (self.secret_id, *named):
            if secret_id and not secret_id.startswith(ours):
                raise InvalidInput("source.secret", f"a secret's name begins with {ours}")
            if secret_id and not _SECRET_NAME.fullmatch(secret_id):
                raise InvalidInput("source.secret", "letters, digits and /_+=.@- name a secret")
        own_key = self.signature in WITHOUT_SECRET
        if not self.secret_id and (
            "poll" in self.channels or ("webhook" in self.channels and not own_key)
        ):
            raise InvalidInput("source.secret", "webhooks and polls need a secret")
        rules = self._webhook_rules()
        if self.layout is not None and self.profile is not None:
            raise InvalidInput("source.profile", "either a layout, or the name of a saved one")
        if self.format and (self.layout is not None or self.profile is not None):
            raise InvalidInput("source.format", "a layout says itself what the files are")
        if self.format and self.format not in READERS:
            raise InvalidInput("source.format", f"one of {', '.join(sorted(READERS))}")
        try:
            if self.currency:
                exponent(self.currency)
        except MoneyError:
            raise InvalidInput("source.currency", "not a currency") from None
        fields = self.model_dump(exclude={"sftp", "mail", "layout", "profile", "webhook"})
        fields["layout"] = self.layout.model_dump_json() if self.layout else ""
        if self.profile is not None:
            if saved is None:
                raise InvalidInput("source.profile", "no such profile is saved")
            fields |= {
                "layout": saved.document,
                "layout_name": saved.name,
                "layout_version": saved.version,
            }
        place = SftpPlace(**self.sftp.model_dump()) if self.sftp else None
        box = MailPlace(**self.mail.model_dump()) if self.mail else None
        return SourceProfile(tenant_id=tenant_id, sftp=place, mail=box, webhook=rules, **fields)

    def _webhook_rules(self) -> WebhookRules:
        """The rules, if the scheme has all that it needs; raises InvalidInput."""
        if self.signature not in NAMES:
            raise InvalidInput("source.signature", f"one of {', '.join(NAMES)}")
        rules = self.webhook.to_rules()
        if (self.signature == "hmac") != (rules.scheme is not None):
            raise InvalidInput("source.webhook", "a scheme is described for hmac, and only there")
        signs_url = self.signature == "square" or (rules.scheme and "url" in rules.scheme.signed)
        if signs_url and not rules.url:
            raise InvalidInput("source.webhook", "this signature covers the url: which is it?")
        if self.signature == "paypal" and "webhook" in self.channels and not rules.webhook_id:
            raise InvalidInput("source.webhook", "PayPal's signature covers the webhook's id")
        return rules
