"""What lets a leg meet its counterpart within seconds: nothing on the way collects or waits."""

from __future__ import annotations

import pytest

from tests.template.reading import functions

#: The way of a transaction from the database to the match table.
WAY = [("PublishOutboxFunction", "OutboxChanged"), ("MatchOnlineFunction", "TransactionRecorded")]


@pytest.mark.parametrize(("function", "event"), WAY)
def test_no_stream_on_the_way_collects_for_longer_than_a_second(function: str, event: str) -> None:
    properties = functions()[function]["Events"][event]["Properties"]
    assert properties.get("MaximumBatchingWindowInSeconds", 0) <= 1


def test_one_record_that_cannot_be_taken_in_does_not_hold_up_the_others() -> None:
    properties = functions()["MatchOnlineFunction"]["Events"]["TransactionRecorded"]["Properties"]
    assert properties["BisectBatchOnFunctionError"] is True
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
