"""Fetching from a real IMAP server over TLS, and every trouble on the way."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pardna.ingestion.imap import ImapMailboxes, _quoted
from pardna.ingestion.model import MailPlace
from pardna.ingestion.retry import Retry
from pardna.ingestion.take_mail import FetchMail, TakeMail
from pardna.runtime.errors import SignInRefused, Unavailable, UntrustedHost
from pardna.runtime.public_hosts import dial_anywhere
from tests.fakes.ingestion import FixedSecrets, MemoryRawStore, MemorySources
from tests.support.bad_line import running_line
from tests.support.counted import counted, forget_counts
from tests.support.imap_server import PASSWORD, USER, ImapServer, a_certificate, running_imap
from tests.support.ingestion import NOON, a_bank_source
from tests.support.mails import BANK, PASSED, SERVER, a_mail

SECRET = "/pardna/local/kgn-one/mail"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ImapServer]:
    with running_imap(tmp_path) as running:
        yield running


class Fetcher:
    def __init__(
        self, server: ImapServer, password: str = PASSWORD, replaced: str = "", **place: Any
    ) -> None:
        self.raw = MemoryRawStore()
        self.pauses: list[float] = []
        at: dict[str, Any] = {
            "allowed_senders": (BANK,),
            "host": server.host,
            "port": server.port,
            "user": USER,
            "secret_id": SECRET,
            "ca_certificate": server.certificate,
        }
        source = a_bank_source(channels=("email",), sftp=None, mail=MailPlace(**at | place))
        self.service = FetchMail(
            MemorySources(source),
            ImapMailboxes(
                FixedSecrets(
                    {SECRET: {"password": password}},
                    {SECRET: {"password": replaced}} if replaced else None,
                ),
                dial_anywhere,
            ),
            TakeMail(self.raw, lambda: NOON),
            Retry(attempts=3, sleep=self.pauses.append, fraction=lambda: 0.0),
        )

    @property
    def kept(self) -> dict[str, bytes]:
        return {receipt.name: data for data, receipt in self.raw.objects.values()}


def test_attachments_are_kept_and_mails_are_moved_not_deleted(server: ImapServer) -> None:
    good = a_mail(("a.xml", b"<a/>"), ("b.csv", b"1,2"))
    forged = a_mail(("c.xml", b"<c/>"), sender="Eve <eve@evil.example>")
    server.put(good, forged)
    fetcher = Fetcher(server)
    forget_counts()
    taken = fetcher.service.fetch()
    assert (taken.seen_count, taken.refused_count, taken.new_count) == (2, 1, 2)
    assert fetcher.kept == {"a.xml": b"<a/>", "b.csv": b"1,2"}
    assert counted("MailRefused") == 1
    assert server.lying_in("INBOX") == []
    assert [m.count(b"a.xml") for m in server.lying_in("Processed")] == [1]
    assert [m.count(b"c.xml") for m in server.lying_in("Refused")] == [1]
    assert fetcher.service.fetch().seen_count == 0


def test_the_same_mail_twice_has_one_effect(server: ImapServer) -> None:
    mail = a_mail(("a.xml", b"<a/>"))
    fetcher = Fetcher(server)
    for _ in range(2):
        server.put(mail)
        fetcher.service.fetch()
    assert len(fetcher.raw.objects) == 1
    assert len(server.lying_in("Processed")) == 2


def test_the_trusted_servers_word_is_needed_where_one_is_named(server: ImapServer) -> None:
    server.put(a_mail(("a.xml", b"a"), results=(PASSED,)), a_mail(("b.xml", b"b")))
    fetcher = Fetcher(server, authserv_id=SERVER)
    assert fetcher.service.fetch().refused_count == 1
    assert set(fetcher.kept) == {"a.xml"}


def test_a_certificate_that_does_not_hold_is_told_at_once(
    server: ImapServer, tmp_path: Path
) -> None:
    server.put(a_mail(("a.xml", b"a")))
    for wrong in (a_certificate(tmp_path / "other"), ""):
        fetcher = Fetcher(server, ca_certificate=wrong)
        with pytest.raises(UntrustedHost, match=r"imap\.certificate"):
            fetcher.service.fetch()
        assert fetcher.pauses == []
    by_address = Fetcher(server, host="127.0.0.1")
    with pytest.raises(UntrustedHost):
        by_address.service.fetch()
    assert len(server.lying_in("INBOX")) == 1


def test_a_refused_sign_in_is_told_at_once_lest_it_locks_the_account(server: ImapServer) -> None:
    fetcher = Fetcher(server, password="wrong")
    forget_counts()
    with pytest.raises(SignInRefused):
        fetcher.service.fetch()
    assert fetcher.pauses == []
    assert counted("MailFetchFailed") == 1


def test_a_cut_in_the_middle_of_a_mail_is_tried_again(server: ImapServer) -> None:
    big = bytes(range(256)) * 4_000
    server.put(a_mail(("big.csv", big)))
    with running_line("127.0.0.1", server.port) as line:
        line.cuts = [300_000]
        fetcher = Fetcher(server, port=line.port)
        assert fetcher.service.fetch().new_count == 1
    assert len(fetcher.pauses) == 1
    assert fetcher.kept == {"big.csv": big}
    assert len(server.lying_in("Processed")) == 1


def test_a_folder_that_is_not_there_is_told(server: ImapServer) -> None:
    with pytest.raises(Unavailable, match=r"imap\.refused"):
        Fetcher(server, folder="Nowhere").service.fetch()


def test_folders_of_any_name_are_made(server: ImapServer) -> None:
    server.put(a_mail(("a.xml", b"a")), a_mail(sender="x@evil.example"))
    fetcher = Fetcher(server, processed_folder='Gelöscht & "fertig"', refused_folder="Non ∑")
    fetcher.service.fetch()
    assert len(server.lying_in(_quoted('Gelöscht & "fertig"'))) == 1
    assert len(server.lying_in(_quoted("Non ∑"))) == 1


class Killed(BaseException):
    """A process that ends here."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("boundary", ["put_named", "move"])
