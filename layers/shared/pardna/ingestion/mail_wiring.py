"""The composition root of mail."""

from __future__ import annotations

from functools import cache

from pardna.ingestion.retry import Retry
from pardna.ingestion.store_wiring import raw_store, secrets, sources
from pardna.ingestion.take_mail import FetchMail, ReceiveMail, TakeMail
from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now
from pardna.runtime.public_hosts import dialer
from pardna.runtime.settings import settings


@cache
def fetch_mail() -> FetchMail:
    """Outside the database's network: mail servers, secrets, object store, directory."""
    from pardna.ingestion.imap import ImapMailboxes

    taker = TakeMail(raw_store(), utc_now)
    return FetchMail(
        sources(), ImapMailboxes(secrets(), dialer(settings().pardna_stage)), taker, Retry()
    )


@cache
def receive_mail() -> ReceiveMail:
    """Outside the database's network: object stores, directory."""
    from pardna.ingestion.s3_mail import S3MailShelf

    shelf = S3MailShelf(client("s3"), settings().need("arrivals_bucket"))
    return ReceiveMail(sources(), shelf, TakeMail(raw_store(), utc_now))
