"""The simulated settlement source: pages, filters, expansion, rate limit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.psp.listing import BadParameter, expand, page, take_expansions
from local.psp.throttle import Throttle

ITEMS = [{"id": f"txn_{n}", "created": 100 - n, "currency": "jmd"} for n in range(23)]
FILTERS = frozenset({"created", "currency"})


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=100))
def test_pages_forward_cover_everything_once_in_order(limit: int) -> None:
    seen: list[str] = []
    query = {"limit": str(limit)}
    while True:
        answer = page(ITEMS, "/v1/x", dict(query), FILTERS)
        seen += [one["id"] for one in answer["data"]]
        if not answer["has_more"]:
            break
        query["starting_after"] = seen[-1]

    assert seen == [one["id"] for one in ITEMS]


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=100))
def test_pages_backward_cover_the_same_in_the_same_order(limit: int) -> None:
    seen = [ITEMS[-1]["id"]]
    while True:
        query = {"limit": str(limit), "ending_before": seen[0]}
        answer = page(ITEMS, "/v1/x", query, FILTERS)
        seen = [one["id"] for one in answer["data"]] + seen
        if not answer["has_more"]:
            break

    assert seen == [one["id"] for one in ITEMS]


def test_ranges_narrow_by_time() -> None:
    query = {"created[gte]": "90", "created[lt]": "95", "limit": "100"}

    answer = page(ITEMS, "/v1/x", query, FILTERS)

    assert [one["created"] for one in answer["data"]] == [94, 93, 92, 91, 90]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"starting_after": "txn_x"}, "starting_after"),
        ({"starting_after": "txn_1", "ending_before": "txn_2"}, "ending_before"),
        ({"colour": "red"}, "colour"),
        ({"created[gte]": "soon"}, "created[gte]"),
        ({"created[near]": "1"}, "created[near]"),
    ],
)
def test_a_bad_parameter_is_named(query: dict[str, str], param: str) -> None:
    with pytest.raises(BadParameter) as refused:
        page(ITEMS, "/v1/x", query, FILTERS)

    assert refused.value.param == param


def test_expansion_replaces_ids_along_the_path_and_leaves_the_original() -> None:
    listed = {"data": [{"source": "ch_1"}, {"source": None}]}

    expanded = expand(listed, "data.source", {"ch_1": {"id": "ch_1"}}.get)

    assert expanded == {"data": [{"source": {"id": "ch_1"}}, {"source": None}]}
    assert listed["data"][0]["source"] == "ch_1"


@pytest.mark.parametrize("path", ["data.colour", "a.b.c.d.e"])
def test_a_path_that_cannot_be_expanded_is_refused(path: str) -> None:
    with pytest.raises(BadParameter):
        expand({"data": [{"source": "ch_1"}]}, path, {}.get)


def test_both_spellings_of_expand_are_understood() -> None:
    plain, paths = take_expansions([("expand[]", "a"), ("expand[0]", "b"), ("limit", "3")])

    assert (plain, paths) == ({"limit": "3"}, ["a", "b"])


def test_the_rate_limit_lets_a_burst_pass_and_refills_with_time() -> None:
    now = [0]
    throttle = Throttle(2, lambda: now[0])

    assert [throttle.admit() for _ in range(3)] == [True, True, False]
    now[0] += 499_999_999
    assert not throttle.admit()
    now[0] += 1
    assert [throttle.admit() for _ in range(2)] == [True, False]
