"""The composition root of approvals."""

from __future__ import annotations

from functools import cache

from pardna.approvals.ports import Tasks, Tenants
from pardna.approvals.service import Approvals
from pardna.approvals.waits import Waits
from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now
from pardna.runtime.settings import settings


@cache
def approvals() -> Approvals:
    """Asks, decides and tells."""
    from pardna.approvals.dynamodb import DynamoApprovals

    book = DynamoApprovals(client("dynamodb"), settings().need("workflow_table"))
    return Approvals(book, _tasks(), utc_now)


@cache
def waits() -> Waits:
    """Machines that wait for the outside world."""
    from pardna.approvals.dynamodb import DynamoWaits

    return Waits(DynamoWaits(client("dynamodb"), settings().need("workflow_table")), _tasks())


def tenants() -> Tenants:
    """Every tenant, for the sweep."""
    from pardna.outbox.dynamodb import DynamoTenants

    return DynamoTenants(client("dynamodb"), settings().need("directory_table"))


@cache
def _tasks() -> Tasks:
    from pardna.approvals.stepfunctions import StepFunctionsTasks

    return StepFunctionsTasks(client("stepfunctions"))
