"""Waits: exactly one resume, in every order, however often, whoever is killed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.approvals.waits import Waits
from pardna.runtime.errors import InvalidInput, Unavailable
from tests.fakes.approvals import MemoryTasks, MemoryWaits
from tests.fakes.payments import Killed

OUTCOME = {"outcome": "accepted"}
steps = st.lists(
    st.tuples(st.sampled_from(["register", "signal"]), st.sampled_from(["", "before", "after"])),
    max_size=8,
)


@given(steps, st.permutations(["register", "signal"]))
def test_one_resume_whatever_happens(story: list[tuple[str, str]], ending: list[str]) -> None:
    """Any story of calls that may be killed, then each caller repeats until it succeeds."""
    tasks = MemoryTasks()
    waits = Waits(MemoryWaits(), tasks)
    for call, death in [*story, *((call, "") for call in ending)]:
        tasks.fail = Killed() if death == "before" else None
        tasks.die = Killed() if death == "after" else None
        try:
            if call == "register":
                waits.register("harbour", "payment:A", "t1")
            else:
                waits.signal("harbour", "payment:A", OUTCOME)
        except Killed:
            pass
    assert tasks.answers == {"t1": OUTCOME}


def test_many_at_once_resume_once() -> None:
    tasks = MemoryTasks()
    waits = Waits(MemoryWaits(), tasks)

    def call(number: int) -> None:
        if number % 2:
            waits.signal("harbour", "payment:A", OUTCOME)
        else:
            waits.register("harbour", "payment:A", "t1")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(16)))
    assert tasks.answers == {"t1": OUTCOME}


def test_a_machine_that_registers_anew_is_told_too() -> None:
    tasks = MemoryTasks()
    waits = Waits(MemoryWaits(), tasks)
    waits.register("harbour", "payment:A", "t1")
    waits.signal("harbour", "payment:A", OUTCOME)
    assert waits.register("harbour", "payment:A", "t2") is True
    assert set(tasks.answers) == {"t1", "t2"}


def test_a_service_that_is_down_is_asked_again_by_the_caller() -> None:
    tasks = MemoryTasks()
    waits = Waits(MemoryWaits(), tasks)
    waits.register("harbour", "payment:A", "t1")
    tasks.fail = Unavailable("task.unavailable", "no answer")
    with pytest.raises(Unavailable):
        waits.signal("harbour", "payment:A", OUTCOME)
    waits.signal("harbour", "payment:A", OUTCOME)
    assert tasks.answers == {"t1": OUTCOME}


def test_a_wait_needs_a_token() -> None:
    with pytest.raises(InvalidInput):
        Waits(MemoryWaits(), MemoryTasks()).register("harbour", "payment:A", "")
