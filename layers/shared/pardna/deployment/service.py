"""The use case of a deployment: bring the schema up to date, and always answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pardna.deployment.model import Change
from pardna.deployment.ports import Answers, Schema
from pardna.runtime.errors import PardnaError
from pardna.runtime.observability import logger


class Deployment:
    """Handles custom resource requests. Without an answer CloudFormation would wait for an hour."""

    def __init__(self, schema: Schema, answers: Answers) -> None:
        self._schema = schema
        self._answers = answers

    def change(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Create and Update migrate, Delete does nothing: data outlives the stack's resource.

        A failure is answered as FAILED, which rolls the stack back, and not raised: Lambda would
        repeat the invocation, and CloudFormation has its answer by then.
        """
        change = Change.from_event(event)
        try:
            applied = [] if change.request_type == "Delete" else self._schema.migrate()
        except PardnaError as error:
            logger.error("Migration failed", error_code=error.code, detail=error.detail)
            return self._answer(change, failed=f"{error.code}: {error.detail}")
        except Exception as error:  # noqa: BLE001  (whatever it is, CloudFormation needs an answer)
            logger.exception("Migration failed")
            # The text of an unknown error may hold a connection string; its kind does not.
            return self._answer(change, failed=f"{type(error).__name__}; see the function's log")
        logger.info("Migration finished", applied_count=len(applied))
        return self._answer(change, {"Applied": ",".join(applied) or "nothing"})

    def _answer(
        self, change: Change, data: Mapping[str, str] | None = None, failed: str = ""
    ) -> dict[str, Any]:
        self._answers.send(change.response_url, change.answer(data, failed))
        return {"outcome": "failed" if failed else "done", **(data or {})}
