"""What the :86: field of a SWIFT statement says, in the customs that banks have for it.

German banks number subfields (``?20``) and mark SEPA parts inside of them (``EREF+``); Dutch and
Scandinavian ones put names between slashes (``/EREF/``). All else is free text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pardna.formats.text import clean

_GERMAN = re.compile(r"\?(\d{2})")
_SEPA = re.compile(r"(EREF|KREF|MREF|CRED|DEBT|SVWZ|ABWA|ABWE|IBAN|BIC|PURP)\+")
_SLASHED = re.compile(
    r"/(EREF|CREF|KREF|PREF|MREF|IREF|MARF|CSID|REMI|NAME|IBAN|BIC|CNTP|TRTP|ORDP|BENM|ADDR|RTRN"
    r"|PURP|ISDT|ULTC|ULTB|ULTD|NRTX|TRCD|EXCH|ACCW|OCMT|CHGS|ID)/"
)


@dataclass(slots=True)
class Details:
    """What a :86: says."""

    end_to_end: str = ""
    other_references: list[str] = field(default_factory=list)
    description: str = ""
    wrapped: str = ""
    name: str = ""
    account: str = ""


def details(text: str) -> Details:
    """A :86: in any of its customs; free text is a description."""
    joined = text.replace("\n", "") if "\n" in text else text
    if "?" in joined and (
        _GERMAN.search(joined[:12]) or (joined.count("?") > 3 and _GERMAN.search(joined))
    ):
        return _german(joined)
    if "/" in joined and len(parts := _SLASHED.split(joined)) > 1:
        return _slashed(joined, parts)
    return Details(description=clean(text), wrapped=joined)


def _german(joined: str) -> Details:
    """``GVC?00...?20EREF+...?32name``: subfields, then SEPA markers in the remittance ones."""
    parts = _GERMAN.split(joined)
    fields: dict[str, str] = {}
    for code, value in zip(parts[1::2], parts[2::2], strict=False):
        fields[code] = fields.get(code, "") + value
    remittance = "".join(
        v for c, v in sorted(fields.items()) if "20" <= c <= "29" or "60" <= c <= "63"
    )
    marked = _SEPA.split(remittance)
    sepa = dict(zip(marked[1::2], marked[2::2], strict=False))
    return Details(
        end_to_end=clean(sepa.get("EREF"), 200),
        other_references=[sepa.get("KREF", ""), sepa.get("MREF", "")],
        description=clean(sepa.get("SVWZ") or marked[0] or remittance),
        wrapped=remittance,
        name=clean(fields.get("32", "") + fields.get("33", "")),
        account=clean(fields.get("31") or sepa.get("IBAN")),
    )


def _slashed(joined: str, parts: list[str]) -> Details:
    """``/EREF/.../REMI/.../NAME/...``; ``/CNTP/account/bic/name/city/``. Parts: text, name, text …"""
    fields: dict[str, str] = {}
    for code, value in zip(parts[1::2], parts[2::2], strict=True):
        fields.setdefault(code, value.strip("/ "))
    get = fields.get
    party = [*get("CNTP", "").split("/"), "", "", ""] if "CNTP" in fields else ["", "", ""]
    remittance = get("REMI", "")
    if remittance.startswith(("USTD/", "STRD/")):
        remittance = _STRUCTURED.sub("", remittance)
    return Details(
        end_to_end=clean(get("EREF"), 200),
        other_references=[fields[c] for c in _OTHERS if c in fields],
        description=clean(remittance or parts[0] or joined),
        wrapped=joined,
        name=clean(get("NAME") or party[2]),
        account=clean(get("IBAN") or party[0] or get("ACCW", "").partition(",")[0]),
    )


_STRUCTURED = re.compile(r"^(?:USTD|STRD)/+(?:CUR/)?")
_OTHERS = ("PREF", "KREF", "CREF", "IREF", "MARF")
