"""Every write of ingestion is on one list, with the test that kills its process there.

A write is a call of a port's method that changes something. A port's method that nobody has sorted
into reads and writes, a call that is not on the list, a function that is not, each fail a test here.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pardna.ingestion.capture import CaptureWebhook
from pardna.ingestion.model import MailPlace
from pardna.ingestion.profiles import Profiles
from pardna.ingestion.profiles_dynamodb import DynamoProfileShelf
from pardna.ingestion.s3_mail import S3MailShelf
from pardna.ingestion.signatures import Webhook
from pardna.ingestion.sources import SecretDesk
from pardna.ingestion.take_mail import ReceiveMail, TakeMail
from tests.fakes.ingestion import (
    FixedSecrets,
    MemoryRawStore,
    MemorySources,
    MemoryUploads,
    MemoryVault,
)
from tests.support.ingestion import (
    NOON,
    SECRET,
    SECRET_ID,
    TENANT,
    a_bank_source,
    a_stripe_source,
    stripe_signature,
)
from tests.support.mails import BANK, a_mail
from tests.support.outbox import make_directory_table
from tests.unit.formats.test_csv_profile import STATEMENT, a_profile
from tests.unit.ingestion.test_upload import World

ROOT = Path(__file__).resolve().parents[3]
INGESTION = ROOT / "layers" / "shared" / "pardna" / "ingestion"
#: Where ports stand that ingestion writes through.
PORTS = [
    *sorted(INGESTION.glob("*.py")),
    INGESTION.parent / "transactions" / "ports.py",
    INGESTION.parent / "transactions" / "bulk.py",
]
READS = frozenset(
    [
        "page",
        "get",
        "undelivered",
        "receipt",
        "activity",
        "waiting",
        "place",
        "pending",
        "read",
        "open",
        "size",
        "file",
        "keys",
        "by_channel",
        "of_tenant",
        "cursor",
        "part",
        "renew",
        "files",
        "stat",
        "blocks",
        "pieces",
        "find",
        "fetched",
        "resources",
        "members",
        "document",
        "tenant_ids",
        "past",
        "last_sequence",
        "versions",
        "of_day",
        "entry",
        "open_entries",
        "by_request",
        "decision",
        "decisions",
        "link",
        "deliveries",
        "closings",
        "staged",
        "is_recorded",
    ]
)
WRITES = frozenset(
    [
        "announce",
        "remember",
        "move",
        "put_once",
        "put_named",
        "put",
        "switch",
        "set_cursor",
        "write",
        "remove",
        "put_empty",
        "keep",
        "hand_over",
        "mark_fetched",
        "apply",
        "drain",
        "restrict",
        "add",
        "propose",
        "withdraw",
        "begin",
        "set_place",
        "reject",
        "settle",
        "record",
        "stage",
        "record_part",
        "finish_part",
    ]
)
#: Python's own sets, texts in memory, and use cases whose writes stand on the list themselves.
NOT_A_STORE = frozenset(
    {
        "self._refused.add",
        "contested.add",
        "heads.add",
        "file.write",
        "before.add",
        "files.add",
        "markers.add",
        "text.apply",
        "payment_statuses().apply",
        "desk.withdraw",
        "desk.reject",
        "record_part().record",
    }
)
UNIT, INTEGRATION = "tests/unit/ingestion", "tests/integration/ingestion"
HERE = f"{UNIT}/test_every_write.py"
#: Every write of a module, how often it stands there, and who kills the process before and after it.
LISTED: dict[str, tuple[dict[str, int], str]] = {
    "bulk.py": (
        {
            "self.files.put": 2,
            "self.store.stage": 1,
            "self.store.record_part": 1,
            "self.store.finish_part": 1,
            "self.relay.drain": 3,
        },
        f"{INTEGRATION}/test_bulk.py::test_killed_at_any_boundary_and_sent_again_it_ends_the_same",
    ),
    "capture.py": ({"self.raw.put_once": 1}, f"{HERE}::test_killed_at_its_one_write"),
    "deliveries.py": (
        {"self.outbox.announce": 1, "self.relay.drain": 1},
        f"{INTEGRATION}/test_sources_api.py::test_a_replay_that_breaks_off_is_not_lost",
    ),
    "event_gaps.py": (
        {"book.remember": 1},
        f"{UNIT}/test_normalise.py::test_killed_at_a_write_boundary_a_second_run_ends_where_an_unharmed_one_does",
    ),
    "fetch.py": (
        {
            "self.done.mark_fetched": 1,
            "self.arrivals.keep": 2,
            "self.arrivals.hand_over": 1,
            "self.raw.put_named": 1,
            "folder.move": 2,
            "folder.put_empty": 1,
        },
        f"{UNIT}/test_pull.py::test_killed_at_any_write_the_next_pull_ends_where_an_unharmed_one_does",
    ),
    "large.py": (
        {"self._outbox.announce": 1},
        f"{INTEGRATION}/test_bulk.py::test_killed_at_any_boundary_and_sent_again_it_ends_the_same",
    ),
    "normalise.py": (
        {
            "self.pending.begin": 1,
            "self.store.record": 2,
            "self.answers.apply": 1,
            "self.large.hand_over": 1,
            "self.bulk.stage": 1,
            "self.gate.settle": 1,
            "self.relay.drain": 3,
        },
        f"{UNIT}/test_normalise.py::test_killed_at_a_write_boundary_a_second_run_ends_where_an_unharmed_one_does",
    ),
    "poll.py": (
        {"self.raw.put_once": 1, "self.sources.set_cursor": 1},
        f"{UNIT}/test_poll.py::test_killed_at_any_write_the_next_poll_goes_on_and_keeps_the_same",
    ),
    "profiles.py": ({"self.shelf.add": 1}, f"{HERE}::test_killed_at_its_one_write"),
    "quality_daily.py": (
        {"self.shelf.put": 2, "self.outbox.announce": 1, "self.relay.drain": 1},
        f"{UNIT}/test_quality_gate.py::test_a_report_killed_at_a_boundary_tells_once_in_the_end",
    ),
    "quality_gate.py": (
        {"self.restriction.restrict": 1, "self.history.remember": 1},
        f"{UNIT}/test_quality_gate.py::test_killed_at_a_boundary_a_second_run_ends_where_an_unharmed_one_does",
    ),
    "quarantine.py": (
        {
            "self.book.propose": 1,
            "self.book.withdraw": 1,
            "self.book.reject": 1,
            "self.effects.settle": 1,
            "self.relay.drain": 1,
        },
        f"{INTEGRATION}/test_quarantine.py::test_killed_at_any_statement_nothing_or_everything_is_true",
    ),
    "sources.py": (
        {
            "self.schedules.put": 2,
            "self.schedules.remove": 1,
            "self.sources.switch": 1,
            "self.vault.write": 2,
        },
        f"{UNIT}/test_sources.py::test_a_change_that_breaks_off_anywhere_is_completed_by_the_same_again",
    ),
    "sweep.py": (
        {"self.pending.set_place": 1},
        f"{UNIT}/test_sweep.py::test_a_sweep_that_dies_at_a_write_is_completed_by_the_next",
    ),
    "take_mail.py": (
        {"self.raw.put_named": 1, "box.move": 1, "self.shelf.move": 2},
        f"{INTEGRATION}/test_fetch_mail.py::test_killed_between_keeping_and_moving_the_next_fetch_ends_where_an_unharmed_one_does",
    ),
    "upload.py": (
        {"self.uploads.announce": 1, "self.arrivals.hand_over": 1, "self.uploads.settle": 1},
        f"{UNIT}/test_upload.py::test_killed_at_each_write_the_next_try_ends_where_an_unharmed_one_does",
    ),
    "wiring.py": ({"sources().put": 1}, f"{HERE}::test_killed_at_its_one_write"),
}
#: Which modules a function's writes stand in; none is a function that only reads.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "capture_webhook": ("capture.py",),
    "change_source": ("sources.py",),
    "correct_quarantined": ("quarantine.py",),
    "fetch_mail": ("take_mail.py",),
    "list_deliveries": (),
    "list_profiles": (),
    "list_quarantine": (),
    "list_sources": (),
    "normalise_object": ("normalise.py", "quality_gate.py", "event_gaps.py", "large.py"),
    "poll_provider": ("poll.py",),
    "pull_files": ("fetch.py",),
    "receive_mail": ("take_mail.py",),
    "receive_upload": ("upload.py",),
    "record_part": ("bulk.py",),
    "register_source": ("wiring.py",),
    "replay_deliveries": ("deliveries.py",),
    "report_quality": ("quality_daily.py",),
    "rotate_secret": ("sources.py",),
    "save_profile": ("profiles.py",),
    "show_source": (),
    "show_upload": (),
    "stage_delivery": ("normalise.py", "quality_gate.py", "event_gaps.py", "bulk.py"),
    "start_upload": ("upload.py",),
    "sweep_raw": ("sweep.py", "normalise.py", "quality_gate.py", "event_gaps.py", "large.py"),
    "try_profile": (),
}
#: Classes that are a port's other side themselves: what they call is a store's own client.
_ADAPTERS = ("boto", "psycopg", "imaplib", "paramiko", "self._client", "self._database")


def methods_of_ports() -> set[str]:
    """The names of all methods of all ports."""
    found: set[str] = set()
    for path in PORTS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(
                isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases
            ):
                found |= {m.name for m in node.body if isinstance(m, ast.FunctionDef)}
    return found


def writes_of(path: Path) -> Counter[str]:
    """What a module calls that writes, as its source has it."""
    text = path.read_text()
    if any(word in text for word in _ADAPTERS):
        return Counter()
    calls = (n.func for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call))
    named = (f for f in calls if isinstance(f, ast.Attribute) and f.attr in WRITES)
    found = Counter(ast.unparse(f) for f in named)
    return Counter({call: n for call, n in found.items() if call not in NOT_A_STORE})


def test_every_method_of_a_port_is_a_read_or_a_write() -> None:
    assert methods_of_ports() <= READS | WRITES
    assert not READS & WRITES


def test_every_write_is_on_the_list_and_nothing_else_is() -> None:
    found = {p.name: dict(writes_of(p)) for p in sorted(INGESTION.glob("*.py")) if writes_of(p)}
    assert found == {name: writes for name, (writes, _) in LISTED.items()}


@pytest.mark.parametrize("name", sorted(LISTED))
def test_the_test_that_kills_there_is_there(name: str) -> None:
    path, _, test = LISTED[name][1].partition("::")
    tree = ast.parse((ROOT / path).read_text())
    assert test in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


def test_every_function_is_on_the_list_and_every_write_is_some_functions() -> None:
    there = {p.stem for p in (ROOT / "functions" / "ingestion").glob("*.py")}
    there |= {p.stem for p in (ROOT / "functions" / "webhooks").glob("*.py")}
    assert there == FUNCTIONS.keys()
    assert {module for modules in FUNCTIONS.values() for module in modules} == LISTED.keys()


class Died(BaseException):
    """The process is gone; nothing may catch it."""


@contextmanager
def dying(owner: type, method: str, *, after: bool) -> Iterator[None]:
    """Whoever calls a method of a store dies just before it, or just after."""
    real: Callable[..., Any] = getattr(owner, method)

    def dies(self: Any, *given: Any, **named: Any) -> Any:
        if after:
            real(self, *given, **named)
        raise Died

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owner, method, dies)
        try:
            yield
        except Died:
            return
    raise AssertionError("it never came to this write")


BODY = b'{"id": "evt_1"}'


class Capturing:
    """A webhook, sent again until it is answered."""

    owner, method = MemoryRawStore, "put_once"

    def __init__(self) -> None:
        self.raw = MemoryRawStore()
        secrets = FixedSecrets({f"{SECRET_ID}/webhook": {"webhook_secret": SECRET}})
        self.service = CaptureWebhook(
            MemorySources(a_stripe_source()), secrets, self.raw, lambda: NOON
        )

    def run(self) -> None:
        headers = {"stripe-signature": stripe_signature(BODY)}
        self.service.capture(TENANT, "stripe", Webhook(headers, BODY))

    def state(self) -> Any:
        return [data for data, _ in self.raw.objects.values()]


class Registering:
    """A source, registered."""

    owner, method = MemorySources, "put"

    def __init__(self) -> None:
        self.sources = MemorySources()

    def run(self) -> None:
        self.sources.put(a_stripe_source())

    def state(self) -> Any:
        return self.sources.get(TENANT, "stripe")


class Rotating:
    """A webhook's secret and a credential, replaced."""

    owner, method = MemoryVault, "write"

    def __init__(self) -> None:
        self.vault = MemoryVault()
        self.vault.texts = {f"{SECRET_ID}/webhook": json.dumps({"webhook_secret": "whsec_old"})}
        self.desk = SecretDesk(MemorySources(a_stripe_source()), self.vault, lambda: NOON)

    def run(self) -> None:
        self.desk.rotate(TENANT, "stripe", "whsec_the_next", timedelta(hours=1))
        self.desk.replace_credential(TENANT, "stripe", "poll", "rk_live_1")

    def state(self) -> Any:
        return self.vault.texts


