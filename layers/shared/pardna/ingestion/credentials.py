"""What we sign in with at providers, banks and mail servers: replaced by their people, taken up at once.

A credential that the other side does not take may have been replaced since it was read. It is then
read once more, and tried again only if it is another one now: a wrong one that is tried twice may
lock an account.
"""

from __future__ import annotations

from pardna.ingestion.model import SourceProfile
from pardna.runtime.errors import InvalidInput
from pardna.runtime.secrets import RenewableSecrets
from pardna.runtime.secrets import replaced as renewed

#: The parts of a secret that a channel signs in with; of several the first that is there.
PARTS = {"poll": ("api_key",), "sftp": ("private_key", "password"), "email": ("password",)}
_PEM = "-----BEGIN "


def credential_of(secrets: RenewableSecrets, secret_id: str, channel: str) -> tuple[str, ...]:
    """The channel's parts of a secret, empty where there is none. Raises NotFound, Unavailable."""
    return tuple(secrets.part(secret_id, name) for name in PARTS[channel])


def replaced(
    secrets: RenewableSecrets, secret_id: str, channel: str, refused: tuple[str, ...]
) -> tuple[str, ...] | None:
    """The credential that took the place of one that was refused; None when it is still that one."""
    return renewed(secrets, secret_id, lambda: credential_of(secrets, secret_id, channel), refused)


def secret_id_of(profile: SourceProfile, channel: str) -> str:
    """The secret that a source's channel signs in with, and no other of its channels.

    Raises InvalidInput ``source.secret`` for a channel that signs in nowhere, or shares its secret.
    """
    places = {
        "poll": profile.secret_id,
        "sftp": profile.sftp.secret_id if profile.sftp else "",
        "email": profile.mail.secret_id if profile.mail else "",
    }
    secret_id = places.pop(channel, "") if channel in profile.channels else ""
    if not secret_id:
        raise InvalidInput("source.secret", f"this source signs in nowhere by {channel}")
    if secret_id in places.values():
        raise InvalidInput("source.secret", "two channels share this secret: give each its own")
    return secret_id


def part_for(channel: str, secret: str) -> str:
    """What a credential is, by its looks: a private key is PEM, anything else a password."""
    if channel == "sftp":
        return "private_key" if secret.lstrip().startswith(_PEM) else "password"
    return PARTS[channel][0]