def test_killed_between_keeping_and_moving_the_next_fetch_ends_where_an_unharmed_one_does(
    server: ImapServer, monkeypatch: pytest.MonkeyPatch, boundary: str, after: bool
) -> None:
    from pardna.ingestion.imap import _Box

    server.put(a_mail(("a.xml", b"a"), ("b.xml", b"b")))
    fetcher = Fetcher(server)
    where: Any = MemoryRawStore if boundary == "put_named" else _Box
    real = getattr(where, boundary)

    def dies(self: Any, *given: Any) -> Any:
        if after:
            real(self, *given)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(where, boundary, dies)
        with pytest.raises(Killed):
            fetcher.service.fetch()
    fetcher.service.fetch()
    assert fetcher.kept == {"a.xml": b"a", "b.xml": b"b"}
    assert len(fetcher.raw.objects) == 2
    assert (len(server.lying_in("INBOX")), len(server.lying_in("Processed"))) == (0, 1)


def test_a_server_without_move_copies_and_expunges_that_mail_alone(
    server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(a_mail(("a.xml", b"a")), a_mail(("b.xml", b"b")))
    with server.session() as session:
        session.select("INBOX")
        session.store("2", "+FLAGS", r"(\Deleted)")  # somebody's, and not ours to remove
    tell, told = imaplib.IMAP4.capability, list[bytes]()

    def without_move(self: Any) -> Any:
        status, lines = tell(self)
        told.extend(lines)
        return status, [line.replace(b"MOVE", b"") for line in lines]

    monkeypatch.setattr(imaplib.IMAP4, "capability", without_move)
    fetcher = Fetcher(server)
    assert fetcher.service.fetch().new_count == 1
    monkeypatch.undo()
    assert b"MOVE" in b" ".join(told), "nothing was taken away from this server"
    assert [b"b.xml" in m for m in server.lying_in("INBOX")] == [True]
    assert len(server.lying_in("Processed")) == 1


def test_a_password_that_was_replaced_is_taken_up_by_the_visit_that_finds_it(
    server: ImapServer,
) -> None:
    server.put(a_mail(("a.xml", b"a")))
    assert Fetcher(server, password="the old one", replaced=PASSWORD).service.fetch().new_count == 1
    with pytest.raises(SignInRefused):
        Fetcher(server, password="old", replaced="old").service.fetch()
