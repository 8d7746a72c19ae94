"""What every departures table does: the fake and DynamoDB alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from pardna.outbox.dynamodb import DynamoDepartures, DynamoTenants
from pardna.outbox.ports import Departures
from pardna.runtime.errors import Unavailable
from tests.fakes.outbox import MemoryDepartures
from tests.support.outbox import an_envelope, make_directory_table, make_outbox_table

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


@pytest.fixture(params=["memory", "dynamodb"])
def departures(request: pytest.FixtureRequest) -> Iterator[Departures]:
    if request.param == "memory":
        yield MemoryDepartures(lambda: NOON)
        return
    with mock_aws():
        client = boto3.client("dynamodb")
        yield DynamoDepartures(client, make_outbox_table(client), lambda: NOON)


def test_an_event_departs_once(departures: Departures) -> None:
    events = [an_envelope(f"s-{i}") for i in range(40)]
    assert departures.depart(events) == 40
    assert departures.depart([*events, an_envelope("new")]) == 1
    assert departures.depart([]) == 0


def test_what_departed_waits_until_it_is_published(departures: Departures) -> None:
    events = [an_envelope("s-1"), an_envelope("s-2")]
    departures.depart(events)
    assert departures.waiting(NOON, 10) == []
    assert {e.subject for e in departures.waiting(LATER, 10)} == {"s-1", "s-2"}
    assert len(departures.waiting(LATER, 1)) == 1

    departures.mark_published([events[0]])
    departures.mark_published([events[0]])
    assert departures.waiting(LATER, 10) == [events[1]]


def test_a_published_event_that_departs_again_is_not_published_again(
    departures: Departures,
) -> None:
    departures.depart([an_envelope()])
    departures.mark_published([an_envelope()])
    assert departures.depart([an_envelope()]) == 0
    assert departures.waiting(LATER, 10) == []


def test_a_published_event_expires() -> None:
    with mock_aws():
        client = boto3.client("dynamodb")
        table = make_outbox_table(client)
        departures = DynamoDepartures(client, table, lambda: NOON)
        departures.depart([an_envelope()])
        departures.mark_published([an_envelope()])
        (item,) = client.scan(TableName=table)["Items"]
    assert int(item["expires_at"]["N"]) == int(NOON.timestamp()) + 7 * 86_400
    assert "unsent_pk" not in item


def test_a_table_that_is_not_there_is_unavailable() -> None:
    with mock_aws():
        departures = DynamoDepartures(boto3.client("dynamodb"), "nothing", lambda: NOON)
        with pytest.raises(Unavailable):
            departures.depart([an_envelope("a"), an_envelope("b")])


def test_tenants_are_listed_and_nothing_else() -> None:
    with mock_aws():
        client = boto3.client("dynamodb")
        table = make_directory_table(client)
        for pk, sk, tenant in [
            ("TENANT#kgn-one", "HEAD", "kgn-one"),
            ("TENANT#kgn-one", "SOURCE#ncb", "kgn-one"),
            ("TENANT#kgn-two", "HEAD", "kgn-two"),
            ("PRINCIPAL#p", "TENANT#kgn-one", "kgn-one"),
        ]:
            item = {"pk": {"S": pk}, "sk": {"S": sk}, "tenant_id": {"S": tenant}}
            client.put_item(TableName=table, Item=item)
        assert sorted(DynamoTenants(client, table).tenant_ids()) == ["kgn-one", "kgn-two"]
