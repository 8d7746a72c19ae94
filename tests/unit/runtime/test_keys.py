"""DynamoDB keys: no tenant reaches another's, no two things share one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.runtime import keys

names = st.text(min_size=1, max_size=40)


@given(names, names, names, names)
def test_different_parts_make_different_keys(a: str, b: str, c: str, d: str) -> None:
    if (a, b) != (c, d):
        assert keys.leg("kgn-one", a, b) != keys.leg("kgn-one", c, d)
        assert keys.leg(a, "p", b) != keys.leg(c, "p", d)


@given(st.text(min_size=1, max_size=3000))
def test_keys_stay_far_below_the_limit(value: str) -> None:
    pk, sk = keys.reference("kgn-one", "internal~psp", "JMD", "charge", value, "psp", value)
    assert len(pk.encode()) < 2048
    assert len(sk.encode()) < 1024


def test_a_key_needs_a_tenant() -> None:
    with pytest.raises(ValueError, match="tenant"):
        keys.match("", "m1")


def test_open_legs_spread_over_all_write_shards() -> None:
    shards = {keys.open_leg_index("kgn-one", "p", "JMD", f"t{n}") for n in range(1000)}
    assert len(shards) == keys.WRITE_SHARDS
