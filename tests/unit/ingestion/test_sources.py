"""Looking after sources: whatever breaks off half-way, the same request again completes it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pardna.ingestion import deliveries
from pardna.ingestion import sources as service
from pardna.ingestion.credentials import replaced
from pardna.ingestion.model import MailPlace, SftpPlace, SourceProfile
from pardna.ingestion.schedules import Schedule
from pardna.ingestion.sources import SecretDesk, SourceDesk, shown
from pardna.ingestion.visits import due
from pardna.ingestion.webhook_rules import HmacScheme, WebhookRules
from pardna.runtime.errors import InvalidInput, NotFound, Unavailable
from tests.fakes.ingestion import FixedSecrets, MemorySchedules, MemorySources, MemoryVault
from tests.support.ingestion import NOON, SECRET_ID, TENANT, a_bank_source, a_stripe_source

VAULT_ID = f"{SECRET_ID}/webhook"
HOURLY, DAILY = {"poll": "rate(1 hour)"}, {"poll": "rate(1 day)"}


class Dying(MemorySources):
    """Dies at the switch, before or after it is written."""

    def __init__(self, *profiles: SourceProfile) -> None:
        super().__init__(*profiles)
        self.die = ""

    def switch(self, profile: SourceProfile) -> None:
        if self.die == "before":
            raise Unavailable("directory.unavailable", "told to fail")
        super().switch(profile)
        if self.die == "after":
            raise Unavailable("directory.unavailable", "told to fail")


def state(sources: MemorySources, schedules: MemorySchedules) -> Any:
    profile = sources.get(TENANT, "stripe")
    return (profile.enabled, profile.schedules, sorted(schedules.schedules.items()))


CHANGES: dict[str, tuple[Callable[[SourceDesk], object], Callable[[SourceDesk], object]]] = {
    "schedule": (lambda d: None, lambda d: d.change(TENANT, "stripe", None, HOURLY)),
    "another": (
        lambda d: d.change(TENANT, "stripe", None, HOURLY),
        lambda d: d.change(TENANT, "stripe", None, DAILY),
    ),
    "remove": (
        lambda d: d.change(TENANT, "stripe", None, HOURLY),
        lambda d: d.change(TENANT, "stripe", None, {}),
    ),
    "disable": (
        lambda d: d.change(TENANT, "stripe", None, HOURLY),
        lambda d: d.change(TENANT, "stripe", False),
    ),
    "enable": (
        lambda d: d.change(TENANT, "stripe", False, HOURLY),
        lambda d: d.change(TENANT, "stripe", True),
    ),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_change_that_breaks_off_anywhere_is_completed_by_the_same_again(name: str) -> None:
    before, change = CHANGES[name]
    sources, schedules = Dying(a_stripe_source()), MemorySchedules()
    before(SourceDesk(sources, schedules))
    change(SourceDesk(sources, schedules))
    unharmed = state(sources, schedules)
    deaths = [("write", n) for n in range(1, 4)] + [("before", 0), ("after", 0)]
    died = 0
    for kind, number in deaths:
        sources, schedules = Dying(a_stripe_source()), MemorySchedules()
        before(SourceDesk(sources, schedules))
        schedules.fail_at, sources.die = number, kind
        try:
            change(SourceDesk(sources, schedules))
        except Unavailable:
            died += 1
        visited_by_stack = bool(sources.by_channel("poll"))
        visited_by_own = any(s.enabled for s in schedules.schedules.values())
        assert visited_by_stack or visited_by_own or name in ("disable", "enable")
        schedules.fail_at, sources.die = 0, ""
        change(SourceDesk(sources, schedules))
        assert state(sources, schedules) == unharmed
    # Every write of the change was one to die at: putting or removing, and the switch twice.
    assert died >= 4


def test_a_source_with_its_own_schedule_leaves_the_stacks_and_comes_back() -> None:
    sources, schedules = MemorySources(a_stripe_source(), a_bank_source()), MemorySchedules()
    desk = SourceDesk(sources, schedules)
    desk.change(TENANT, "stripe", None, HOURLY)
    assert due(sources, "poll") == []
    assert [p.source_id for p in due(sources, "poll", TENANT, "stripe")] == ["stripe"]
    (one,) = schedules.schedules.values()
    assert one == Schedule(TENANT, "stripe", "poll", "rate(1 hour)", True)
    desk.change(TENANT, "stripe", None, {})
    assert [p.source_id for p in due(sources, "poll")] == ["stripe"]
    assert schedules.schedules == {}


def test_a_source_that_is_switched_off_is_not_visited_by_anybody() -> None:
    sources, schedules = MemorySources(a_stripe_source()), MemorySchedules()
    desk = SourceDesk(sources, schedules)
    desk.change(TENANT, "stripe", False, HOURLY)
    assert due(sources, "poll") == due(sources, "poll", TENANT, "stripe") == []
    assert [s.enabled for s in schedules.schedules.values()] == [False]
    assert desk.change(TENANT, "stripe", True).schedules == HOURLY
    assert [s.enabled for s in schedules.schedules.values()] == [True]


def test_registering_again_keeps_what_was_switched() -> None:
    sources = MemorySources(a_stripe_source())
    SourceDesk(sources, MemorySchedules()).change(TENANT, "stripe", False, HOURLY)
    sources.put(a_stripe_source(currency="JMD"))
    again = sources.get(TENANT, "stripe")
    assert (again.enabled, again.schedules, again.currency) == (False, HOURLY, "JMD")


def test_a_wrong_schedule_changes_nothing() -> None:
    sources, schedules = MemorySources(a_stripe_source()), MemorySchedules()
    with pytest.raises(InvalidInput):
        SourceDesk(sources, schedules).change(TENANT, "stripe", False, {"poll": "rate(1 minute)"})
    with pytest.raises(NotFound):
        SourceDesk(sources, schedules).change("kgn-two", "stripe", False)
    assert state(sources, schedules) == (True, {}, [])


def desk(vault: MemoryVault, **changes: Any) -> SecretDesk:
    return SecretDesk(MemorySources(a_stripe_source(**changes)), vault, lambda: NOON)


def test_a_first_secret_and_the_next_ones() -> None:
    vault = MemoryVault()
    hour = timedelta(hours=1)
    assert desk(vault).rotate(TENANT, "stripe", "whsec_one", hour) is None
    assert desk(vault).rotate(TENANT, "stripe", "whsec_two", hour) == NOON + hour
    assert desk(vault).rotate(TENANT, "stripe", "whsec_two", 2 * hour) == NOON + hour
    parts = json.loads(vault.texts[VAULT_ID])
    assert (parts["webhook_secret"], parts["webhook_secret_previous"]) == ("whsec_two", "whsec_one")
    assert desk(vault).rotate(TENANT, "stripe", "whsec_three", timedelta(0)) is None
    assert json.loads(vault.texts[VAULT_ID]) == {"webhook_secret": "whsec_three"}
    assert list(vault.texts) == [VAULT_ID]


@pytest.mark.parametrize(
    ("changes", "secret", "overlap"),
    [
        ({"signature": "adyen"}, "not hexadecimal", timedelta(0)),
        ({"signature": "standard_webhooks"}, "whsec_%%%", timedelta(0)),
        ({"signature": "paypal"}, "whsec_one", timedelta(0)),
        ({"channels": ("poll",)}, "whsec_one", timedelta(0)),
        ({"secret_id": ""}, "whsec_one", timedelta(0)),
        ({}, "whsec_one", timedelta(days=31)),
        ({}, "whsec_one", timedelta(seconds=-1)),
    ],
)
def test_a_secret_that_could_check_nothing_is_refused(
    changes: dict[str, Any], secret: str, overlap: timedelta
) -> None:
    vault = MemoryVault()
    with pytest.raises(InvalidInput, match=r"source\.secret"):
        desk(vault, **changes).rotate(TENANT, "stripe", secret, overlap)
    assert vault.texts == {}


PLACES: dict[str, Any] = {
    "channels": ("webhook", "poll", "sftp", "email"),
    "sftp": SftpPlace("h", 22, "u", "ssh-ed25519 AAAA", f"{SECRET_ID}/bank"),
    "mail": MailPlace(("@ncb.example",), "h", 993, "u", f"{SECRET_ID}/mail"),
}


@pytest.mark.parametrize(
    ("channel", "secret", "where", "part"),
    [
        ("poll", "rk_live_1", SECRET_ID, "api_key"),
        ("sftp", "letmein", f"{SECRET_ID}/bank", "password"),
        ("sftp", "-----BEGIN OPENSSH PRIVATE KEY-----", f"{SECRET_ID}/bank", "private_key"),
        ("email", "letmein", f"{SECRET_ID}/mail", "password"),
    ],
)
def test_a_credential_is_replaced_in_its_own_secret_only(
    channel: str, secret: str, where: str, part: str
) -> None:
    vault = MemoryVault()
    vault.texts = {where: "before", f"{SECRET_ID}/webhook": "untouched"}
    for _ in range(2):
        desk(vault, **PLACES).replace_credential(TENANT, "stripe", channel, secret)
    untouched = {f"{SECRET_ID}/webhook": "untouched"}
    assert vault.texts == {where: json.dumps({part: secret})} | untouched


@pytest.mark.parametrize(
    ("channel", "changes"),
    [
        ("webhook", {}),
        ("upload", {}),
        ("sftp", {"channels": ("poll",)}),
        ("email", {"mail": MailPlace(("@ncb.example",))}),
        ("poll", {"secret_id": f"{SECRET_ID}/bank"}),
        ("sftp", {"secret_id": f"{SECRET_ID}/bank"}),
    ],
)
def test_a_credential_that_nobody_or_two_would_use_is_refused(
    channel: str, changes: dict[str, Any]
) -> None:
    vault = MemoryVault()
    with pytest.raises(InvalidInput, match=r"source\.secret"):
        desk(vault, **PLACES | changes).replace_credential(TENANT, "stripe", channel, "letmein")
    assert vault.texts == {}


def test_a_refused_credential_is_tried_again_only_when_it_is_another_one() -> None:
    old, new = {"s": {"password": "old"}}, {"s": {"password": "new"}}
    assert replaced(FixedSecrets(old), "s", "sftp", ("", "old")) is None  # read just now
    assert replaced(FixedSecrets(old, old), "s", "sftp", ("", "old")) is None  # still that one
    assert replaced(FixedSecrets(old, new), "s", "sftp", ("", "old")) == ("", "new")


def test_what_is_shown_holds_no_secret() -> None:
    scheme = HmacScheme("x-sig")
    profile = replace(a_stripe_source(webhook=WebhookRules(scheme=scheme)), extra={"a": "b"})
    plain = shown(profile)
    assert json.loads(json.dumps(plain))["webhook"]["scheme"]["header"] == "x-sig"
    assert "extra" not in plain
    assert plain["webhook_path"] == f"/webhooks/{TENANT}/stripe"


@pytest.mark.parametrize(
    ("module", "writes"),
    [
        (service, ("self.schedules.put(", "self.sources.switch(", "self.schedules.remove(")),
        (deliveries, ("self.outbox.announce(", "self.relay.drain(")),
    ],
)
def test_every_write_is_on_the_list(module: Any, writes: tuple[str, ...]) -> None:
    """A new write must be numbered, and be broken off by a test."""
    text = inspect.getsource(module)
    assert sum(text.count(write) for write in writes) == text.count("# boundary ")
