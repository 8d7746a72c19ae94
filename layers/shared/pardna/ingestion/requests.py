"""What callers of the API send about sources."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from pardna.formats.profile import Profile
from pardna.formats.registry import READERS
from pardna.ingestion.model import SftpPlace, SourceProfile
from pardna.money.model import MoneyError, exponent
from pardna.runtime.errors import InvalidInput

Short = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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


class NewSource(_Strict):
    """One account at one provider, by one or more channels."""

    source_id: Short
    provider: Short
    channels: tuple[Literal["webhook", "poll", "sftp", "email", "upload"], ...]
    account: Short = ""
    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$")
    format: Short = ""
    layout: Profile | None = None
    secret_id: Short = ""
    signature: Literal["stripe"] = "stripe"
    holder: Short = ""
    bic: Short = ""
    sftp: NewSftp | None = None

    def to_profile(self, tenant_id: str, stage: str) -> SourceProfile:
        """The profile; raises InvalidInput, also for a secret that is not this tenant's own."""
        ours = f"/pardna/{stage}/{tenant_id}/"
        for secret_id in (self.secret_id, self.sftp.secret_id if self.sftp else ""):
            if secret_id and not secret_id.startswith(ours):
                raise InvalidInput("source.secret", f"a secret's name begins with {ours}")
        if ("webhook" in self.channels or "poll" in self.channels) and not self.secret_id:
            raise InvalidInput("source.secret", "webhooks and polls need a secret")
        if self.format and self.layout is not None:
            raise InvalidInput("source.format", "a layout says itself what the files are")
        if self.format and self.format not in READERS:
            raise InvalidInput("source.format", f"one of {', '.join(sorted(READERS))}")
        try:
            if self.currency:
                exponent(self.currency)
        except MoneyError:
            raise InvalidInput("source.currency", "not a currency") from None
        fields = self.model_dump(exclude={"sftp", "layout"})
        fields["layout"] = self.layout.model_dump_json() if self.layout else ""
        place = SftpPlace(**self.sftp.model_dump()) if self.sftp else None
        return SourceProfile(tenant_id=tenant_id, sftp=place, **fields)
