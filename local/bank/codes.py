"""Bank transaction codes: ISO 20022's external code set, and MT940's three letters.

Source: ISO 20022 external code sets (BankTransactionCode) and SWIFT's list of transaction type
identification codes for field 61.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """Domain, family and sub-family of ISO 20022; the bank's own text; MT940's type."""

    domain: str
    family: str
    sub_family: str
    proprietary: str
    swift: str


CODES = {
    # Received credit transfer: a member pays in.
    "transfer": Code("PMNT", "RCDT", "DMCT", "TRF CR", "NTRF"),
    # Received from a card processor's payout.
    "settlement": Code("PMNT", "RCDT", "DMCT", "ACH CR", "NTRF"),
    # Issued credit transfer: a payment file's instruction.
    "payment": Code("PMNT", "ICDT", "DMCT", "TRF DR", "NTRF"),
    # A returned payment comes back.
    "return": Code("PMNT", "ICDT", "RRTN", "RETURN", "NRTI"),
    # The bank's own charges.
    "charge": Code("ACMT", "MDOP", "CHRG", "CHARGES", "NCHG"),
    "interest": Code("ACMT", "MCOP", "INTR", "INTEREST", "NINT"),
}
