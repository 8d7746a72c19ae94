"""Mails as banks and forgers write them."""

from __future__ import annotations

from email.message import EmailMessage

BANK = "statements@ncb.example"
#: What the receiving server of tests calls itself.
SERVER = "mx.pardna.example"
PASSED = f"{SERVER}; dkim=pass header.d=ncb.example; spf=pass smtp.mailfrom=ncb.example; dmarc=pass"


def a_mail(
    *attachments: tuple[str, bytes],
    sender: str = f'"NCB eStatements" <{BANK}>',
    results: tuple[str, ...] = (),
    **headers: str,
) -> bytes:
    """A mail with attachments; `results` are Authentication-Results, the last server's first."""
    message = EmailMessage()
    for result in results:
        message["Authentication-Results"] = result
    message["From"] = sender
    message["To"] = "statements@pardna.example"
    message["Subject"] = "Your statement"
    message["Message-ID"] = "<1@ncb.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Dear customer, please find attached.")
    for name, data in attachments:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()
