"""What people who look after sources send."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

Expression = Annotated[str, StringConstraints(max_length=200, pattern=r"^[\x20-\x7e]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceChange(_Strict):
    """Switches of a source; what is left out stays as it is. `schedules` replaces all of them."""

    enabled: bool | None = None
    schedules: dict[Literal["poll", "sftp", "email"], Expression] | None = None


class NewSecret(_Strict):
    """A webhook secret as the provider shows it, and how long the one before is valid too; or, for
    another channel, what we sign in with: an API key, a password, a private key as PEM."""

    secret: SecretStr = Field(min_length=1, max_length=16_000)
    channel: Literal["webhook", "poll", "sftp", "email"] = "webhook"
    previous_valid_seconds: int = Field(default=86_400, ge=0, le=30 * 86_400)

    @model_validator(mode="after")
    def _fits_its_channel(self) -> NewSecret:
        if self.channel == "webhook":
            if not 8 <= len(self.secret) <= 1_000:
                raise ValueError("a webhook's secret has 8 to 1000 characters")
        elif "previous_valid_seconds" in self.model_fields_set:
            raise ValueError("how long the one before is valid is for the other side to say")
        return self


class NewReplay(_Strict):
    """One delivery by its bytes' hash, or all that were received in a window of time."""

    raw_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    received_from: AwareDatetime | None = None
    received_until: AwareDatetime | None = None
    cursor: str = Field(default="", max_length=2_000)

    @model_validator(mode="after")
    def _one_or_window(self) -> NewReplay:
        window = self.received_from is not None and self.received_until is not None
        half = (self.received_from is None) != (self.received_until is None)
        if half or window == bool(self.raw_sha256) or (self.cursor and not window):
            raise ValueError("either raw_sha256, or received_from and received_until")
        return self
