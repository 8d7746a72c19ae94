"""One way to a partner's SFTP server: the host key is pinned, nothing is ever trusted on sight.

Both directions use it: files that are pulled, and payment files that are sent. A host that shows
another key than the pinned one is an error that nobody retries; a host that does not answer is one
that may be tried again.
"""

from __future__ import annotations

import base64
import binascii
import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import paramiko
from paramiko.message import Message
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_DATA,
    CMD_HANDLE,
    CMD_OPENDIR,
    CMD_READ,
    CMD_READDIR,
    SFTP_EOF,
    int64,
)

from pardna.runtime.errors import InvalidInput, SignInRefused, Unavailable, UntrustedHost
from pardna.runtime.public_hosts import Dial, dial_public

Credential = TypeVar("Credential")

_KEY_TYPES: tuple[type[paramiko.PKey], ...] = (
    paramiko.Ed25519Key,
    paramiko.ECDSAKey,
    paramiko.RSAKey,
)
#: Signature algorithms that a host key type may answer with (RFC 8332 for RSA).
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


#: Bytes of one request; every server answers at least this much (draft-ietf-secsh-filexfer-02).
_REQUEST = 32 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for the connection, for the handshake and sign-in, and for each read.

    `session_seconds` bounds the whole session (0: not at all): a server that answers byte by byte
    keeps every single wait short and holds us for ever.
    """

    connect_seconds: float = 10.0
    handshake_seconds: float = 15.0
    read_seconds: float = 30.0
    session_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A host key as ``known_hosts`` writes it, without the host: ``ssh-ed25519 AAAA…``."""

    type: str
    blob: bytes

    @classmethod
    def parse(cls, text: str) -> PinnedKey:
        """Raises InvalidInput ``sftp.host_key`` when the text is not a public key."""
        parts = text.split()
        try:
            key = cls(parts[0], base64.b64decode(parts[1], validate=True))
            size = int.from_bytes(key.blob[:4], "big")
        except (IndexError, binascii.Error, ValueError):
            raise InvalidInput("sftp.host_key", "the pinned host key is unreadable") from None
        if not key.blob or key.blob[4 : 4 + size] != key.type.encode():
            raise InvalidInput("sftp.host_key", "the pinned host key is unreadable")
        return key


@contextmanager
def connect(
    host: str,
    port: int,
    user: str,
    host_key: str,
    *,
    private_key_pem: str = "",
    password: str = "",
    timeouts: Timeouts = Timeouts(),
    dial: Dial = dial_public,
) -> Iterator[paramiko.SFTPClient]:
    """An SFTP session with `host`, which must prove that it holds the pinned `host_key`.

    `host_key` holds one public key a line, so that an announced rotation can be pinned beside the
    old key. `dial` makes the connection; by itself only to public addresses. Raises UntrustedHost
    ``sftp.host_key_changed`` for any other key and ``host.not_public``, Unavailable
    ``sftp.unavailable`` when the host cannot be reached or the line breaks while the session is
    in use, SignInRefused ``sftp.sign_in_refused`` when it does not accept our key or password
    (trying again would lock the account), InvalidInput when what we were configured with cannot be
    read. Errors about a file (FileNotFoundError and other
    OSErrors of the server's answer) pass through.
    """
    pinned = [PinnedKey.parse(line) for line in host_key.splitlines() if line.strip()]
    if not pinned:
        raise InvalidInput("sftp.host_key", "no host key is pinned")
    key = load_private_key(private_key_pem) if private_key_pem else None
    transport = _open(lambda: dial(host, port, timeouts.connect_seconds), pinned, timeouts)
    ending = threading.Timer(timeouts.session_seconds or threading.TIMEOUT_MAX, transport.close)
    ending.daemon = True
    if timeouts.session_seconds:
        ending.start()
    try:
        _sign_in(transport, user, key, password)
        with _lines_may_break():
            client = paramiko.SFTPClient.from_transport(transport)
        if client is None:
            raise Unavailable("sftp.unavailable", "the host offers no SFTP")
        channel = client.get_channel()
        if channel is not None:
            channel.settimeout(timeouts.read_seconds)
        with _lines_may_break():
            yield client
    finally:
        ending.cancel()
        transport.close()


