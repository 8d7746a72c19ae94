"""boto3 clients, made once per process: a first call costs, a second is free."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from pardna.runtime.settings import settings


@cache
def client(service: str) -> Any:
    """The client of an AWS service, e.g. ``client("s3")``.

    Timeouts stay below a function's own, so that a slow dependency is an error that is handled
    and not a function that is cut off. S3 signs links with version 4.
    """
    import boto3  # heavy: only in processes that call AWS
    from botocore.config import Config

    s3: dict[str, Any] = {"signature_version": "s3v4", "s3": {"addressing_style": "path"}}
    config = Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": 4},
        **(s3 if service == "s3" else {}),
    )
    return cast(Any, boto3.client)(service, region_name=settings().aws_region, config=config)
