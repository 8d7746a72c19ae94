"""What was counted, read where Powertools keeps it until a handler ends."""

from __future__ import annotations

from pardna.runtime.observability import metrics


def forget_counts() -> None:
    """Start from nothing: counts of earlier tests lie in the same place."""
    metrics.clear_metrics()


def counted(name: str) -> float:
    """How much was counted under a name since `forget_counts`."""
    return sum(metrics.metric_set.get(name, {}).get("Value", []))