@contextmanager
def renewing(
    connect: Callable[[Credential], AbstractContextManager[paramiko.SFTPClient]],
    credential: Credential,
    replaced: Callable[[], Credential | None],
) -> Iterator[paramiko.SFTPClient]:
    """A session that `connect` makes with a credential or, when that is refused, once more with what
    took its place. Raises SignInRefused when nothing did, and what `connect` raises."""
    with ExitStack() as session:
        try:
            client = session.enter_context(connect(credential))
        except SignInRefused:
            other = replaced()
            if other is None:
                raise
            client = session.enter_context(connect(other))
        yield client


def entries(client: paramiko.SFTPClient, path: str) -> Iterator[paramiko.SFTPAttributes]:
    """What a folder holds, a few hundred names at a time, without following links.

    Names are bytes to SFTP: what is not UTF-8 comes with surrogates (as `os.fsdecode` gives it) and
    does not hide the others, as paramiko's own listing would. `wire_name` turns them back.
    """
    kind, message = client._request(CMD_OPENDIR, wire_name(path))  # type: ignore[attr-defined]
    if kind != CMD_HANDLE:
        raise paramiko.SFTPError("the folder was not opened")
    handle = message.get_string()
    while True:
        try:
            _, message = client._request(CMD_READDIR, handle)  # type: ignore[attr-defined]
        except EOFError:
            break
        for _ in range(message.get_int()):
            name = message.get_string().decode("utf-8", "surrogateescape")
            message.get_string()  # the line that `ls -l` would show
            found = paramiko.SFTPAttributes._from_msg(message, name)  # type: ignore[attr-defined]
            if name not in (".", ".."):
                yield found
    client._request(CMD_CLOSE, handle)  # type: ignore[attr-defined]


class EndOfFile(Exception):
    """A file ended before the byte that was asked for."""


def read_ahead(
    client: paramiko.SFTPClient, remote: paramiko.SFTPFile, offset: int, end: int, window: int
) -> Iterator[bytes]:
    """The bytes of an open file from `offset` to `end`, never more than `window` of them under way.

    paramiko's own prefetch holds whatever has come however slowly it is read, and reads in a thread
    whose errors nobody sees. Raises `EndOfFile`, and OSError as the server answers.
    """
    asked: dict[int, tuple[int, int]] = {}  # request -> where and how much
    came: dict[int, bytes] = {}  # where -> bytes that others are still before
    ahead = offset

    def ask(at: int, size: int) -> None:
        number = client._async_request(type(None), CMD_READ, remote.handle, int64(at), size)  # type: ignore[attr-defined]
        asked[number] = (at, size)

    while offset < end:
        while ahead < end and ahead - offset < window:
            ask(ahead, min(_REQUEST, end - ahead))
            ahead += min(_REQUEST, end - ahead)
        kind, packet = client._read_packet()  # type: ignore[attr-defined]
        message = Message(packet)
        at, size = asked.pop(message.get_int(), (-1, 0))
        if at < 0:
            continue  # an answer to what an earlier reader asked and did not wait for
        if kind != CMD_DATA:
            if message.get_int() == SFTP_EOF:
                raise EndOfFile
            message.rewind()
            message.get_int()
            client._convert_status(message)  # type: ignore[attr-defined]
            raise paramiko.SFTPError("neither bytes nor an error")
        came[at] = message.get_string()
        if not came[at]:
            raise EndOfFile
        if len(came[at]) < size:  # a server may give less than it was asked for
            ask(at + len(came[at]), size - len(came[at]))
        while offset in came:
            block = came.pop(offset)
            offset += len(block)
            yield block


