"""Whether a mail is from whom it says it is from, and whether the source believes that sender. Pure.

A From header proves nothing. What proves something is the word of the server that received the
mail, which it writes into Authentication-Results (RFC 8601): only a result of the configured server
(`authserv_id`) counts, and only the topmost, which it wrote last; anybody can send along others.
Servers remove results in their own name that come from outside (RFC 8601, 5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pardna.ingestion.mail import Mail
from pardna.ingestion.model import MailPlace

#: In whose name Amazon SES writes results into the mail that it stores.
SES = "amazonses.com"
_COMMENT = re.compile(r"\([^()]*\)")
_RESULT = re.compile(
    r"(?P<method>[a-z0-9-]+)\s*(?:/\s*\d+\s*)?=\s*(?P<result>[a-z]+)(?P<rest>.*)", re.DOTALL
)
#: What SES writes above a mail that it receives, and nobody else can: whom it was for.
_RECEIVED = re.compile(
    rb"by inbound-smtp\.[a-z0-9-]+\.amazonaws\.com\b.*?\bfor\s+<?([^\s<>;@]{1,64})@[^\s<>;@]+>?\s*;",
    re.DOTALL,
)
_HEADER_BYTES = 64 * 1024
_PROPERTY = re.compile(r"(?P<name>[a-z]+\.[a-z0-9-]+)\s*=\s*\"?(?P<value>[^\s;\"]+)\"?")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a mail is not believed; `code` is stable."""

    code: str
    reason: str


def judge(mail: Mail, place: MailPlace, *, by_ses: bool = False) -> Refusal | None:
    """None when the mail is believed.

    The sender must be on the list. Where a trusted server is named (mail that SES stored: SES), it
    must have found DMARC passed, or DKIM or SPF passed for the very domain of the sender or one
    above or below it.
    """
    if not mail.sender:
        return Refusal("mail.sender_unclear", "its sender cannot be told for sure")
    if not is_listed(mail.sender, place.allowed_senders):
        return Refusal("mail.sender", "its sender is not on the list")
    for name, verdict in mail.verdicts.items():
        if verdict == "FAIL" and by_ses:
            return Refusal(f"mail.{name.lower()}", f"the mail server found {name.lower()}")
    trusted = SES if by_ses else place.authserv_id
    if trusted and not is_authentic(mail, trusted):
        return Refusal("mail.not_authentic", "nobody we trust says that it is from there")
    return None


def addressed_to(data: bytes) -> tuple[str, str]:
    """Tenant and source that a mail is for, by the address ``source.tenant@…`` that SES received it
    for; two empty texts when that cannot be told.

    Only the topmost Received header counts: SES writes it last. To and Cc prove nothing.
    """
    head = re.split(rb"\r?\n\r?\n", data[:_HEADER_BYTES], maxsplit=1)[0]
    headers = re.split(rb"\r?\n(?![ \t])", head)
    first = next((h for h in headers if h[:9].lower() == b"received:"), b"")
    found = _RECEIVED.search(first)
    if found is None:
        return "", ""
    source_id, _, tenant_id = found[1].decode("ascii", "replace").lower().partition(".")
    return tenant_id, source_id


def is_listed(sender: str, allowed: Sequence[str]) -> bool:
    """Whether an address, or its very domain, is on a list; case does not matter."""
    domain = "@" + sender.rpartition("@")[2]
    return any(entry.lower() in (sender, domain) for entry in allowed)


def is_authentic(mail: Mail, authserv_id: str) -> bool:
    """Whether the topmost result in the trusted server's name speaks for the sender's domain."""
    domain = mail.sender.rpartition("@")[2]
    for header in mail.results:
        server, _, said = _without_comments(header).partition(";")
        if server.split()[:1] != [authserv_id.lower()]:
            continue
        return any(_speaks_for(domain, part.strip()) for part in said.split(";"))
    return False


def _speaks_for(domain: str, part: str) -> bool:
    match = _RESULT.fullmatch(part)
    if match is None or match["result"] != "pass":
        return False
    found = {p["name"]: p["value"] for p in _PROPERTY.finditer(match["rest"])}
    if match["method"] == "dmarc":
        return _aligned(domain, found.get("header.from", domain))
    if match["method"] == "dkim":
        return _aligned(domain, found.get("header.d") or found.get("header.i", ""))
    if match["method"] == "spf":
        return _aligned(domain, found.get("smtp.mailfrom", ""))
    return False


def _aligned(domain: str, other: str) -> bool:
    """Of one organisation: the same domain, or one below the other (never a whole top level)."""
    other = other.rpartition("@")[2]
    if domain == other:
        return bool(domain)
    shorter, longer = sorted((domain, other), key=len)
    return shorter.count(".") >= 1 and longer.endswith("." + shorter)


def _without_comments(header: str) -> str:
    text, before = header.lower(), ""
    while text != before:
        before, text = text, _COMMENT.sub(" ", text)
    return text
