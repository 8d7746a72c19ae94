"""Global assignment: best together, whatever the order."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from pardna.matching.assignment import Edge, assign

edges = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 9)),
    max_size=12,
    unique_by=lambda e: e[:2],
).map(lambda found: [Edge(*e) for e in found])


@given(edges, st.randoms())
def test_order_decides_nothing_and_no_leg_is_taken_twice(found: list[Edge], random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    for limit in (200, 0):
        chosen, _ = assign(found, limit)
        assert (chosen, _) == assign(shuffled, limit)
        assert len({c.edge.left for c in chosen}) == len({c.edge.right for c in chosen})
        assert len({c.edge.left for c in chosen}) == len(chosen)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 5)), max_size=9, unique_by=lambda e: e[:2]))  # fmt: skip
def test_small_components_are_solved_exactly(raw: list[tuple[int, int, int]]) -> None:
    found = [Edge(*e) for e in raw]
    costs = {(e.left, e.right): e.cost for e in found}
    best = (0, 0)
    for rights in permutations([0, 1, 2, None, None, None], 3):
        pairs = [(left, right) for left, right in enumerate(rights) if (left, right) in costs]
        best = max(best, (len(pairs), -sum(costs[p] for p in pairs)))
    chosen, large = assign(found, 200)
    assert (len(chosen), -sum(c.edge.cost for c in chosen)) == best
    assert large == 0


def test_first_fit_would_be_wrong() -> None:
    """0 could take either, 1 only the first: both are served."""
    chosen, _ = assign([Edge(0, 0, 0), Edge(0, 1, 5), Edge(1, 0, 1)], 200)
    assert [(c.edge.left, c.edge.right) for c in chosen] == [(0, 1), (1, 0)]


def test_a_tie_with_a_free_leg_is_contested_and_one_between_served_legs_is_not() -> None:
    [only] = assign([Edge(0, 0, 3), Edge(0, 1, 3)], 200)[0]
    assert only.contested
    assert only.edge == Edge(0, 0, 3)
    square = [Edge(left, right, 3) for left in (0, 1) for right in (0, 1)]
    chosen, _ = assign(square, 200)
    assert [c.contested for c in chosen] == [False, False]
    assert [c.runner_up_cost for c in chosen] == [3, 3]
