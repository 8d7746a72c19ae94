"""MiniStack's Transfer Family: an SFTP server over a bucket, that none of us wrote.

Its folders are looked at and filled through S3, by something that is used as a path is. What a
bucket cannot represent skips the test and says so.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncssh
import boto3
import pytest

from local import processes
from local.emulator import REGION, TOOLS
from local.state import ROOT

ROLE = "arn:aws:iam::000000000000:role/transfer"


@dataclass(frozen=True)
class ObjectPath:
    """A place in a bucket, as much of a `pathlib.Path` as tests of SFTP use."""

    s3: Any
    bucket: str
    key: str = ""

    def __truediv__(self, name: str) -> ObjectPath:
        return replace(self, key=f"{self.key}/{name}" if self.key else name)

    def write_bytes(self, data: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=data)

    def read_bytes(self) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=self.key)["Body"].read())

    def exists(self) -> bool:
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=self.key)
        return any(o["Key"] == self.key for o in found.get("Contents", []))

    def unlink(self) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=self.key)

    def mkdir(self, parents: bool = False) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"{self.key}/")

    def iterdir(self) -> Iterator[ObjectPath]:
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.key}/", Delimiter="/")
        for entry in [*found.get("Contents", []), *found.get("CommonPrefixes", [])]:
            key = (entry.get("Key") or entry["Prefix"].rstrip("/")).removesuffix("/")
            if key != self.key:
                yield replace(self, key=key)

    @contextmanager
    def open(self, mode: str) -> Iterator[io.BytesIO]:
        """For writing (``wb``) and appending (``ab``)."""
        out = io.BytesIO()
        out.write(self.read_bytes() if mode == "ab" else b"")
        yield out
        self.write_bytes(out.getvalue())

    def chmod(self, mode: int) -> None:
        """Folders that everybody may write to are all there are."""
        if mode != 0o777:
            pytest.skip("objects have no permissions: OpenSSH's server has")


@dataclass(frozen=True)
class Account:
    """A user of a server: where it listens, whom it lets in, and what it shows."""

    root: ObjectPath
    port: int
    user: str
    host_key: str
    private_key_pem: str
    host: str = "127.0.0.1"


@dataclass
class TransferFamily:
    """MiniStack while it runs, with one server of Transfer Family."""

    endpoint: str
    port: int
    host_key: str
    server_id: str = ""

    def client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def account(self) -> Account:
        """A new user with a key, at home in a bucket of its own."""
        bucket = user = f"bank-{uuid4().hex[:12]}"
        s3, key = self.client("s3"), asyncssh.generate_private_key("ssh-ed25519")
        s3.create_bucket(Bucket=bucket)
        self.client("transfer").create_user(
            ServerId=self.server_id,
            UserName=user,
            Role=ROLE,
            HomeDirectoryType="LOGICAL",
            HomeDirectoryMappings=[{"Entry": "/", "Target": f"/{bucket}"}],
            SshPublicKeyBody=key.export_public_key().decode(),
        )
        root = ObjectPath(s3, bucket)
        (root / "out").mkdir()
        return Account(root, self.port, user, self.host_key, key.export_private_key().decode())


@contextmanager
def running_transfer_family() -> Iterator[TransferFamily]:
    """MiniStack alone, until the block ends. Skips where it is not installed."""
    python = TOOLS / "python"
    if not python.exists():
        pytest.skip("MiniStack is not here: `make setup` installs it")
    folder = Path(tempfile.mkdtemp(prefix="transfer-"))
    (folder / "tmp").mkdir()
    aws, sftp = processes.free_ports(2)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(folder / "transfer-host-key"))  # the one that is pinned
    program = ROOT / "tests" / "support" / "ministack_with_transfer.py"
    child = processes.spawn(
        "aws",
        [str(python), str(program)],
        mark=str(program),
        log=folder / "aws.log",
        cwd=folder,
        environment=processes.quiet_environment(
            PYTHONPATH=str(ROOT),
            GATEWAY_PORT=str(aws),
            BIND_HOST="127.0.0.1",
            MINISTACK_REGION=REGION,
            PERSIST_STATE="1",
            STATE_DIR=str(folder),
            S3_DATA_DIR=str(folder / "s3"),
            TMPDIR=str(folder / "tmp"),
            SFTP_HOST="127.0.0.1",
            SFTP_PORT=str(sftp),
            IOT_MTLS_ENABLED="0",
        ),
    )
    try:
        endpoint = f"http://127.0.0.1:{aws}"
        processes.wait_until(
            lambda: processes.answers_http(f"{endpoint}/_ministack/health"),
            child=child,
            what="MiniStack",
            deadline_s=45,
        )
        host_key = " ".join(key.export_public_key().decode().split()[:2])
        family = TransferFamily(endpoint, sftp, host_key)
        family.server_id = family.client("transfer").create_server()["ServerId"]
        yield family
    finally:
        processes.stop(child)
        shutil.rmtree(folder, ignore_errors=True)
