"""A source that points into our own network is refused when it is registered, and when it is visited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pardna.ingestion import mail_wiring, wiring
from pardna.ingestion.imap import ImapMailboxes
from pardna.ingestion.model import MailPlace, SftpPlace
from pardna.ingestion.sftp import SftpFolders
from pardna.payments import wiring as payments
from pardna.payments.dropbox import SftpDropboxes
from pardna.runtime.errors import UntrustedHost
from pardna.runtime.public_hosts import dial_anywhere, dial_public
from pardna.runtime.settings import settings
from tests.fakes.ingestion import FixedSecrets
from tests.integration.ingestion.conftest import BANK, Deployed
from tests.support.ingestion import TENANT, a_bank_source
from tests.support.payments import a_bank
from tests.support.sftp_server import PASSWORD, USER, running_sftp

SECRET = f"/pardna/production/{TENANT}/ncb"
SECRETS = FixedSecrets({SECRET: {"password": PASSWORD}})
MAIL: dict[str, Any] = {
    "host": "127.0.0.1",
    "user": "u",
    "secret_id": SECRET,
    "allowed_senders": ["@ncb.example"],
}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.1.2.3", "::1"])
@pytest.mark.parametrize("channel", ["sftp", "email"])
def test_it_is_not_registered_outside_of_a_laptop(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, channel: str, host: str
) -> None:
    monkeypatch.setenv("PARDNA_STAGE", "production")
    settings.cache_clear()
    body = BANK | {"sftp": BANK["sftp"] | {"host": "8.8.8.8", "secret_id": SECRET}}  # type: ignore[operator]
    assert deployed.register(body)["statusCode"] == 201
    if channel == "sftp":
        body |= {"sftp": body["sftp"] | {"host": host}}
    else:
        body |= {"mail": MAIL | {"host": host}, "channels": ["sftp", "email"]}
    answer = deployed.register(body)
    assert (answer["statusCode"], "host.not_public" in answer["body"]) == (400, True)
    assert wiring.sources().get(TENANT, "ncb").hosts == ("8.8.8.8",)


def test_what_was_registered_before_is_not_visited_and_hears_nothing(tmp_path: Path) -> None:
    with running_sftp(tmp_path) as server:
        place = SftpPlace(server.host, server.port, USER, server.host_key, SECRET, out_dir=".")
        source = a_bank_source(sftp=place)
        with (
            pytest.raises(UntrustedHost, match=r"host\.not_public"),
            SftpFolders(SECRETS).open(source),
        ):
            pass
        box = MailPlace(
            host=server.host, port=server.port, user="u", secret_id=SECRET, allowed_senders=()
        )
        mailbox = a_bank_source(sftp=None, channels=("upload",), mail=box)
        with (
            pytest.raises(UntrustedHost, match=r"host\.not_public"),
            ImapMailboxes(SECRETS).open(mailbox),
        ):
            pass
        bank = a_bank(port=server.port, user=USER, host_key=server.host_key)
        keys = FixedSecrets({bank.sftp.secret_id: {"password": PASSWORD}})
        with (
            pytest.raises(UntrustedHost, match=r"host\.not_public"),
            SftpDropboxes(keys).open(TENANT, bank),
        ):
            pass
        assert server.connections == []
        with SftpFolders(SECRETS, dial=dial_anywhere).open(source):
            assert len(server.connections) == 1


@pytest.mark.parametrize(("stage", "dial"), [("production", dial_public), ("local", dial_anywhere)])
def test_every_visit_is_wired_so(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, stage: str, dial: Any
) -> None:
    for name in ("PARDNA_STAGE", "ARRIVALS_BUCKET", "PACKS_BUCKET", "WORKFLOW_TABLE"):
        monkeypatch.setenv(name, stage)
    caches = (settings, wiring.pull_files, mail_wiring.fetch_mail, payments.upload_payment_file)
    for cached in caches:
        cached.cache_clear()
    assert wiring.pull_files().folders._dial is dial  # type: ignore[attr-defined]
    assert mail_wiring.fetch_mail().mailboxes._dial is dial  # type: ignore[attr-defined]
    assert payments.upload_payment_file().dropboxes._dial is dial  # type: ignore[attr-defined]
    for cached in caches:
        cached.cache_clear()
