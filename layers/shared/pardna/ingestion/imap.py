"""Mailboxes over IMAP4rev1 (RFC 3501) and TLS, with MOVE (RFC 6851) or UIDPLUS (RFC 4315)."""

from __future__ import annotations

import imaplib
import math
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pardna.ingestion.credentials import credential_of, replaced
from pardna.ingestion.mail import MAIL_BYTES_MAX
from pardna.ingestion.mail_ports import Mailbox
from pardna.ingestion.model import MailPlace, SourceProfile
from pardna.runtime.errors import InvalidInput, NotFound, SignInRefused, Unavailable, UntrustedHost
from pardna.runtime.public_hosts import Dial, dial_public
from pardna.runtime.secrets import RenewableSecrets

#: Seconds to wait for each answer.
READ_SECONDS = 30.0
#: Mails of one visit; the next visit takes the next.
WAITING_MAX = 1_000
_SIZE = re.compile(rb"UID (\d+)\b.*RFC822\.SIZE (\d+)|RFC822\.SIZE (\d+)\b.*UID (\d+)")


class ImapMailboxes:
    """`Mailboxes`: signs in with the password that the source's secret holds."""

    def __init__(self, secrets: RenewableSecrets, dial: Dial = dial_public) -> None:
        self._secrets = secrets
        self._dial = dial

    @contextmanager
    def open(self, profile: SourceProfile, seconds: float = math.inf) -> Iterator[Mailbox]:
        """See `Mailboxes`."""
        place = profile.mail
        if place is None or not place.host:
            raise InvalidInput("source.mail", "this source has no mail server")
        credential = credential_of(self._secrets, place.secret_id, "email")
        with _named():
            session = _connected(place, min(READ_SECONDS, max(seconds, 1.0)), self._dial)
        ending = threading.Timer(min(seconds, threading.TIMEOUT_MAX), _cut, [session])
        ending.daemon = True
        ending.start()
        try:
            with _named():
                try:
                    _signed_in(session, place.user, credential)
                except SignInRefused:
                    other = replaced(self._secrets, place.secret_id, "email", credential)
                    if other is None:
                        raise
                    _signed_in(session, place.user, other)
                _done(session.select(_quoted(place.folder)))
                yield _Box(session)
        finally:
            ending.cancel()
            with suppress(imaplib.IMAP4.error, OSError):
                session.logout()
            with suppress(OSError):
                session.shutdown()  # where goodbye did not get through


def _signed_in(session: imaplib.IMAP4, user: str, credential: tuple[str, ...]) -> None:
    try:
        _sign_in(session, user, credential[0])
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error:
        raise SignInRefused("imap.sign_in_refused", "the mail server refused our sign-in") from None


class _Box:
    """`Mailbox` on a session with a folder selected."""

    def __init__(self, session: imaplib.IMAP4) -> None:
        self._session = session
        # Servers tell what they can do once they know whom they talk to.
        said = b" ".join(line for line in _done(session.capability()) if line)
        self._can = set(said.decode("ascii", "replace").upper().split())
        self._made: set[str] = set()

    def waiting(self) -> list[tuple[str, int]]:
        """See `Mailbox`. What somebody has marked as deleted is not looked at."""
        (listed,) = _done(self._session.uid("SEARCH", "UNDELETED"))
        numbers = sorted((listed or b"").split(), key=int)[:WAITING_MAX]
        if not numbers:
            return []
        lines = _done(self._session.uid("FETCH", b",".join(numbers).decode(), "(UID RFC822.SIZE)"))
        sizes: dict[bytes, int] = {}
        for line in lines:
            match = _SIZE.search(line) if isinstance(line, bytes) else None
            if match is not None:
                sizes[match[1] or match[4]] = int(match[2] or match[3])
        return [(n.decode(), sizes[n]) for n in numbers if n in sizes]

    def read(self, number: str) -> bytes:
        """See `Mailbox`. At most a byte more than we take, whatever the server says of its size."""
        asked = f"(BODY.PEEK[]<0.{MAIL_BYTES_MAX + 1}>)"
        for line in _done(self._session.uid("FETCH", number, asked)):
            if isinstance(line, tuple):
                return bytes(line[1])
        raise NotFound("imap.no_mail", "the mail is not there any more")

    def move(self, number: str, folder: str) -> None:
        """See `Mailbox`. Without MOVE it is copied, marked and, alone of all, expunged."""
        if folder not in self._made:
            self._session.create(_quoted(folder))  # "no" when it is there
            self._made.add(folder)
        if "MOVE" in self._can:
            _done(self._session.uid("MOVE", number, _quoted(folder)))
            return
        _done(self._session.uid("COPY", number, _quoted(folder)))
        _done(self._session.uid("STORE", number, "+FLAGS.SILENT", r"(\Deleted)"))
        if "UIDPLUS" in self._can:
            _done(self._session.uid("EXPUNGE", number))


class _Bounded(imaplib.IMAP4_SSL):
    """A session that holds no more of an answer than a mail may be large, over a line of `dial`'s."""

    def __init__(
        self, place: MailPlace, context: ssl.SSLContext, seconds: float, dial: Dial
    ) -> None:
        self._dial = dial
        super().__init__(place.host, place.port, ssl_context=context, timeout=seconds)

    def _create_socket(self, timeout: float) -> socket.socket:
        line = self._dial(self.host, self.port, timeout)
        try:
            safe: socket.socket = self.ssl_context.wrap_socket(line, server_hostname=self.host)
        except BaseException:
            line.close()
            raise
        return safe

    def read(self, size: int) -> bytes:
        if size > MAIL_BYTES_MAX + 1024:
            raise self.abort("an answer larger than we asked for")
        return super().read(size)


def _sign_in(session: imaplib.IMAP4, user: str, password: str) -> None:
    """PLAIN takes every character there is; LOGIN is for servers that do not know it."""
    if "AUTH=PLAIN" in session.capabilities:
        session.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
    else:
        session.login(user, password)


def _cut(session: imaplib.IMAP4) -> None:
    """End a session that answers byte by byte: every single wait is short, all of them are not."""
    with suppress(OSError):
        session.sock.shutdown(socket.SHUT_RDWR)


def _connected(place: MailPlace, seconds: float, dial: Dial) -> imaplib.IMAP4:
    context = ssl.create_default_context(cadata=place.ca_certificate or None)
    if place.ca_certificate:
        # A bank's own authority, and no other.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=place.ca_certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return _Bounded(place, context, seconds, dial)


def _done(answer: tuple[str, list[Any]]) -> list[Any]:
    """What a server answers when it says yes; raises Unavailable when it says no."""
    status, lines = answer
    if status != "OK":
        raise Unavailable("imap.refused", "the mail server refused")
    return lines


def _quoted(folder: str) -> str:
    """A folder's name on the wire: modified UTF-7 (RFC 3501, 5.1.3), quoted."""
    encoded = "".join(_utf7(run) for run in re.findall(r"[ -~]+|[^ -~]+", folder))
    return '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _utf7(run: str) -> str:
    if run.isascii() and run.isprintable():
        return run.replace("&", "&-")
    code = run.encode("utf-7").decode("ascii").removeprefix("+").removesuffix("-")
    return "&" + code.replace("/", ",") + "-"


@contextmanager
def _named() -> Iterator[None]:
    """Troubles of the line and of the other side, named."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise UntrustedHost("imap.certificate", "its certificate does not hold") from error
    except (imaplib.IMAP4.error, OSError, EOFError) as error:
        raise Unavailable("imap.unavailable", "the line to the mail server broke") from error
