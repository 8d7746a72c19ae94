"""Reading mail that nobody can trust: what is attached, who sent it, and whom we believe."""

from __future__ import annotations

import base64
import contextlib
import gzip
import inspect
import io
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.ingestion import take_mail
from pardna.ingestion.mail import Mail, read, sender_of
from pardna.ingestion.mail_trust import addressed_to, judge
from pardna.ingestion.model import Captured, MailPlace, Receipt, SourceProfile
from pardna.ingestion.retry import Retry
from pardna.ingestion.take_mail import FetchMail, TakeMail
from pardna.runtime.errors import InvalidInput, PardnaError, TooLarge, Unavailable
from tests.fakes.ingestion import MemoryRawStore, MemorySources
from tests.support.ingestion import NOON, a_bank_source
from tests.support.mails import BANK, PASSED, SERVER, a_mail

PLACE = MailPlace(allowed_senders=(BANK, "@bns.example"), authserv_id=SERVER)


def names(mail: Mail) -> list[str]:
    return [a.name for a in mail.attachments]


def a_zip(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return out.getvalue()


def test_attachments_come_out_exactly_and_the_text_stays() -> None:
    data = bytes(range(256)) * 50
    mail = read(a_mail(("a.xml", data), ("b.csv", b"")))
    assert [(a.name, a.data) for a in mail.attachments] == [("a.xml", data), ("b.csv", b"")]
    assert (mail.sender, mail.message_id) == (BANK, "<1@ncb.example>")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('filename="a.xml"', "a.xml"),
        ("filename*=UTF-8''gr%C3%B6%C3%9Fe.xml", "größe.xml"),
        ("filename*0=long; filename*1=name.xml", "longname.xml"),
        ('filename="=?utf-8?B?' + base64.b64encode("größe.xml".encode()).decode() + '?="', "größe.xml"),
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="C:\\\\temp\\\\a.xml"', "a.xml"),
        ('filename="=?utf-8?B?' + base64.b64encode(b"../x\x00y.xml").decode() + '?="', "xy.xml"),
        ('filename="evil\u202elmx.csv"', "evillmx.csv"),
        ('filename="größe.xml"', "größe.xml"),
        ('filename="..."', "attachment"),
        ("filename=", "attachment"),
        ('filename="=?nonsense?Q?x?="', "x"),
    ],
)  # fmt: skip
def test_names_are_shown_and_lead_nowhere(header: str, name: str) -> None:
    raw = (
        f"From: {BANK}\r\nMIME-Version: 1.0\r\nContent-Type: application/xml\r\n"
        f"Content-Disposition: attachment; {header}\r\n\r\n<a/>\r\n"
    )
    (attachment,) = read(raw.encode()).attachments
    if "nonsense" not in header:
        assert attachment.name == name
    assert "/" not in attachment.name
    assert "\\" not in attachment.name
    assert attachment.name.isprintable()


def test_archives_are_unpacked_and_only_what_is_asked_for_is_taken() -> None:
    packed = a_zip(**{"a.xml": b"<a/>", "readme.txt": b"x"})
    mail = read(a_mail(("s.zip", packed), ("b.xml.gz", gzip.compress(b"<b/>"))), ["*.xml"])
    assert [(a.name, a.data) for a in mail.attachments] == [("a.xml", b"<a/>"), ("b.xml", b"<b/>")]
    assert [(i.name, i.code) for i in mail.ignored] == [("readme.txt", "mail.not_asked")]


@pytest.mark.parametrize(
    "packed",
    [
        a_zip(**{"bomb.csv": b"\0" * 60_000_000}),
        a_zip(**{"../../evil.csv": b"x"}),
        a_zip(**{"a.csv": b"x"})[:40],
        b"PK\x03\x04 not at all",
        a_zip(**{f"{n}.csv": b"x" for n in range(1_500)}),
        gzip.compress(b"\0" * 60_000_000),
    ],
    ids=["bomb", "path", "cut", "none", "many", "gzip bomb"],
)
def test_a_hostile_archive_is_kept_as_it_is_to_be_refused_with_a_reason(packed: bytes) -> None:
    mail = read(a_mail(("s.zip", packed)))
    assert [(a.name, a.data) for a in mail.attachments] == [("s.zip", packed)]


