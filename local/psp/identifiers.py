"""Ids that follow from content, so that asking twice makes the same object."""

from __future__ import annotations

import hashlib

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_UPPER = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def derived_id(prefix: str, *parts: object) -> str:
    """`prefix` plus 24 characters of base 62, the length and alphabet of Stripe's own ids."""
    return prefix + _digits(_ALPHABET, 24, parts)


def derived_trace(*parts: object) -> str:
    """A payout's trace id: 15 characters, so that it fits a bank's field of 16."""
    return "STR" + _digits(_UPPER, 12, parts)


def _digits(alphabet: str, length: int, parts: tuple[object, ...]) -> str:
    # The unit separator cannot occur in ids, currencies or numbers, so parts cannot run together.
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    number = int.from_bytes(digest, "big")
    out = []
    for _ in range(length):
        number, remainder = divmod(number, len(alphabet))
        out.append(alphabet[remainder])
    return "".join(out)
