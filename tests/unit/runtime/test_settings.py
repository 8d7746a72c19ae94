"""The environment, parsed once."""

from __future__ import annotations

import pytest

from pardna.runtime.errors import InvalidInput
from pardna.runtime.settings import parse


def test_other_variables_are_ignored_and_known_ones_typed() -> None:
    settings = parse({"PATH": "/bin", "DATABASE_PORT": "6432", "RAW_BUCKET": "raw"})
    assert (settings.database_port, settings.need("raw_bucket")) == (6432, "raw")


def test_a_wrong_value_is_named_and_not_shown() -> None:
    with pytest.raises(InvalidInput, match="DATABASE_PORT") as caught:
        parse({"DATABASE_PORT": "s3cret"})
    assert "s3cret" not in str(caught.value)


def test_a_missing_one_is_named() -> None:
    with pytest.raises(InvalidInput, match="OUTBOX_TABLE is not set"):
        parse({}).need("outbox_table")


def test_secrets_do_not_show() -> None:
    assert "hunter2" not in repr(parse({"DATABASE_URL": "postgresql://u:hunter2@h/d"}))