def test_wrappings_are_ignored_with_a_reason() -> None:
    message = EmailMessage()
    message["From"] = BANK
    message.set_content("see attached")
    message.add_attachment(b"x", maintype="application", subtype="ms-tnef", filename="winmail.dat")
    message.add_attachment(b"x", maintype="application", subtype="octet-stream", filename="WINMAIL.DAT")  # fmt: skip
    message.add_attachment(b"x", maintype="application", subtype="pkcs7-signature", filename="smime.p7s")  # fmt: skip
    mail = read(message.as_bytes())
    assert mail.attachments == ()
    assert [i.code for i in mail.ignored] == ["mail.wrapping"] * 3
    assert "winmail" in mail.ignored[0].reason


def nested(depth: int) -> bytes:
    head, tail = b"From: " + BANK.encode() + b"\n", b""
    for n in range(depth):
        head += b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n)
        tail = b"\n--b%d--\n" % n + tail
    return head + b"\nx" + tail


def many(attachments: int) -> bytes:
    part = b"--b\nContent-Disposition: attachment; filename=a.csv\n\nx\n"
    head = b"From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n"
    return head + part * attachments + b"--b--\n"


HOSTILE = {
    "nested": lambda: nested(5_000),
    "nested with bare carriage returns": lambda: nested(5_000).replace(b"\n", b"\r"),
    "ten thousand attachments": lambda: many(10_000),
    "a hundred and one attachments": lambda: a_mail(*[(f"{n}.csv", b"x") for n in range(101)]),
    "forty-one megabytes": lambda: b"From: a@b.c\n\n" + b"x" * (41 * 1024 * 1024),
    "a header without end": lambda: b"From: a@b.c\nX: " + b"x" * 300_000,
    "lines and lines": lambda: b"From: a@b.c\n\n" + b"\n" * 2_000_000,
    "parameters": lambda: b"From: a@b.c\nContent-Type: text/x" + b';a="' * 100_000 + b"\n\nx",
    "parameters of a part": lambda: b"From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: x"
    + b';a="' * 500_000
    + b"\n\nx\n--b--\n",
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(HOSTILE))
def test_bombs_are_refused_before_they_cost_anything(case: str) -> None:
    mail = HOSTILE[case]()
    begun = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            read(mail)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begun < 60, "seconds, on a machine with much to do"
    assert peak < 200 * 1024 * 1024


def test_a_giant_but_honest_attachment_is_read() -> None:
    data = b"0123456789" * 2_000_000
    (attachment,) = read(a_mail(("big.csv", data))).attachments
    assert attachment.data == data


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"From",
        b"Content-Type: multipart/mixed\n\n",
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n",
        b"Content-Type: text/plain; charset=nonsense\nContent-Disposition: attachment\n\nx",
        b"Content-Transfer-Encoding: base64\nContent-Disposition: attachment\n\n!!!not base64",
        b"Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nx",
        b"From: =?utf-8?B?\xff\xfe?= <x@y.z>\nContent-Disposition: attachment; filename*=x''%\n\n",
    ],
)
def test_malformed_mail_is_read_as_far_as_it_goes_or_refused(raw: bytes) -> None:
    try:
        mail = read(raw)
    except (InvalidInput, TooLarge):
        return
    assert len(mail.attachments) <= 1
    assert judge(mail, PLACE) is not None


@given(st.binary(max_size=600))
def test_no_bytes_make_reading_fail_in_another_way(raw: bytes) -> None:
    with contextlib.suppress(PardnaError):
        read(b"From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n--b\n" + raw)


@pytest.mark.parametrize(
    ("values", "sender"),
    [
        ([BANK], BANK),
        (["Statements@NCB.Example"], BANK),
        ([f"NCB <{BANK}>"], BANK),
        ([f'"Bank, the" <{BANK}>'], BANK),
        ([f"=?utf-8?q?NCB?= <{BANK}>"], BANK),
        ([f"NCB\r\n <{BANK}>"], BANK),
        ([], ""),
        ([""], ""),
        ([BANK, "eve@evil.example"], ""),
        ([f"{BANK}, eve@evil.example"], ""),
        ([f"{BANK} <eve@evil.example>"], ""),
        ([f"<{BANK}> <eve@evil.example>"], ""),
        ([f"<{BANK}>eve@evil.example"], ""),
        ([f'"{BANK}" <eve@evil.example>'], "eve@evil.example"),
        ([f"Friends: {BANK};"], ""),
        ([f"{BANK})evil.example"], "" ),
        (["stätements@ncb.example"], ""),
        (["x" * 5_000 + f"<{BANK}>"], ""),
    ],
)  # fmt: skip
def test_a_sender_is_one_address_without_doubt_or_none(values: list[str], sender: str) -> None:
    found = sender_of(values)
    assert found == sender or (found not in (BANK,) and not sender)


