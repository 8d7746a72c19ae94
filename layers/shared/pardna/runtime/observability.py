"""Logs, metrics and traces, the same for every function.

Log lines are fixed sentences with keys. Agreed keys: ``tenant_id, correlation_id, source_id,
transaction_id, circle_id, round_id, payout_id, run_id, match_id, approval_id, execution_arn,
error_code`` and counts that end in ``_count``. Amounts are minor units. Never payloads, tokens,
names or identity numbers.
"""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

from pardna.runtime import limits
from pardna.runtime.errors import PardnaError
from pardna.runtime.log_format import DiscreetFormatter
from pardna.runtime.settings import settings

P = ParamSpec("P")
R = TypeVar("R")

SERVICE = "pardna"
NAMESPACE = "Pardna"

logger = Logger(service=SERVICE, logger_formatter=DiscreetFormatter())
tracer = Tracer(service=SERVICE, auto_patch=False)
metrics = Metrics(service=SERVICE, namespace=NAMESPACE)
# Most invocations count nothing, and that is nothing to remark on.
warnings.filterwarnings("ignore", message="No application metrics to publish")

# The tracer prints a traceback for every exception that passes it, the expected ones too.
logging.getLogger("aws_lambda_powertools.tracing.tracer").setLevel(logging.CRITICAL)


def count(name: str, value: int = 1) -> None:
    """Count something that matters to the business, e.g. ``WebhookRefused``."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def observed(
    handler: Callable[[dict[str, Any], Any], R],
) -> Callable[[dict[str, Any], Any], R]:
    """Wrap a Lambda handler: correlation id, trace segment, metrics flushed, errors logged once.

    Expected errors (`PardnaError`) log at INFO with their code, unknown ones once with their
    traceback; both go on upwards, so that queues retry and machines catch. The response is
    measured against AWS's limits outside production.
    """

    @functools.wraps(handler)
    def wrapper(event: dict[str, Any], context: Any) -> R:
        stage = settings().pardna_stage
        if stage != "production":
            limits.install()
        logger.set_correlation_id(correlation_id(event, context))
        # All functions share one log group: without a name nobody could tell them apart.
        logger.append_keys(
            function_name=getattr(context, "function_name", "") or handler.__module__
        )
        try:
            response = handler(event, context)
        except PardnaError as error:
            logger.info("Function refused", error_code=error.code)
            count("Refused")
            raise
        except Exception:
            logger.exception("Function failed")
            raise
        finally:
            logger.info("Function finished")
            logger.clear_state()
        if stage != "production":
            # What is not an HTTP response may become a state's output, whose limit is far lower.
            (limits.check_response if "httpMethod" in event else limits.check_state)(response)
        return response

    traced = tracer.capture_lambda_handler(wrapper, capture_response=False)
    return metrics.log_metrics(traced, raise_on_empty_metrics=False)


def correlation_id(event: Mapping[str, Any], context: Any) -> str:
    """The id that follows one cause through all parts: given, else API Gateway's, else Lambda's."""
    headers = event.get("headers") or {}
    given = next((str(v) for k, v in headers.items() if k.lower() == "x-correlation-id"), "")
    if given and len(given) <= 64 and given.isprintable() and given.isascii():
        return given
    from_event = event.get("correlation_id") or (event.get("requestContext") or {}).get("requestId")
    return str(from_event or getattr(context, "aws_request_id", "") or "none")
