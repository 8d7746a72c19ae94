"""A real IMAP server that none of us wrote (pymap), behind TLS, with mail that tests put there.

pymap offers STARTTLS only, so that TLS ends in front of it, as behind any load balancer.
"""

from __future__ import annotations

import imaplib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.processes import free_ports

USER = "statements"
PASSWORD = 'only for tests: \u00e4 " \\'


@dataclass
class ImapServer:
    """Where it listens (TLS), and whose certificate it shows."""

    port: int
    plain_port: int
    certificate: str
    host: str = "localhost"

    @contextmanager
    def session(self) -> Iterator[imaplib.IMAP4]:
        """Somebody else who reads and fills the mailbox."""
        session = imaplib.IMAP4("127.0.0.1", self.plain_port, timeout=20)
        try:
            session.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
            yield session
        finally:
            session.logout()

    def put(self, *mails: bytes, folder: str = "INBOX") -> None:
        """Mails arrive."""
        with self.session() as session:
            for mail in mails:
                status, said = session.append(folder, "", None, mail)  # type: ignore[arg-type]
                assert status == "OK", said

    def lying_in(self, folder: str) -> list[bytes]:
        """All mails of a folder."""
        with self.session() as session:
            if session.select(folder, readonly=True)[0] != "OK":
                return []
            numbers = session.search(None, "ALL")[1][0].split()
            found = []
            for number in numbers:
                lines = session.fetch(number.decode(), "(BODY.PEEK[])")[1]
                found += [bytes(line[1]) for line in lines if isinstance(line, tuple)]
            return found


@contextmanager
def running_imap(folder: Path) -> Iterator[ImapServer]:
    """The server until the block ends."""
    (plain_port,) = free_ports(1)
    program = Path(sys.executable).with_name("pymap")
    process = subprocess.Popen(
        [program, "--no-tls", "--host", "127.0.0.1", "--port", str(plain_port),
         "dict", "--demo-user", USER, "--demo-password", PASSWORD],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(process, plain_port)
        with _tls_in_front(folder, plain_port) as (port, certificate):
            yield ImapServer(port, plain_port, certificate)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(200):
        assert process.poll() is None, "the IMAP server did not start"
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the IMAP server does not answer")


@contextmanager
def _tls_in_front(folder: Path, plain_port: int) -> Iterator[tuple[int, str]]:
    certificate = a_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    door = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve() -> None:
        while True:
            try:
                raw, _ = door.accept()
            except OSError:
                return
            thread = threading.Thread(target=_one, args=(context, raw, plain_port), daemon=True)
            thread.start()
            threads.append(thread)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    try:
        yield door.getsockname()[1], certificate
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        server.join(5)
        for thread in threads:
            thread.join(5)


def _one(context: ssl.SSLContext, raw: socket.socket, plain_port: int) -> None:
    """One connection. A TLS socket is read by one thread and written by the other."""
    try:
        near = context.wrap_socket(raw, server_side=True)
    except OSError:
        raw.close()
        return
    far = socket.create_connection(("127.0.0.1", plain_port))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(64 * 1024):
                sink.sendall(data)
        for end in (near, far):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=pump, args=(far, near), daemon=True)
    back.start()
    pump(near, far)
    back.join(5)
    near.close()
    far.close()


def a_certificate(folder: Path, name: str = "localhost") -> str:
    """A certificate (PEM) that speaks for itself; it and its key lie in `folder` too."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tls.crt").write_bytes(pem)
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem.decode()
