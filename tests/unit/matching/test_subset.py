"""Subset search against trying everything."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from pardna.matching.subset import Found, search

amounts = st.lists(st.integers(-6, 12), max_size=9)


@given(amounts, st.integers(-10, 40))
def test_it_says_what_trying_everything_says(values: list[int], total: int) -> None:
    every = [
        c
        for size in range(2, len(values) + 1)
        for c in combinations(range(len(values)), size)
        if sum(values[i] for i in c) == total
    ]
    answer = search(values, total)
    expected = [Found.EXHAUSTED, Found.UNIQUE, Found.AMBIGUOUS][min(len(every), 2)]
    assert answer.found is expected
    assert list(answer.positions) == (list(every[0]) if len(every) == 1 else [])


def test_its_bounds_are_told() -> None:
    assert search([1] * 25, 3).found is Found.BOUND_HIT
    assert search([3, 5, 7, 11, 13], 18, steps_max=3).found is Found.BOUND_HIT
