"""Names of circles and of what belongs to them: each follows from what it names. Pure.

Asking twice therefore finds the same circle, hand, draw and payment.
"""

from __future__ import annotations

import hashlib

from pardna.payments.model import short_code


def circle_id(tenant_id: str, reference: str) -> str:
    """The id that the banker's own reference determines: asking twice finds the same circle."""
    return f"cir-{digest('circle', tenant_id, reference)}"


def codes(tenant_id: str, reference: str) -> list[str]:
    """Short codes to try, in order: four characters that nobody misreads."""
    number = int(hashlib.sha256(f"{tenant_id}\x1f{reference}".encode()).hexdigest(), 16)
    return [short_code(number >> (20 * n), 4) for n in range(12)]


def contribution_id(tenant_id: str, circle: str, number: int, position: int) -> str:
    """The id of a hand in a round of the circle with the id `circle`."""
    return f"con-{digest('contribution', tenant_id, circle, number, position)}"


def draw_id(tenant_id: str, circle: str, number: int) -> str:
    """The id of a round's draw."""
    return f"drw-{digest('draw', f'{tenant_id}/{circle}/{number}')}"


def payment_id(tenant_id: str, circle: str, number: int) -> str:
    """The id of the payment of a round's draw."""
    return f"pay-{digest('payment', f'{tenant_id}/{circle}/{number}')}"


def payment_reference(code: str, number: int, position: int) -> str:
    """What a member writes on a transfer: ``PDN-7K3Q-R01-04``."""
    return f"PDN-{code}-R{number:02d}-{position:02d}"


def end_to_end_id(code: str, number: int) -> str:
    """What a draw carries through the banks: 12 characters, so that every format has room."""
    return f"DRW-{code}-R{number:02d}"


def digest(*parts: str | int) -> str:
    """Twenty hexadecimal digits that these parts alone have."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:20]
