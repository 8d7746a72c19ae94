"""What every handler is wrapped in."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from pardna.runtime.errors import Conflict
from pardna.runtime.limits import LimitExceeded
from pardna.runtime.observability import observed

CONTEXT = SimpleNamespace(
    aws_request_id="r1", function_name="f", memory_limit_in_mb=128, invoked_function_arn="arn"
)


def test_a_result_that_no_state_could_carry_is_refused_here() -> None:
    handler = observed(lambda event, context: "x" * 300_000)
    with pytest.raises(LimitExceeded):
        handler({}, CONTEXT)
    assert handler({"httpMethod": "GET"}, CONTEXT)


def test_expected_errors_are_logged_once_with_their_code_and_go_on_upwards(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(event: dict[str, object], context: object) -> None:
        raise Conflict("payout.already_paid", "It was paid.")

    with pytest.raises(Conflict):
        observed(refuse)({"correlation_id": "c7"}, CONTEXT)
    assert [r.levelname for r in caplog.records] == ["INFO", "INFO"]
    assert caplog.records[0].__dict__["error_code"] == "payout.already_paid"
    assert "It was paid." not in str(caplog.records[0].__dict__), "a detail may quote a file"
    metric = json.loads(capsys.readouterr().out)
    assert metric["Refused"] == [1.0]


def test_unknown_errors_are_logged_once_with_their_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(event: dict[str, object], context: object) -> None:
        raise RuntimeError("out of order")

    with pytest.raises(RuntimeError):
        observed(fail)({}, CONTEXT)
    assert [r.levelname for r in caplog.records] == ["ERROR", "INFO"]
    assert caplog.records[0].exc_info is not None
