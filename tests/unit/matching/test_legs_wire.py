"""What the database renders of a million legs is what `items` says of one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from io import BytesIO
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pardna.matching.dynamodb_wire import attributes_text
from pardna.matching.items import leg_attributes, member_attributes
from pardna.matching.lake_legs import S3LakeLegs
from pardna.matching.legs_file import from_bytes, to_bytes
from pardna.matching.legs_wire import FileTexts
from pardna.matching.model import IDENTITIES, Leg, Pair, identities, legs_of
from pardna.matching.ports import LakePart
from pardna.matching.s3 import S3RunFiles
from pardna.transactions.lake import part_key
from pardna.transactions.model import (
    Counterparty,
    Kind,
    Reference,
    Side,
    Strength,
    Transaction,
    to_dict,
)
from pardna.transactions.parquet import to_parquet
from tests.support.matching import TENANT, a_match

words = st.text(st.sampled_from("aB0é漢\U0001f600 \"\\/\t\n\r\x01\x7f'{}[],:#%"), max_size=12)
names = st.text(st.sampled_from("aB0-_"), min_size=1, max_size=8)
amounts = st.integers(-(2**53), 2**53)
maybe = st.none() | amounts
types = sorted({t for known in IDENTITIES.values() for t in known} | {"rail", "payout", "text"})
references = st.lists(
    st.builds(
        Reference, st.sampled_from(types), st.sampled_from(["card", "bank"]) | words,
        st.sampled_from(Strength),
    ),
    max_size=4,
)  # fmt: skip
instants = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def transactions(draw: st.DrawFn) -> list[Transaction]:
    """Transactions with ids of their own, of all sides and kinds."""
    made = []
    for number in range(draw(st.integers(1, 12))):
        gross, fee = draw(maybe), draw(maybe)
        net = None if gross is None or fee is None else gross - fee
        made.append(
            Transaction(
                tenant_id=TENANT, source="any:1", external_id=f"{draw(names)}{number}",
                side=draw(st.sampled_from(Side)), kind=draw(st.sampled_from(Kind)),
                amount_minor=draw(amounts), currency="JMD", occurred_at=draw(instants),
                raw_sha256="a" * 64, raw_position="1", value_date=draw(st.none() | st.dates(date(2000, 1, 1), date(2040, 1, 1))),
                account=draw(words), gross_minor=gross, fee_minor=fee, net_minor=net,
                counterparty=Counterparty(draw(words), draw(words)), description=draw(words),
                references=tuple(draw(references)), batch_id=draw(st.just("") | words),
            )
        )  # fmt: skip
    return made


class Bucket:
    """As much of S3 as reading a part takes; moto would take longer than all else."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        assert Bucket == "lake"
        return {"Body": BytesIO(self._objects[Key])}


def read(text: str) -> dict[str, Any]:
    """Rendered attributes as DynamoDB reads them."""
    found = json.loads("{" + text + "}")
    assert isinstance(found, dict)
    return found


def check_texts(legs: list[Leg], body: bytes) -> None:
    """Items, members and identities of a file's legs, against those of the legs themselves."""
    with FileTexts(body) as file:
        texts = file.of(x.transaction_id for x in legs)
        found = {
            (one.pair, one.transaction_id): one
            for pair in Pair
            for one in file.identified(pair, [x.transaction_id for x in legs])
        }
    assert len(texts) == len(legs)
    for leg in legs:
        item, member = texts[leg.pair.value, leg.transaction_id]
        assert read(item) == read(attributes_text(leg_attributes(leg)))
        said = member_attributes(a_match(leg), leg)
        del said["kind"], said["match_id"]
        assert read(member) == read(attributes_text(said))
        known = found.pop((leg.pair, leg.transaction_id), None)
        assert sorted(known.references if known else ()) == sorted(
            (r.type, r.value) for r in identities(leg)
        )
        assert known is None or (known.text, known.told_by) == (item, leg.side.value)
    assert not found


@settings(max_examples=15, deadline=None)
@given(transactions())
def test_rows_of_the_lake_become_the_legs_that_their_transactions_have(
    some: list[Transaction],
) -> None:
    key = part_key(TENANT, "a" * 64, 1)
    bucket = Bucket({key: to_parquet((t.transaction_id, 3, json.dumps(to_dict(t))) for t in some)})
    lake = S3LakeLegs(bucket, "lake", S3RunFiles(bucket, "lake"))
    part = LakePart(key, "a" * 64)
    everything = lake.file([part])
    of_pairs = {pair: from_bytes(lake.file([part], pair, "JMD")) for pair in Pair}
    assert not from_bytes(lake.file([part], Pair.PSP_BANK, "USD")).legs
    expected = sorted(
        (x for t in some for x in legs_of(t, 3)), key=lambda x: (x.transaction_id, x.pair)
    )
    filed = from_bytes(everything)
    assert list(filed.legs) == expected
    assert filed.lake == {x.transaction_id for x in expected}
    for pair, of_pair in of_pairs.items():
        assert list(of_pair.legs) == [x for x in expected if x.pair is pair]
    check_texts(expected, everything)


@settings(max_examples=10, deadline=None)
@given(transactions(), st.integers(-12, 12))
def test_legs_that_the_stream_brought_are_written_alike(
    some: list[Transaction], hours: int
) -> None:
    """Their instants bear the zone in which the provider told them."""
    zone = timezone(timedelta(hours=hours))
    made = [x for t in some for x in legs_of(t, 1)]
    made = [replace(x, occurred_at=x.occurred_at.astimezone(zone)) for x in made]
    body = to_bytes(made, frozenset())
    filed = from_bytes(body)
    assert list(filed.legs) == sorted(made, key=lambda x: (x.transaction_id, x.pair))
    assert not filed.lake
    check_texts(made, body)
