"""Whatever stands in a request for a circle, the answer is a refusal or a circle: never our failure."""

from __future__ import annotations

import json

from functions.circles import create_circle
from tests.integration.circles.test_handlers import called, town
from tests.support.deployed import sample
from tests.support.odd import bodies

__all__ = ["town"]


def test_no_value_anywhere_is_a_failure_of_ours(town: None) -> None:
    event = sample("circles", "create_circle.five_members")
    failed = []
    for number, (said, body) in enumerate(bodies(json.loads(event["body"]))):
        if isinstance(body, dict) and "('reference',)" not in said:
            body |= {"reference": f"odd-{number}"}
        status, _ = called(create_circle, event | {"body": json.dumps(body)})
        if status >= 500:
            failed.append(said)
    assert failed == []