def wire_name(path: str) -> bytes:
    """A path as SFTP carries it; see `entries`."""
    return path.encode("utf-8", "surrogateescape")


def load_private_key(pem: str) -> paramiko.PKey:
    """A private key from its text; raises InvalidInput ``sftp.private_key``, never showing it."""
    for key_type in _KEY_TYPES:
        try:
            return key_type.from_private_key(io.StringIO(pem))
        except (paramiko.SSHException, ValueError):
            continue
    raise InvalidInput("sftp.private_key", "the private key is unreadable or of an unknown type")


def _open(
    dial: Callable[[], socket.socket], pinned: list[PinnedKey], timeouts: Timeouts
) -> paramiko.Transport:
    """A transport whose other end has proved one of the pinned keys."""
    with _lines_may_break():
        line = dial()
    try:
        transport = paramiko.Transport(line)
    except BaseException:
        line.close()
        raise
    try:
        transport.daemon = True
        transport.banner_timeout = timeouts.handshake_seconds
        transport.auth_timeout = timeouts.handshake_seconds
        wanted = [a for p in pinned for a in _ALGORITHMS.get(p.type, (p.type,))]
        _ask_for(transport, wanted)
        _shake_hands(transport, timeouts.handshake_seconds)
        shown = transport.get_remote_server_key()
        if not any(shown.asbytes() == p.blob for p in pinned):
            raise _changed()
    except BaseException:
        transport.close()
        raise
    return transport


def _ask_for(transport: paramiko.Transport, algorithms: list[str]) -> None:
    """Offer only what the pinned keys can answer, or a host with several keys shows another."""
    options = transport.get_security_options()
    offered = [a for a in options.key_types if a in algorithms]
    if not offered:
        raise InvalidInput("sftp.host_key", "the pinned host key is of an unsupported type")
    options.key_types = offered


def _shake_hands(transport: paramiko.Transport, seconds: float) -> None:
    try:
        transport.start_client(timeout=seconds)
    except paramiko.ssh_exception.IncompatiblePeer as error:
        if "host key" in str(error):
            raise _changed() from None
        raise Unavailable("sftp.unavailable", "the host speaks no cipher that we do") from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise Unavailable("sftp.unavailable", "the host did not complete the handshake") from error


def _changed() -> UntrustedHost:
    return UntrustedHost("sftp.host_key_changed", "the host showed another key than the pinned one")


def _sign_in(
    transport: paramiko.Transport, user: str, key: paramiko.PKey | None, password: str
) -> None:
    try:
        if key is not None:
            transport.auth_publickey(user, key)
        else:
            transport.auth_password(user, password, fallback=False)
    except paramiko.AuthenticationException as error:
        raise SignInRefused("sftp.sign_in_refused", "the host refused our sign-in") from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise Unavailable("sftp.unavailable", "the line broke while signing in") from error


@contextmanager
def _lines_may_break() -> Iterator[None]:
    """Name a broken line; a server's answer about a file is not one and passes through."""
    try:
        yield
    except (paramiko.SSHException, paramiko.SFTPError, EOFError) as error:
        raise Unavailable("sftp.unavailable", "the line to the host broke") from error
    except (TimeoutError, ConnectionError) as error:
        raise Unavailable("sftp.unavailable", "the line to the host broke") from error
    except socket.gaierror as error:
        raise Unavailable("sftp.unavailable", "the host's name is unknown") from error
    except OSError as error:
        if line_broke(error):
            raise Unavailable("sftp.unavailable", "the line to the host broke") from error
        raise


def line_broke(error: OSError) -> bool:
    """Whether an error is the line's, and not the server's answer about a file."""
    of_line = isinstance(error, TimeoutError | ConnectionError)
    return of_line or str(error) == "Socket is closed" or (error.errno or 0) in _LINE_ERRNOS


#: EPIPE, EHOSTUNREACH, ENETUNREACH, EBADF: errors of the line that are not ConnectionErrors.
_LINE_ERRNOS = frozenset({9, 32, 101, 113})
