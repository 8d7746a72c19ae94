"""What callers of the API send about uploads."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pardna.ingestion.upload_model import UPLOAD_BYTES_MAX


class NewUpload(BaseModel):
    """A file that will be sent: its name as the sender knows it, and its exact size in bytes.

    `sha256`, if given, is compared with what arrives.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[
        str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f/\\\x7f]+$")
    ]
    size: int = Field(ge=1, le=UPLOAD_BYTES_MAX, strict=True)
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
