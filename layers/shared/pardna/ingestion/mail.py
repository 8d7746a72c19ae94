"""What a mail says: who sent it, what a server we trust found out about that, and what is attached.

Pure, and made for mail that nobody can trust: everything is counted before the parser of the
standard library sees it (nested parts, parts, lengths of headers), so that no mail costs more than
its size. Names of attachments are only shown; no path is ever made of one.

Sources: RFC 5322 (From), RFC 2045 and 2183 (parts), RFC 8601 (Authentication-Results).
"""

from __future__ import annotations

import email
import email.policy
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.header import decode_header
from email.message import Message
from fnmatch import fnmatchcase

from pardna.formats import archive
from pardna.formats.recognise import is_archive
from pardna.runtime.errors import PardnaError, TooLarge, UnreadableFile

#: Bytes; Amazon SES takes 40 MB, and hardly anybody more.
MAIL_BYTES_MAX = 40 * 1024 * 1024
ATTACHMENTS_MAX = 100
_HEADER_BYTES_MAX = 256 * 1024
_LINES_MAX = 1_000_000
_PARTS_MAX = 1_000
#: The standard library's time for parameters grows with the square of their length.
_PARAMETERS_MAX = 8 * 1024
_NESTED_MAX = 30
_SEPARATOR = re.compile(rb"^--", re.MULTILINE)
_NESTING = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.MULTILINE | re.IGNORECASE)
_CONTENT = re.compile(rb"^content-[a-z-]+:[^\n]*(?:\n[ \t][^\n]*)*", re.MULTILINE | re.IGNORECASE)
#: Characters of one value of a header that are looked at.
_VALUE_MAX = 4_000
#: What mail programs wrap around, and no statement is ever in.
_NEVER = {
    "application/ms-tnef": "Outlook's own packing (winmail.dat): ask for plain attachments",
    "application/pkcs7-signature": "a signature",
    "application/x-pkcs7-signature": "a signature",
    "application/pgp-signature": "a signature",
    "application/pkcs7-mime": "encrypted: we have no key",
    "application/x-pkcs7-mime": "encrypted: we have no key",
    "application/pgp-encrypted": "encrypted: we have no key",
}
_ADDRESS = re.compile(
    r"(?:(?:\"(?:[^\"\\\r\n]|\\.)*\"|[^<>@\",;:\"]*)\s*<(?P<angle>[^<>@\s\",;:]+@[^<>@\s\",;:]+)>"
    r"|(?P<bare>[^<>@\s\",;:]+@[^<>@\s\",;:]+))"
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a mail; `name` is safe to show."""

    name: str
    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A part that is not taken, and why; `code` is for counting."""

    name: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mail:
    """What counts of a mail. `sender` is lower case, and empty when it cannot be told for sure.

    `results` are the Authentication-Results in the order of the mail (the last server's first),
    `verdicts` those that Amazon SES adds.
    """

    message_id: str
    sender: str
    results: tuple[str, ...] = ()
    verdicts: dict[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def read(data: bytes, include: Sequence[str] = ("*",)) -> Mail:
    """Read a mail; attachments are those whose name matches `include`, archives unpacked.

    Raises TooLarge ``mail.too_large``, ``mail.parts``, ``mail.nested``, UnreadableFile
    ``mail.malformed``.
    """
    _judge_size(data)
    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
        found = list(_leaves(message))
        attachments, ignored = _sorted_out(found, include)
    except (RecursionError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableFile("mail.malformed", "not a mail that anybody can read") from error
    return Mail(
        message_id=_text(message, "Message-ID")[:200],
        sender=sender_of([str(v) for v in message.get_all("From", [])]),
        results=tuple(
            _unfolded(str(v))[:_VALUE_MAX] for v in message.get_all("Authentication-Results", [])
        ),
        verdicts={
            name: _text(message, f"X-SES-{name}-Verdict").upper() for name in ("Spam", "Virus")
        },
        attachments=tuple(attachments),
        ignored=tuple(ignored),
    )


def sender_of(values: Sequence[str]) -> str:
    """The one address of the one From header, lower case; empty when there is any doubt.

    Two headers, two addresses, an address in somebody's displayed name: mail programs differ in
    which of them they show, and that is what forgers use.
    """
    if len(values) != 1 or len(values[0]) > _VALUE_MAX:
        return ""
    match = _ADDRESS.fullmatch(_unfolded(values[0]).strip())
    if match is None:
        return ""
    address = (match["angle"] or match["bare"]).lower()
    return address if address.isascii() and address.isprintable() else ""


def _judge_size(data: bytes) -> None:
    if len(data) > MAIL_BYTES_MAX:
        raise TooLarge("mail.too_large", "a mail has at most 40 MB")
    # The parser takes a bare carriage return for the end of a line, so it counts as one here.
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if data.count(b"\n") > _LINES_MAX:
        raise TooLarge("mail.lines", f"more than {_LINES_MAX} lines in a mail")
    header, _, _ = data.partition(b"\n\n")
    long = max((len(found[0]) for found in _CONTENT.finditer(data)), default=0)
    if len(header) > _HEADER_BYTES_MAX or long > _PARAMETERS_MAX:
        raise TooLarge("mail.header", "a header without end")
    if sum(1 for _ in _SEPARATOR.finditer(data)) > 2 * _PARTS_MAX:
        raise TooLarge("mail.parts", f"more than {_PARTS_MAX} parts in a mail")
    if sum(1 for _ in _NESTING.finditer(data)) > _NESTED_MAX:
        raise TooLarge("mail.nested", "mails in mails in mails")


def _leaves(message: Message) -> Iterator[Message]:
    """Parts that hold no parts, without recursion, at most so many."""
    waiting, seen = [message], 0
    while waiting:
        part = waiting.pop(0)
        seen += 1
        if seen > _PARTS_MAX:
            raise TooLarge("mail.parts", f"more than {_PARTS_MAX} parts in a mail")
        _read_as_utf8(part)
        inside = part.get_payload()
        if part.is_multipart() and isinstance(inside, list):
            waiting += [p for p in inside if isinstance(p, Message)]
        else:
            yield part


def _read_as_utf8(part: Message) -> None:
    """Bytes that stand in a header as they are, against the rules, are mostly UTF-8."""
    for name, value in list(part.raw_items()):
        if isinstance(value, str) and not value.isascii() and name.lower().startswith("content-"):
            text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            part.replace_header(name, text)


def _sorted_out(
    parts: Sequence[Message], include: Sequence[str]
) -> tuple[list[Attachment], list[Ignored]]:
    taken: list[Attachment] = []
    ignored: list[Ignored] = []
    left = archive.BYTES_MAX
    for part in parts:
        kind, given = part.get_content_type(), part.get_filename()
        name = _name(given or "")
        if (
            not given
            and part.get_content_disposition() != "attachment"
            and kind.startswith("text/")
        ):
            continue  # what the mail says to people
        reason = _NEVER.get(kind) or (
            name.lower() == "winmail.dat" and _NEVER["application/ms-tnef"]
        )
        if reason:
            ignored.append(Ignored(name, "mail.wrapping", str(reason)))
            continue
        data = part.get_payload(decode=True)
        if not isinstance(data, bytes):
            ignored.append(Ignored(name, "mail.part", "a part without bytes"))
            continue
        for found in _unpacked(Attachment(name, data, kind), left):
            left -= len(found.data)
            if any(fnmatchcase(found.name, pattern) for pattern in include):
                taken.append(found)
            else:
                ignored.append(
                    Ignored(found.name, "mail.not_asked", "not what the source asks for")
                )
        if len(taken) + len(ignored) > ATTACHMENTS_MAX:
            raise TooLarge("mail.attachments", f"more than {ATTACHMENTS_MAX} attachments")
    return taken, ignored


def _unpacked(attachment: Attachment, left: int) -> Iterator[Attachment]:
    """The files of an archive, or the attachment itself; an archive that is broken or a bomb is
    taken as it is, so that it is kept and refused with a reason like any file."""
    is_packed = is_archive(attachment.data[:4]) and not attachment.name.lower().endswith(".xlsx")
    if not is_packed:
        yield attachment
        return
    try:
        inside = list(archive.members(io.BytesIO(attachment.data)))
        too_much = len(inside) > ATTACHMENTS_MAX or sum(len(m.data) for m in inside) > left
    except PardnaError:
        inside, too_much = [], False
    if not inside or too_much:
        yield attachment
        return
    gz = attachment.name[:-3] if attachment.name.lower().endswith(".gz") else attachment.name
    for member in inside:
        yield Attachment(gz if member.name == "data" else member.name, member.data, "")


def _name(given: str) -> str:
    """A file's name as people see it: decoded, its last part, without control characters."""
    try:
        parts = [
            text.decode(charset or "ascii", "replace") if isinstance(text, bytes) else text
            for text, charset in decode_header(_unfolded(given[:_VALUE_MAX]))
        ]
        decoded = "".join(parts)
    except (LookupError, ValueError):
        decoded = given
    decoded = decoded.encode("utf-8", "replace").decode("utf-8", "replace")
    last = re.split(r"[/\\]", decoded)[-1]
    shown = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip(" .")
    return shown[:200] or "attachment"


def _text(message: Message, name: str) -> str:
    return _unfolded(str(message.get(name, ""))[:_VALUE_MAX]).strip()


def _unfolded(value: str) -> str:
    return re.sub(r"[\r\n]+[ \t]*", " ", value)