class Saving:
    """A profile, saved as its next version."""

    owner, method = DynamoProfileShelf, "add"

    def __init__(self) -> None:
        client = boto3.client("dynamodb")
        self.shelf = DynamoProfileShelf(client, make_directory_table(client))
        self.service = Profiles(self.shelf, lambda: NOON)

    def run(self) -> None:
        self.service.save(TENANT, "ann", a_profile(), STATEMENT.encode())

    def state(self) -> Any:
        return self.shelf.versions(TENANT)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("case", [Capturing, Registering, Rotating, Saving])
def test_killed_at_its_one_write(case: Any, after: bool) -> None:
    with mock_aws():
        unharmed = case()
        unharmed.run()
        expected = unharmed.state()
    with mock_aws():
        harmed = case()
        with dying(case.owner, case.method, after=after):
            harmed.run()
        harmed.run()
        assert harmed.state() == expected


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_announcement_that_dies_leaves_at_worst_an_upload_that_nobody_sends(
    after: bool,
) -> None:
    world = World()
    with dying(MemoryUploads, "announce", after=after):
        world.start()
    upload = world.start()
    assert world.send(upload) is not None
    assert len(world.raw.objects) == 1
    assert len(world.uploads.known) == 1 + after


class MortalS3:
    """S3 whose caller dies just before, or just after, one operation."""

    def __init__(self, client: Any, operation: str, *, after: bool) -> None:
        self._client, self._operation, self._after = client, operation, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._operation:
            return real

        def dies(**given: Any) -> Any:
            if self._after:
                real(**given)
            raise Died

        return dies


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("operation", ["put_once", "copy_object", "delete_object"])
@pytest.mark.parametrize("key", ["mail/by-address/m-1", f"mail/{TENANT}/ncb/m-1"])
@mock_aws
def test_killed_at_any_write_mail_that_ses_stored_is_taken_once(
    key: str, operation: str, after: bool
) -> None:
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="arrivals")
    received = f"by inbound-smtp.us-east-1.amazonaws.com with SMTP id a1 for ncb.{TENANT}@x.example"
    ses = "amazonses.com; dkim=pass header.d=ncb.example"
    mail = a_mail(("a.xml", b"a"), ("b.xml", b"b"), results=(ses,))
    client.put_object(Bucket="arrivals", Key=key, Body=f"Received: {received}; x\n".encode() + mail)
    raw = MemoryRawStore()
    box = MailPlace(allowed_senders=(BANK,))
    sources = MemorySources(a_bank_source(channels=("email",), sftp=None, mail=box))

    def receive(s3: Any) -> Any:
        taker = TakeMail(raw, lambda: NOON)
        return ReceiveMail(sources, S3MailShelf(s3, "arrivals"), taker).receive(key)

    if operation == "put_once":
        with dying(MemoryRawStore, operation, after=after):
            receive(client)
    else:
        with pytest.raises(Died):
            receive(MortalS3(client, operation, after=after))
    for _ in range(2):
        receive(client)
    assert sorted(data for data, _ in raw.objects.values()) == [b"a", b"b"]
    lying = client.list_objects_v2(Bucket="arrivals")["Contents"]
    assert [o["Key"] for o in lying] == [f"mail-processed/{TENANT}/ncb/m-1"]
