"""OpenSSH's own server, unprivileged, on loopback: an SFTP server that none of us wrote.

Root lends it to ``daemon``, as whom it needs no account of its own; that account has no shell to
start `sftp-server` with, so that the same code runs inside (``internal-sftp``).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from local import debian_tools
from local.processes import free_ports


@dataclass
class OpenSsh:
    """Where it listens and what it shows; `root` is the folder that holds ``out``."""

    root: Path
    port: int
    host_key: str
    private_key_pem: str
    user: str
    host: str = "127.0.0.1"


@contextmanager
def running_openssh() -> Iterator[OpenSsh]:
    """The server until the block ends. Skips the test where it is not installed."""
    sshd, subsystem = debian_tools.sshd(), debian_tools.sftp_server()
    if not sshd or not subsystem:
        pytest.skip("OpenSSH's server is not here: python3 local/debian_tools.py says why")
    # Not below pytest's folders, whose rights another session resets while this one runs.
    folder = Path(tempfile.mkdtemp(prefix="openssh-"))
    account = pwd.getpwnam("daemon") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    is_lent = account.pw_uid != os.getuid()
    host, client = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    for name, content in (
        ("host", host.export_private_key()),
        ("allowed", client.export_public_key()),
    ):
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    (port,) = free_ports(1)
    for path in (folder / "files", folder / "files" / "out"):
        path.mkdir()
        path.chmod(0o777)
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
        f"PidFile none\nAuthorizedKeysFile {folder}/allowed\nStrictModes no\n"
        "PasswordAuthentication no\nPubkeyAuthentication yes\nUsePAM no\nLogLevel ERROR\n"
        f"Subsystem sftp {'internal-sftp' if is_lent else subsystem} -d {folder}/files\n"
    )
    if is_lent:
        folder.chmod(0o755)
        for path in folder.iterdir():
            os.chown(path, account.pw_uid, account.pw_gid)
    lent = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if is_lent else {}
    process = subprocess.Popen(
        [sshd, "-D", "-e", "-f", str(folder / "config")],
        env=os.environ | {"LD_LIBRARY_PATH": debian_tools.library_path()},
        stderr=subprocess.PIPE,
        **lent,  # type: ignore[call-overload]
    )
    try:
        _wait_for(process, port)
        key = " ".join(host.export_public_key().decode().split()[:2])
        yield OpenSsh(
            folder / "files", port, key, client.export_private_key().decode(), account.pw_name
        )
    finally:
        process.terminate()
        process.wait(10)
        if process.stderr:
            process.stderr.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    import socket

    for _ in range(200):
        if process.poll() is not None:
            said = process.stderr.read().decode() if process.stderr else ""
            pytest.fail(f"OpenSSH's server did not start: {said}")
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("OpenSSH's server does not answer")
