"""Messages to people: written from templates, sent once, addresses nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.notifications.events import from_json, to_envelope
from pardna.notifications.model import SMS_MAX, TEMPLATES, Message, Recipient, write
from pardna.notifications.service import LEASE_SECONDS, Notifications
from pardna.runtime.errors import InvalidInput, RefusedByRule, Unavailable
from tests.fakes.attempts import MemoryAttempts
from tests.fakes.notifications import Outgoing
from tests.fakes.payments import Killed

VALUES = {
    "circle": "Friday Friends",
    "round": "1",
    "rounds": "5",
    "amount": "J$5,000.00",
    "reference": "PDN-7K3Q-R01-01",
    "rail": "card",
    "due_on": "2026-01-09",
    "account": "404385912",
    "pot": "J$25,000.00",
    "fee": "J$0.00",
}


def a_message(template: str = "contribution_receipt", **to: str) -> Message:
    recipient = Recipient(
        **({"name": "Marcia", "email": "m@example.com", "phone": "+18765550101"} | to)
    )
    return Message("harbour", template, "con-1", recipient, VALUES)


class Office:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 9, tzinfo=UTC)
        self.out = Outgoing()
        attempts = MemoryAttempts(lambda: self.now)
        self.send = Notifications(self.out.mail, self.out.sms, attempts).send


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_every_template_is_complete(template: str) -> None:
    written = write(a_message(template))
    for text in (written.subject, written.email, written.sms):
        assert "{" not in text
        assert "Friday Friends" in text


@given(st.text(max_size=600))
def test_a_value_cannot_forge_a_line_or_a_header(text: str) -> None:
    message = Message(
        "harbour", "contribution_receipt", "c", Recipient(text), VALUES | {"circle": text}
    )
    written = write(message)
    assert "\n" not in written.subject
    assert "\r" not in written.subject
    assert len(written.sms) <= SMS_MAX
    assert written.email.count("\n") == write(a_message()).email.count("\n")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidInput, match="amount"):
        write(Message("harbour", "draw_receipt", "d", Recipient("M"), {"circle": "x"}))
    with pytest.raises(InvalidInput, match="no such template"):
        write(a_message("love_letter"))


def test_a_message_goes_out_once_by_each_way(office: Office) -> None:
    assert [office.send("e1", a_message()) for _ in range(3)] == [2, 0, 0]
    assert len(office.out.mails) == len(office.out.texts) == 1


def test_who_gave_no_address_is_not_written_to(office: Office) -> None:
    assert office.send("e1", a_message(email="")) == 1
    assert office.send("e2", a_message(email="", phone="")) == 0
    assert office.out.mails == []


def test_one_way_that_fails_does_not_repeat_the_other(office: Office) -> None:
    office.out.fail["sms"] = Unavailable("notification.unavailable", "later")
    with pytest.raises(Unavailable):
        office.send("e1", a_message())
    assert office.send("e1", a_message()) == 1
    assert (len(office.out.mails), len(office.out.texts)) == (1, 1)


def test_an_address_that_is_never_taken_is_given_up(office: Office) -> None:
    office.out.fail["mail"] = RefusedByRule("notification.refused", "no")
    assert office.send("e1", a_message()) == 1
    assert office.send("e1", a_message()) == 0
    assert office.out.mails == []


def test_a_process_killed_while_sending_is_repeated_after_its_lease(office: Office) -> None:
    office.out.fail["mail"] = Killed()
    with pytest.raises(Killed):
        office.send("e1", a_message())
    with pytest.raises(Unavailable, match="in_progress"):
        office.send("e1", a_message())
    office.now += timedelta(seconds=LEASE_SECONDS + 1)
    assert office.send("e1", a_message()) == 2


def test_an_event_is_read_as_it_was_written() -> None:
    envelope = to_envelope(a_message(), "2026-01-09T15:00:00.000Z", "c-1")
    event_id, message = from_json(envelope.to_json())
    assert event_id == envelope.event_id
    assert (message.template, message.about, dict(message.values)) == (
        "contribution_receipt",
        "con-1",
        VALUES,
    )
    assert message.recipient.email == "m@example.com"


def test_nothing_that_holds_an_address_prints_it() -> None:
    assert "example.com" not in repr(a_message())
    assert "+1876" not in repr(a_message())
    assert "example.com" not in repr(write(a_message()))
