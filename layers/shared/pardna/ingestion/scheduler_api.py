"""Sources' schedules in EventBridge Scheduler: one group of the stack's, one role, three targets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ingestion.schedules import Schedule
from pardna.runtime.errors import Unavailable

_RACES_MAX = 3


class SchedulerSchedules:
    """`Schedules`. `targets` are the functions by channel; what fails ends in `dead_letter_arn`."""

    def __init__(
        self,
        client: Any,
        group: str,
        role_arn: str,
        dead_letter_arn: str,
        targets: Mapping[str, str],
    ) -> None:
        self._client = client
        self._group = group
        self._role_arn = role_arn
        self._dead_letter_arn = dead_letter_arn
        self._targets = targets

    def put(self, schedule: Schedule) -> None:
        """See `Schedules`."""
        wanted = self._wanted(schedule)
        for _ in range(_RACES_MAX):
            with _answers():
                try:
                    self._client.update_schedule(**wanted)
                    return
                except self._client.exceptions.ResourceNotFoundException:
                    pass
                try:
                    self._client.create_schedule(**wanted)
                    return
                except self._client.exceptions.ConflictException:
                    continue  # made by another meanwhile: then it is there to be updated
        raise Unavailable("schedule.unavailable", "the schedule is being changed by another")

    def remove(self, schedule: Schedule) -> None:
        """See `Schedules`."""
        with _answers():
            try:
                self._client.delete_schedule(Name=schedule.name, GroupName=self._group)
            except self._client.exceptions.ResourceNotFoundException:
                return

    def _wanted(self, schedule: Schedule) -> dict[str, Any]:
        """All of it each time: an update of Scheduler's replaces everything."""
        one = {"tenant_id": schedule.tenant_id, "source_id": schedule.source_id}
        return {
            "Name": schedule.name,
            "GroupName": self._group,
            "Description": f"{schedule.channel} of {schedule.source_id} of {schedule.tenant_id}",
            "ScheduleExpression": schedule.expression,
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {
                "Mode": "FLEXIBLE",
                "MaximumWindowInMinutes": schedule.window_minutes,
            },
            "State": "ENABLED" if schedule.enabled else "DISABLED",
            "Target": {
                "Arn": self._targets[schedule.channel],
                "RoleArn": self._role_arn,
                "Input": json.dumps(one, sort_keys=True),
                "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 900},
                "DeadLetterConfig": {"Arn": self._dead_letter_arn},
            },
        }


@contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise Unavailable("schedule.unavailable", "the scheduler did not answer") from error
