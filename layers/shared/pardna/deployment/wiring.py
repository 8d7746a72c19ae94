"""The composition root of deployment."""

from __future__ import annotations

from functools import cache

from pardna.deployment.service import Deployment
from pardna.runtime.settings import settings


@cache
def deployment() -> Deployment:
    """Handles CloudFormation's requests to migrate."""
    from pardna.deployment.cloudformation import SignedUrlAnswers
    from pardna.deployment.postgres import from_settings

    return Deployment(from_settings(settings()), SignedUrlAnswers())
