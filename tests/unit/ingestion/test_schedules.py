"""When sources are visited."""

from __future__ import annotations

import re

import pytest

from pardna.ingestion.schedules import Schedule, interval_minutes, of
from pardna.runtime.errors import InvalidInput
from tests.support.ingestion import a_bank_source, a_stripe_source


@pytest.mark.parametrize(
    ("expression", "minutes"),
    [
        ("rate(5 minutes)", 5),
        ("rate(1 hour)", 60),
        ("rate(2 days)", 2_880),
        ("cron(0 6 * * ? *)", 60),
        ("cron(0,20 * * * ? *)", 20),
        ("cron(0,55 * * * ? *)", 5),
        ("cron(*/15 8-18 ? * MON-FRI *)", 15),
        ("cron(5/20 0 1 * ? 2026)", 20),
    ],
)
def test_what_may_be_asked_for(expression: str, minutes: int) -> None:
    assert interval_minutes(expression) == minutes


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "rate(4 minutes)",
        "rate(0 hours)",
        "rate(1 hours)",
        "rate(5 minute)",
        "rate(5 seconds)",
        "rate(-5 minutes)",
        "rate(٥ minutes)",
        "at(2026-01-01T00:00:00)",
        "cron(* * * * ? *)",
        "cron(*/2 * * * ? *)",
        "cron(0-59 * * * ? *)",
        "cron(0,58,59 * * * ? *)",
        "cron(60 * * * ? *)",
        "cron(*/0 * * * ? *)",
        "cron(0 6 * * *)",
        "cron(0 6 * * * *)",
        "cron(0 6 ? * ? *)",
        "cron(0 6 * * ? *) ",
        "cron(0 6 * * ? *);x",
        "cron(0 $(id) * * ? *)",
    ],
)
def test_what_may_not(expression: str) -> None:
    with pytest.raises(InvalidInput, match=r"source\.schedule"):
        interval_minutes(expression)


def test_a_channel_that_nobody_visits_has_no_schedule() -> None:
    for profile, channel in (
        (a_stripe_source(), "webhook"),
        (a_stripe_source(), "sftp"),
        (a_bank_source(), "poll"),
        (a_bank_source(), "pigeon"),
    ):
        with pytest.raises(InvalidInput):
            of(profile, {channel: "rate(1 hour)"}, enabled=True)


def test_names_are_short_and_different() -> None:
    names = {
        Schedule(tenant, source, channel, "").name
        for tenant in ("t" * 40, "t" * 39 + "u", "a")
        for source in ("s" * 40, "s" * 39 + "r", "a.b"[:1])
        for channel in ("poll", "sftp", "email")
    }
    assert len(names) == 27
    assert all(re.fullmatch(r"[0-9a-zA-Z._-]{1,64}", name) for name in names)


def test_a_visit_may_be_late_by_half_its_interval_at_most() -> None:
    windows = {e: Schedule("t", "s", "poll", e).window_minutes for e in ("rate(5 minutes)", "rate(1 day)")}  # fmt: skip
    assert windows == {"rate(5 minutes)": 2, "rate(1 day)": 15}