@pytest.mark.parametrize(
    ("results", "believed"),
    [
        ((PASSED,), True),
        ((f"{SERVER}; dmarc=pass (p=reject) header.from=ncb.example",), True),
        ((f"{SERVER} 1; dkim=pass reason=\"ok\" header.d=ncb.example header.s=a",), True),
        ((f"{SERVER}; dkim=pass header.i=@mail.ncb.example",), True),
        ((f"{SERVER.upper()}; spf=pass smtp.mailfrom=bounce@ncb.example",), True),
        ((f"{SERVER}; dkim=fail header.d=ncb.example; spf=pass smtp.mailfrom=ncb.example",), True),
        ((), False),
        ((f"{SERVER}; none",), False),
        ((f"{SERVER}; dkim=fail header.d=ncb.example",), False),
        ((f"{SERVER}; dkim=pass header.d=evil.example",), False),
        ((f"{SERVER}; dkim=pass header.d=evilncb.example",), False),
        ((f"{SERVER}; dkim=pass header.d=example",), False),
        ((f"{SERVER}; spf=pass smtp.mailfrom=evil.example",), False),
        ((f"{SERVER}; spf=pass smtp.helo=ncb.example",), False),
        ((f"{SERVER}; dmarc=pass header.from=evil.example",), False),
        ((f"{SERVER}; spf=fail (dkim=pass header.d=ncb.example)",), False),
        ((f"{SERVER}; spf=fail (; dmarc=pass header.from=ncb.example;)",), False),
        ((PASSED.replace(SERVER, "mx.evil.example"),), False),
        ((PASSED.replace(SERVER, f"{SERVER}.evil.example"),), False),
        ((f"{SERVER}; dkim=fail header.d=ncb.example", PASSED), False),
        (("mx.other.example; dmarc=pass", PASSED), True),
        ((f"{SERVER}; " + "(" * 3_000,), False),
        ((f"{SERVER}; x-dkim=pass header.d=ncb.example",), False),
        ((f"{SERVER}; dkim=passed header.d=ncb.example",), False),
    ],
)  # fmt: skip
def test_only_the_trusted_servers_last_word_on_this_domain_counts(
    results: tuple[str, ...], believed: bool
) -> None:
    assert (judge(Mail("", BANK, results), PLACE) is None) is believed


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        (BANK, ""),
        ("anybody@bns.example", ""),
        ("other@ncb.example", "mail.sender"),
        ("x@sub.bns.example", "mail.sender"),
        ("x@evilbns.example", "mail.sender"),
        ("", "mail.sender_unclear"),
    ],
)
def test_nobody_but_the_listed_is_believed(sender: str, code: str) -> None:
    place = MailPlace(allowed_senders=PLACE.allowed_senders)
    refusal = judge(Mail("", sender), place)
    assert (refusal.code if refusal else "") == code


def test_what_ses_found_counts_for_mail_that_ses_stored() -> None:
    said = "amazonses.com; spf=pass smtp.mailfrom=ncb.example; dkim=pass header.i=@ncb.example"
    good = a_mail(results=(said,), X_SES_Virus_Verdict="PASS", X_SES_Spam_Verdict="PASS")
    assert judge(read(good), PLACE, by_ses=True) is None
    unsigned = judge(read(a_mail(results=(PASSED,))), PLACE, by_ses=True)
    assert unsigned is not None
    assert unsigned.code == "mail.not_authentic"
    for name in ("Virus", "Spam"):
        bad = a_mail(results=(said,), **{f"X_SES_{name}_Verdict": "FAIL"})
        refusal = judge(read(bad), PLACE, by_ses=True)
        assert refusal is not None
        assert refusal.code == f"mail.{name.lower()}"


class Box:
    """`Mailbox` and `Mailboxes` in memory, noting every write."""

    def __init__(self, writes: list[str], **mails: bytes) -> None:
        self.writes, self.mails = writes, mails
        self.moved: dict[str, str] = {}

    @contextlib.contextmanager
    def open(self, profile: SourceProfile, seconds: float = 0) -> Iterator[Box]:
        yield self

    def waiting(self) -> list[tuple[str, int]]:
        return [(n, len(m)) for n, m in self.mails.items() if n not in self.moved]

    def read(self, number: str) -> bytes:
        return self.mails[number]

    def move(self, number: str, folder: str) -> None:
        self.writes.append("move")
        self.moved[number] = folder


class NotingRaw(MemoryRawStore):
    def __init__(self, writes: list[str]) -> None:
        super().__init__()
        self.writes = writes

    def put_once(self, tenant_id: str, data: bytes, receipt: Receipt) -> Captured:
        self.writes.append("put")
        return super().put_once(tenant_id, data, receipt)


