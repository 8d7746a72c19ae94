"""What stands in the log of a failure: where and of what kind, and nobody's data."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from pydantic import BaseModel

from pardna.runtime.observability import logger
from tests.support.postgres import TestDatabase

SECRET = "Marcia Brown, 404385912"


def logged(fail: Callable[[], object]) -> dict[str, Any]:
    """The line that an unexpected failure leaves."""
    try:
        fail()
    except Exception:  # noqa: BLE001  (whatever it is)
        found = sys.exc_info()
    record = logging.LogRecord("pardna", logging.ERROR, __file__, 1, "Request failed", (), found)
    line: dict[str, Any] = json.loads(logger.registered_formatter.format(record))
    return line


class Person(BaseModel):
    """Somebody with a number."""

    number: int


def wrapped() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise RuntimeError("a step failed") from error


@pytest.mark.parametrize(
    "fail",
    [
        lambda: int(SECRET),
        lambda: Person.model_validate({"number": SECRET}),
        lambda: SECRET.encode().decode("utf-16"),
        lambda: json.loads(SECRET),
        wrapped,
    ],
)
def test_what_could_not_be_read_is_not_repeated(fail: Callable[[], object]) -> None:
    line = logged(fail)
    assert "Marcia" not in json.dumps(line)
    assert "404385912" not in json.dumps(line)
    assert "test_log_format.py" in line["exception"], "but where it happened is"
    assert (line["message"], line["level"], line["service"]) == (
        "Request failed",
        "ERROR",
        "pardna",
    )


def test_what_led_to_a_failure_is_told_before_it() -> None:
    told = logged(wrapped)["exception"]
    assert told.index("ValueError") < told.index("RuntimeError: a step failed")


def test_a_row_that_the_database_refuses_is_not_in_the_log(database: TestDatabase) -> None:
    def refused() -> None:
        with psycopg.connect(database.superuser_conninfo) as connection:
            connection.execute("CREATE TEMP TABLE people (name text, age int CHECK (age > 0))")
            connection.execute("INSERT INTO people VALUES (%s, -1)", (SECRET,))

    with pytest.raises(psycopg.errors.CheckViolation, match="Marcia"):
        refused()
    line = logged(refused)
    assert "Marcia" not in json.dumps(line)
    assert "SQLSTATE 23514 people people_age_check" in line["exception"]
