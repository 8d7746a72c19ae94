"""The composition root of payments."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pardna.approvals.waits import Waits
from pardna.payments.ports import PaymentBook, PaymentFiles
from pardna.payments.service import (
    ChargeCard,
    PaymentStatuses,
    PostPayment,
    UploadPaymentFile,
    WritePaymentFile,
)
from pardna.runtime.attempts import Attempts, DynamoAttempts
from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now
from pardna.runtime.public_hosts import dialer
from pardna.runtime.secrets import Secrets
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.payments.directory import DynamoSourceProfiles


@cache
def write_payment_file() -> WritePaymentFile:
    """In the database's network: PostgreSQL, the bucket, and DynamoDB."""
    from pardna.approvals.dynamodb import DynamoApprovals
    from pardna.payments.second_person import ApprovedBySecondPerson

    approvals = DynamoApprovals(client("dynamodb"), settings().need("workflow_table"))
    return WritePaymentFile(
        _book(), _profiles(), ApprovedBySecondPerson(approvals), _files(), utc_now
    )


@cache
def upload_payment_file() -> UploadPaymentFile:
    """Outside the database's network: the bucket, DynamoDB, secrets and the bank's server."""
    from pardna.payments.dropbox import SftpDropboxes

    boxes = SftpDropboxes(secrets(), dialer(settings().pardna_stage))
    return UploadPaymentFile(_profiles(), _files(), boxes, _attempts())


@cache
def payment_statuses() -> PaymentStatuses:
    """In the database's network: what a bank's answer changes."""
    return PaymentStatuses(_book())


@cache
def post_payment() -> PostPayment:
    """In the database's network."""
    return PostPayment(_book())


@cache
def charge_card() -> ChargeCard:
    """Outside the database's network: Stripe, DynamoDB and secrets."""
    from pardna.payments.stripe_api import StripeCardRail

    profiles = _profiles()

    def key_of(tenant_id: str, source_id: str) -> str:
        return secrets().part(profiles.secret_id(tenant_id, source_id), "api_key")

    return ChargeCard(StripeCardRail(settings().stripe_api_base, key_of), _attempts())


def waits() -> Waits:
    """Machines that wait for a bank's word."""
    from pardna.approvals import wiring

    return wiring.waits()


def drain(tenant_id: str) -> int:
    """Let what was announced leave the database now rather than with the next schedule."""
    from pardna.outbox.wiring import drainer

    return drainer().drain(tenant_id)


@cache
def secrets() -> Secrets:
    """Parts of secrets."""
    return Secrets(client("secretsmanager"))


@cache
def _book() -> PaymentBook:
    from pardna.database.session import from_settings
    from pardna.payments.postgres import PostgresPaymentBook

    return PostgresPaymentBook(from_settings(settings()))


@cache
def _files() -> PaymentFiles:
    from pardna.payments.s3 import S3PaymentFiles

    return S3PaymentFiles(client("s3"), settings().need("packs_bucket"))


@cache
def _profiles() -> DynamoSourceProfiles:
    from pardna.payments.directory import DynamoSourceProfiles

    return DynamoSourceProfiles(client("dynamodb"), settings().need("directory_table"))


def _attempts() -> Attempts:
    return DynamoAttempts(client("dynamodb"), settings().need("workflow_table"))
