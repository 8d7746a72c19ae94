"""Take what mails bring: attachments of senders that the source believes, and no others.

Numbered write boundaries, each of which may be the last thing that a process does:
1. an attachment is kept in the raw store   2. the mail is moved, to the processed or refused ones
Both may be repeated: a mail that was not moved is taken again, and keeps nothing twice. No mail is
ever deleted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pardna.ingestion.mail import MAIL_BYTES_MAX, Mail, read
from pardna.ingestion.mail_ports import Mailbox, Mailboxes, MailShelf
from pardna.ingestion.mail_trust import addressed_to, judge
from pardna.ingestion.model import MailPlace, Receipt, SourceProfile
from pardna.ingestion.ports import RawStore, Sources
from pardna.ingestion.retry import Retry
from pardna.ingestion.visits import due
from pardna.runtime.clock import Clock
from pardna.runtime.deadline import SecondsLeft, for_ever
from pardna.runtime.errors import InvalidInput, NotFound, PardnaError, TooLarge
from pardna.runtime.observability import count, logger

#: Seconds kept to end a session in order.
MARGIN_SECONDS = 30.0
_KEY = re.compile(r"mail/([^/]+)/([^/]+)/([^/]+)")
_BY_ADDRESS = re.compile(r"mail/by-address/([^/]+)")


@dataclass(slots=True)
class Taken:
    """How many mails were looked at and refused, how many attachments were new to us, and how many
    mails are left for the next time."""

    seen_count: int = 0
    refused_count: int = 0
    new_count: int = 0
    left_count: int = 0


@dataclass(frozen=True, slots=True)
class TakeMail:
    """What is done with one mail, by whichever way it came."""

    raw: RawStore
    clock: Clock

    def take(self, profile: SourceProfile, data: bytes, taken: Taken, *, by_ses: bool) -> bool:
        """Keep what a mail brings; False when it is refused. Raises Unavailable."""
        place = _place(profile)
        taken.seen_count += 1
        try:
            mail = read(data, place.include)
        except (InvalidInput, TooLarge) as error:
            return self._refused(profile, taken, error.code)
        refusal = judge(mail, place, by_ses=by_ses)
        if refusal is not None:
            return self._refused(profile, taken, refusal.code)
        for part in mail.ignored:
            logger.info("Attachment ignored", source_id=profile.source_id, error_code=part.code)
            count("MailAttachmentIgnored")
        if not mail.attachments:
            count("MailWithoutAttachment")
        for attachment in mail.attachments:
            receipt = self._receipt(profile, mail, attachment.name, attachment.content_type)
            kept = self.raw.put_named(profile.tenant_id, attachment.data, receipt)  # boundary 1
            taken.new_count += kept.created
        return True

    def too_large(self, profile: SourceProfile, taken: Taken) -> None:
        """A mail that is not even fetched."""
        taken.seen_count += 1
        self._refused(profile, taken, "mail.too_large")

    def _refused(self, profile: SourceProfile, taken: Taken, code: str) -> bool:
        logger.info(
            "Mail refused",
            tenant_id=profile.tenant_id,
            source_id=profile.source_id,
            error_code=code,
        )
        count("MailRefused")
        taken.refused_count += 1
        return False

    def _receipt(self, profile: SourceProfile, mail: Mail, name: str, content_type: str) -> Receipt:
        headers = {"message-id": mail.message_id, "from": mail.sender}
        return Receipt(
            profile.source_id, "email", name, self.clock(), content_type, _ascii(headers)
        )


@dataclass(frozen=True, slots=True)
class FetchMail:
    """Fetch mail from servers."""

    sources: Sources
    mailboxes: Mailboxes
    taker: TakeMail
    retry: Retry

    def fetch(
        self, tenant_id: str = "", source_id: str = "", seconds_left: SecondsLeft = for_ever
    ) -> Taken:
        """Fetch from one source's mailbox, or from every mailbox of every tenant.

        One server's trouble does not stop the others. After the last try ``MailFetchFailed`` is
        counted, and the last error is raised at the end, so that the alarm rings. Raises NotFound
        for an unknown source.
        """
        profiles = due(self.sources, "email", tenant_id, source_id)
        taken, trouble = Taken(), None
        for profile in profiles:
            if profile.mail is None or not profile.mail.host or not profile.enabled:
                continue  # its mail arrives by itself, or is not wanted
            try:
                self.retry.run("mail fetch", lambda p=profile: self._one(p, seconds_left, taken))  # type: ignore[misc]
            except PardnaError as error:
                logger.error(
                    "Mail fetch failed",
                    tenant_id=profile.tenant_id,
                    source_id=profile.source_id,
                    error_code=error.code,
                )
                count("MailFetchFailed")
                trouble = error
        count("MailAttachmentsKept", taken.new_count)
        if trouble is not None:
            raise trouble
        return taken

    def _one(self, profile: SourceProfile, seconds_left: SecondsLeft, taken: Taken) -> None:
        if seconds_left() < MARGIN_SECONDS:
            taken.left_count += 1
            return
        place = _place(profile)
        with self.mailboxes.open(profile, seconds_left() - MARGIN_SECONDS / 2) as box:
            for number, size in box.waiting():
                if seconds_left() < MARGIN_SECONDS:
                    taken.left_count += 1
                    continue
                try:
                    believed = self._take(box, profile, number, size, taken)
                except NotFound:
                    continue  # somebody moved it
                folder = place.processed_folder if believed else place.refused_folder
                box.move(number, folder)  # boundary 2

    def _take(
        self, box: Mailbox, profile: SourceProfile, number: str, size: int, taken: Taken
    ) -> bool:
        if size > MAIL_BYTES_MAX:
            self.taker.too_large(profile, taken)
            return False
        return self.taker.take(profile, box.read(number), taken, by_ses=False)


@dataclass(frozen=True, slots=True)
class ReceiveMail:
    """Take mail that Amazon SES has stored under ``mail/by-address/{message}``, for whomever SES
    received it, or under ``mail/{tenant}/{source}/{message}``."""

    sources: Sources
    shelf: MailShelf
    taker: TakeMail

    def receive(self, key: str) -> Taken:
        """Take one mail and move it to ``mail-processed/`` or ``mail-refused/``.

        Again, or after it was moved, nothing changes. Mail for an address that nobody has is
        refused. Raises InvalidInput for a key that is none of ours, NotFound for an unknown source
        in a key, Unavailable.
        """
        by_address, match = _BY_ADDRESS.fullmatch(key), _KEY.fullmatch(key)
        if by_address is None and match is None:
            raise InvalidInput("mail.key", "not the key of a mail")
        taken = Taken()
        try:
            if by_address is not None:
                return self._by_address(key, by_address[1], taken)
            assert match is not None  # noqa: S101  (for the type checker)
            profile = self.sources.get(match[1], match[2])
            return self._take(key, match[3], profile, taken)
        except _Moved:
            logger.info("Mail was moved before")
            return taken

    def _by_address(self, key: str, message: str, taken: Taken) -> Taken:
        """Anybody can send to any address of the domain: what is not for a source is no failure."""
        try:
            tenant_id, source_id = addressed_to(self._read(key))
            profile = self.sources.get(tenant_id, source_id)
        except (TooLarge, NotFound):
            tenant_id = ""
        if tenant_id:
            return self._take(key, message, profile, taken)
        logger.info("Mail refused", error_code="mail.address")
        count("MailRefused")
        taken.seen_count += 1
        taken.refused_count += 1
        self.shelf.move(key, f"mail-refused/by-address/{message}")  # boundary 2
        return taken

    def _take(self, key: str, message: str, profile: SourceProfile, taken: Taken) -> Taken:
        try:
            data = self._read(key)
            is_wanted = profile.enabled and "email" in profile.channels
            believed = is_wanted and self.taker.take(profile, data, taken, by_ses=True)
        except TooLarge:
            self.taker.too_large(profile, taken)
            believed = False
        target = "mail-processed" if believed else "mail-refused"
        new_key = f"{target}/{profile.tenant_id}/{profile.source_id}/{message}"
        self.shelf.move(key, new_key)  # boundary 2
        count("MailAttachmentsKept", taken.new_count)
        return taken

    def _read(self, key: str) -> bytes:
        try:
            return self.shelf.read(key, MAIL_BYTES_MAX)
        except NotFound:
            raise _Moved from None


class _Moved(Exception):
    """The mail does not lie there any more."""


def _place(profile: SourceProfile) -> MailPlace:
    if profile.mail is None:
        raise InvalidInput("source.mail", "this source has no mailbox")
    return profile.mail


def _ascii(headers: dict[str, str]) -> dict[str, str]:
    """Headers as the object store keeps them: printable, and short."""
    return {n: v.encode("ascii", "replace").decode()[:200] for n, v in headers.items() if v}
