"""The canonical transaction: identity, versions, and the order that must not matter."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from dataclasses import asdict, fields, replace
from functools import reduce
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.runtime.errors import InvalidInput
from pardna.transactions.merging import merge
from pardna.transactions.model import (
    Counterparty,
    Kind,
    Reference,
    Side,
    Strength,
    Transaction,
    canonical,
    from_dict,
    to_dict,
    transaction_id,
)
from tests.support.strategies import reports


@given(reports())
def test_survives_json(transaction: Transaction) -> None:
    back = from_dict(to_dict(transaction))
    assert back.content_hash == transaction.content_hash
    assert back.transaction_id == transaction.transaction_id


@given(reports(), reports(), reports())
def test_three_routes_in_six_orders_end_in_one_content(
    webhook: Transaction, poll: Transaction, report: Transaction
) -> None:
    ends = {reduce(merge, order).content_hash for order in permutations((webhook, poll, report))}
    assert len(ends) == 1


@given(reports(), reports())
def test_hearing_the_same_again_changes_nothing(first: Transaction, second: Transaction) -> None:
    known = merge(first, second)
    assert merge(known, first).content_hash == known.content_hash
    assert merge(known, second).content_hash == known.content_hash


@given(reports())
def test_provenance_is_not_content(transaction: Transaction) -> None:
    elsewhere = replace(transaction, raw_sha256="f" * 64, raw_position="line 9")
    assert elsewhere.content_hash == transaction.content_hash


def test_identity_is_tenant_source_and_object() -> None:
    one = transaction_id("kgn-one", "stripe:acct_1", "ch_1")
    assert one == transaction_id("kgn-one", "stripe:acct_1", "ch_1")
    assert UUID(one).version == 8
    others = {
        transaction_id("kgn-two", "stripe:acct_1", "ch_1"),
        transaction_id("kgn-one", "stripe:acct_2", "ch_1"),
        transaction_id("kgn-one", "stripe:acct_1", "ch_2"),
        transaction_id("kgn-one", "stripe:acct_1c", "h_1"),
    }
    assert one not in others
    assert len(others) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"external_id": "ch_2"},
        {"side": Side.BANK},
        {"kind": Kind.REFUND},
        {"currency": "USD"},
        {"tenant_id": "kgn-two"},
    ],
)
@given(transaction=reports())
def test_one_object_never_becomes_another(
    change: dict[str, object], transaction: Transaction
) -> None:
    with pytest.raises(InvalidInput, match=r"transaction\.contradiction"):
        merge(transaction, replace(transaction, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"tenant_id": "No Tenant"},
        {"source": "stripe"},
        {"external_id": ""},
        {"external_id": "a\x00b"},
        {"amount_minor": 1.0},
        {"amount_minor": 2**63},
        {"amount_minor": True},
        {"net_minor": 1, "fee_minor": 1, "gross_minor": 1},
        {"currency": "XXX"},
        {"raw_sha256": "abc"},
        {"description": "x" * 501},
        {"description": "\x00"},
        {"references": (Reference("text", "a\x00b"),)},
        {"references": (Reference("text", "half \ud800"),)},
        {"description": "half \udfff"},
        {"counterparty": Counterparty("Ann \ud83d", "")},
    ],
)
@given(transaction=reports())
def test_what_cannot_be_is_refused(change: dict[str, object], transaction: Transaction) -> None:
    with pytest.raises(InvalidInput, match=r"transaction\.invalid"):
        replace(transaction, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("broken", [{}, {"side": "moon"}, {"amount_minor": "1"}, {"extra": 1}])
@given(transaction=reports())
def test_unreadable_json_is_refused(broken: dict[str, object], transaction: Transaction) -> None:
    plain = {**to_dict(transaction), **broken} if broken else {}
    with pytest.raises(InvalidInput):
        from_dict(plain)


@given(reports())
def test_every_field_is_in_the_plain_form(transaction: Transaction) -> None:
    plain = to_dict(transaction)
    assert list(plain) == [f.name for f in fields(Transaction)]
    automatic = asdict(transaction)
    for name in ("tenant_id", "amount_minor", "gross_minor", "counterparty", "batch_id", "account"):
        assert plain[name] == automatic[name]


@given(reports(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_what_stores_take_is_what_json_makes_of_it(transaction: Transaction, text: str) -> None:
    odd = replace(
        transaction,
        description=text[:400],
        raw_position=text,
        counterparty=Counterparty(text[:20], text[:20]),
        references=(*transaction.references, Reference(text[:9], text[:99], Strength.STRONG)),
    )
    for one in (transaction, odd):
        body, digest = canonical(one)
        plain = to_dict(one)
        assert body == json.dumps(plain, ensure_ascii=False)
        del plain["raw_sha256"], plain["raw_position"]
        content = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert digest == one.content_hash == hashlib.sha256(content.encode()).hexdigest()


@given(reports())
def test_what_is_made_stays_as_it_is(transaction: Transaction) -> None:
    reference = Reference("charge", "ch_1")
    for one, name in ((transaction, "amount_minor"), (reference, "value")):
        assert type(one) in (Transaction, Reference)
        with pytest.raises(AttributeError):
            setattr(one, name, 5)
        with pytest.raises(AttributeError):
            delattr(one, name)
        assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    assert replace(transaction) == transaction
    assert hash(replace(transaction)) == hash(transaction)