def a_fetcher(box: Box, raw: MemoryRawStore) -> FetchMail:
    source = a_bank_source(
        channels=("email",), sftp=None, mail=MailPlace(allowed_senders=(BANK,), host="mx")
    )
    retry = Retry(attempts=2, sleep=lambda _: None, fraction=lambda: 0.0)
    return FetchMail(MemorySources(source), box, TakeMail(raw, lambda: NOON), retry)


def test_every_write_of_taking_mail_is_on_the_list() -> None:
    """A write that is added must be added to the numbered boundaries, and be safe to repeat."""
    writes: list[str] = []
    box = Box(writes, one=a_mail(("a.xml", b"a"), ("b.xml", b"b")))
    a_fetcher(box, NotingRaw(writes)).fetch()
    assert writes == ["put", "put", "move"]
    listed = take_mail.__doc__ or ""
    assert ("1. " in listed, "2. " in listed, "3. " in listed) == (True, True, False)
    # One for attachments; a mail is moved in a mailbox, or in the object store by its key or address.
    assert inspect.getsource(take_mail).count("# boundary") == 4


def test_a_bomb_is_put_aside_and_the_next_mail_is_taken() -> None:
    raw = MemoryRawStore()
    box = Box([], bomb=many(10_000), good=a_mail(("a.xml", b"a")), nested=nested(5_000))
    taken = a_fetcher(box, raw).fetch()
    assert (taken.seen_count, taken.refused_count, taken.new_count) == (3, 2, 1)
    assert box.moved == {"bomb": "Refused", "good": "Processed", "nested": "Refused"}


def test_what_the_time_does_not_suffice_for_is_left_where_it_is() -> None:
    raw = MemoryRawStore()
    box = Box([], one=a_mail(("a.xml", b"a")), two=a_mail(("b.xml", b"b")))
    seconds = iter([100.0, 100.0, 100.0, 0.0])
    taken = a_fetcher(box, raw).fetch(seconds_left=lambda: next(seconds))
    assert (taken.new_count, taken.left_count) == (1, 1)
    assert box.moved == {"one": "Processed"}


def test_a_store_that_is_down_leaves_the_mail_for_the_next_time() -> None:
    raw = MemoryRawStore()
    raw.fail_next = 9
    box = Box([], one=a_mail(("a.xml", b"a")))
    with pytest.raises(Unavailable):
        a_fetcher(box, raw).fetch()
    assert box.moved == {}
    raw.fail_next = 0
    assert a_fetcher(box, raw).fetch().new_count == 1


RECEIVED = (
    "Received: from mx.ncb.example (mx.ncb.example [192.0.2.1])\r\n"
    " by inbound-smtp.us-east-1.amazonaws.com with SMTP id abc123\r\n"
    " for {to};\r\n Sat, 31 Jan 2026 12:00:00 +0000 (UTC)\r\n"
)
OTHERS = "Received: by mx.evil.example for ncb.kgn-two@statements.example; Sat\r\n"


@pytest.mark.parametrize(
    ("head", "whose"),
    [
        (RECEIVED.format(to="ncb.kgn-one@statements.example"), ("kgn-one", "ncb")),
        (RECEIVED.format(to="<NCB.Kgn-One@statements.example>"), ("kgn-one", "ncb")),
        (
            "Return-Path: <a@b.c>\r\n" + RECEIVED.format(to="ncb.kgn-one@x.example") + OTHERS,
            ("kgn-one", "ncb"),
        ),
        (RECEIVED.format(to="ncb@statements.example"), ("", "ncb")),
        (OTHERS + RECEIVED.format(to="ncb.kgn-one@statements.example"), ("", "")),
        ("To: ncb.kgn-one@statements.example\r\n", ("", "")),
        ("Subject: x\r\n\r\n" + RECEIVED.format(to="ncb.kgn-one@x.example"), ("", "")),
        (RECEIVED.format(to="a b@c.d"), ("", "")),
        ("Received:\r\n", ("", "")),
        ("", ("", "")),
    ],
)
def test_whom_a_mail_is_for_is_what_ses_wrote_last(head: str, whose: tuple[str, str]) -> None:
    assert addressed_to(head.encode() + b"\r\n\r\nbody") == whose
    assert addressed_to(head.replace("\r\n", "\n").encode() + b"\n\nbody") == whose


@given(st.binary(max_size=300))
def test_no_bytes_make_asking_whom_a_mail_is_for_fail(raw: bytes) -> None:
    addressed_to(b"Received: by inbound-smtp.x.amazonaws.com for " + raw)
