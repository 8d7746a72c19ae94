"""What was counted, read where Powertools keeps it until a handler ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient

from pardna.runtime.observability import metrics


def forget_counts() -> None:
    """Start from nothing: counts of earlier tests lie in the same place."""
    metrics.clear_metrics()


def counted(name: str) -> float:
    """How much was counted under a name since `forget_counts`."""
    return sum(metrics.metric_set.get(name, {}).get("Value", []))


@contextmanager
def counted_calls(service: str) -> Iterator[list[str]]:
    """The operations that anybody asks of an AWS service meanwhile."""
    calls: list[str] = []
    real = BaseClient._make_api_call  # type: ignore[attr-defined]

    def counted_call(self: Any, operation_name: str, parameters: dict[str, Any]) -> Any:
        if self.meta.service_model.service_name == service:
            calls.append(operation_name)
        return real(self, operation_name, parameters)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", counted_call)
        yield calls
