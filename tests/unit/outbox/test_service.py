"""Draining, publishing and sweeping, with a fault at each numbered write boundary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pardna.outbox.dynamodb import envelopes_of
from pardna.outbox.service import Publisher, Relay
from pardna.runtime.errors import Unavailable
from tests.fakes.outbox import CollectingPort, FixedTenants, MemoryDepartures, MemoryUnsentEvents
from tests.support.outbox import an_envelope

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
EVENTS = [an_envelope(f"s-{i}") for i in range(450)]


def test_everything_leaves_once_whatever_its_number() -> None:
    departures = MemoryDepartures(lambda: NOON)
    relay = Relay(MemoryUnsentEvents({"kgn-one": EVENTS}), departures, FixedTenants("kgn-one"))
    assert (relay.relay(), relay.relay()) == (450, 0)
    assert len(departures.items) == 450


def test_a_bounded_drain_leaves_the_rest_for_the_next() -> None:
    departures = MemoryDepartures(lambda: NOON)
    relay = Relay(MemoryUnsentEvents({"kgn-one": EVENTS}), departures, FixedTenants("kgn-one"))
    assert relay.drain("kgn-one", 200) == 200
    assert relay.drain("kgn-one", 201) == 250
    assert relay.drain("kgn-one", 0) == 0


def test_killed_before_and_after_the_put_a_second_run_completes_it() -> None:
    events = MemoryUnsentEvents({"kgn-one": EVENTS[:3]})
    departures = MemoryDepartures(lambda: NOON)
    relay = Relay(events, departures, FixedTenants("kgn-one"))
    departures.fail_next = 1  # boundary 1
    with pytest.raises(Unavailable):
        relay.drain("kgn-one")
    events.fail_marks = 1  # boundary 2
    with pytest.raises(Unavailable):
        relay.drain("kgn-one")
    assert relay.drain("kgn-one") == 3
    assert len(departures.items) == 3


def test_one_tenants_trouble_does_not_stop_the_others() -> None:
    events = MemoryUnsentEvents({"kgn-one": EVENTS[:1], "kgn-two": EVENTS[1:2]})
    events.fail_marks = 1
    relay = Relay(events, MemoryDepartures(lambda: NOON), FixedTenants("kgn-one", "kgn-two"))
    with pytest.raises(Unavailable):
        relay.relay()
    assert events.events["kgn-two"] == []


def test_events_go_where_their_type_goes_and_a_port_that_is_down_delays_no_other() -> None:
    departures = MemoryDepartures(lambda: NOON)
    stream, queue = CollectingPort(), CollectingPort()
    routes = {"transaction.recorded": stream, "notification.requested": queue}
    publisher = Publisher(departures, routes, lambda: LATER)
    said = [an_envelope("t"), an_envelope("n", "notification.requested")]
    departures.depart(said)
    stream.down = True
    assert publisher.publish(said) == 1
    assert queue.taken == [said[1]]
    stream.down = False
    assert publisher.sweep() == 1
    assert stream.taken == [said[0]]
    assert publisher.sweep() == 0


def test_what_a_port_refuses_is_swept_later() -> None:
    departures, port = MemoryDepartures(lambda: NOON), CollectingPort()
    publisher = Publisher(departures, {"transaction.recorded": port}, lambda: LATER)
    departures.depart(EVENTS[:2])
    port.refuse = {EVENTS[0].event_id}
    assert publisher.publish(EVENTS[:2]) == 1
    port.refuse = set()
    assert publisher.sweep() == 1
    assert {e.event_id for e in port.taken} == {e.event_id for e in EVENTS[:2]}


def test_killed_after_sending_it_is_sent_again() -> None:
    departures, port = MemoryDepartures(lambda: NOON), CollectingPort()
    publisher = Publisher(departures, {"transaction.recorded": port}, lambda: LATER)
    departures.depart(EVENTS[:1])
    departures.fail_next = 1  # boundary 5
    assert publisher.publish(EVENTS[:1]) == 1
    assert publisher.sweep() == 1
    assert port.taken == [EVENTS[0], EVENTS[0]]


def test_only_new_departures_are_read_from_the_stream() -> None:
    unreadable: list[int] = []
    image = {"envelope": {"S": EVENTS[0].to_json()}}
    records = [
        {"eventName": "INSERT", "dynamodb": {"NewImage": image}},
        {"eventName": "MODIFY", "dynamodb": {"NewImage": image}},
        {"eventName": "REMOVE", "dynamodb": {}},
        {"eventName": "INSERT", "dynamodb": {"NewImage": {"envelope": {"S": "{}"}}}},
        {"eventName": "INSERT", "dynamodb": {}},
    ]
    assert envelopes_of(records, lambda: unreadable.append(1)) == [EVENTS[0]]
    assert len(unreadable) == 2
