"""Money: an integer number of minor units plus an ISO 4217 currency.

There is no float and no true division here. Splitting an amount is `allocate`, which keeps the
total to the last minor unit; mixing currencies raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

#: The largest amount that the product carries: what PostgreSQL's ``bigint`` holds.
MINOR_MAX = 2**63 - 1

#: ISO 4217 exponents that are not two. Everything else that is a known code has two.
_EXPONENTS = {
    "BHD": 3, "BIF": 0, "CLF": 4, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3,
    "JPY": 0, "KMF": 0, "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0, "TND": 3,
    "UGX": 0, "UYI": 0, "UYW": 4, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip

_CODES = frozenset(
    [
        "AED",
        "AFN",
        "ALL",
        "AMD",
        "ANG",
        "AOA",
        "ARS",
        "AUD",
        "AWG",
        "AZN",
        "BAM",
        "BBD",
        "BDT",
        "BGN",
        "BHD",
        "BIF",
        "BMD",
        "BND",
        "BOB",
        "BRL",
        "BSD",
        "BTN",
        "BWP",
        "BYN",
        "BZD",
        "CAD",
        "CDF",
        "CHF",
        "CLF",
        "CLP",
        "CNY",
        "COP",
        "CRC",
        "CUP",
        "CVE",
        "CZK",
        "DJF",
        "DKK",
        "DOP",
        "DZD",
        "EGP",
        "ERN",
        "ETB",
        "EUR",
        "FJD",
        "FKP",
        "GBP",
        "GEL",
        "GHS",
        "GIP",
        "GMD",
        "GNF",
        "GTQ",
        "GYD",
        "HKD",
        "HNL",
        "HTG",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "IQD",
        "IRR",
        "ISK",
        "JMD",
        "JOD",
        "JPY",
        "KES",
        "KGS",
        "KHR",
        "KMF",
        "KPW",
        "KRW",
        "KWD",
        "KYD",
        "KZT",
        "LAK",
        "LBP",
        "LKR",
        "LRD",
        "LSL",
        "LYD",
        "MAD",
        "MDL",
        "MGA",
        "MKD",
        "MMK",
        "MNT",
        "MOP",
        "MRU",
        "MUR",
        "MVR",
        "MWK",
        "MXN",
        "MYR",
        "MZN",
        "NAD",
        "NGN",
        "NIO",
        "NOK",
        "NPR",
        "NZD",
        "OMR",
        "PAB",
        "PEN",
        "PGK",
        "PHP",
        "PKR",
        "PLN",
        "PYG",
        "QAR",
        "RON",
        "RSD",
        "RUB",
        "RWF",
        "SAR",
        "SBD",
        "SCR",
        "SDG",
        "SEK",
        "SGD",
        "SHP",
        "SLE",
        "SOS",
        "SRD",
        "SSP",
        "STN",
        "SVC",
        "SYP",
        "SZL",
        "THB",
        "TJS",
        "TMT",
        "TND",
        "TOP",
        "TRY",
        "TTD",
        "TWD",
        "TZS",
        "UAH",
        "UGX",
        "USD",
        "UYI",
        "UYU",
        "UYW",
        "UZS",
        "VES",
        "VND",
        "VUV",
        "WST",
        "XAF",
        "XCD",
        "XCG",
        "XOF",
        "XPF",
        "YER",
        "ZAR",
        "ZMW",
        "ZWG",
    ]
)

#: Locale tables print several dollars as a bare ``$``; a statement must never be ambiguous.
_SYMBOLS = {"JMD": "J$", "USD": "US$", "CAD": "CA$", "TTD": "TT$", "BBD": "BDS$", "GBP": "£", "EUR": "€"}  # fmt: skip


class MoneyError(ValueError):
    """An amount or currency that cannot be money, or an operation across currencies."""


_DIGITS = {code: _EXPONENTS.get(code, 2) for code in _CODES}


def exponent(currency: str) -> int:
    """Number of minor-unit digits of an ISO 4217 `currency`; raises MoneyError if unknown."""
    if currency not in _DIGITS:
        raise MoneyError(f"unknown currency {currency!r}")
    return _DIGITS[currency]


def minor_from_text(text: str, currency: str) -> int:
    """Minor units of a plain decimal such as ``"1000.50"``; exact, never rounded.

    Raises MoneyError for anything but digits with an optional sign and point, for more decimals
    than the currency has (unless they are zeros), and beyond `MINOR_MAX`.
    """
    digits = _DIGITS.get(currency)
    if digits is None:
        raise MoneyError(f"unknown currency {currency!r}")
    # As nearly all are written.
    whole, _, part = text.partition(".")
    plain = whole + part
    if len(plain) < 15 and len(part) <= digits:
        if plain.isdigit() and plain.isascii():
            return int(plain if len(part) == digits else whole + part.ljust(digits, "0"))
        if whole[:1] == "-" and (body := plain[1:]).isdigit() and body.isascii():
            return -int(body if len(part) == digits else whole[1:] + part.ljust(digits, "0"))
    if not text or not set(text) <= set("+-.0123456789") or len(text) > 40:
        raise MoneyError(f"not a decimal amount: {text[:40]!r}")
    try:
        scaled = Decimal(text).scaleb(digits)
    except InvalidOperation:
        raise MoneyError(f"not a decimal amount: {text[:40]!r}") from None
    minor = int(scaled)
    if minor != scaled:
        raise MoneyError(f"{text} has more than {digits} decimals, which {currency} does not have")
    return _bounded(minor)


def _bounded(minor: int) -> int:
    if not -MINOR_MAX <= minor <= MINOR_MAX:
        raise MoneyError(f"amount of {minor} minor units is out of range")
    return minor


@dataclass(frozen=True, slots=True)
class Money:
    """`amount_minor` minor units (cents) of `currency`; signed.

    >>> str(Money(123456, "JMD"))
    'J$1,234.56'
    """

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int:
            raise MoneyError(f"minor units are integers, not {type(self.amount_minor).__name__}")
        exponent(self.currency)
        _bounded(self.amount_minor)

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Money from a plain decimal; see `minor_from_text`."""
        return cls(minor_from_text(text, currency), currency)

    def __add__(self, other: Money) -> Money:
        return Money(self.amount_minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount_minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount_minor, self.currency)

    def __mul__(self, times: int) -> Money:
        if type(times) is not int:
            raise MoneyError("money multiplies by integers only; use allocate to split")
        return Money(self.amount_minor * times, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount_minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount_minor <= self._same(other)

    def _same(self, other: Money) -> int:
        if self.currency != other.currency:
            raise MoneyError(f"cannot combine {self.currency} with {other.currency}")
        return other.amount_minor

    def decimal_text(self) -> str:
        """Plain decimal with the currency's digits, as ISO 20022 wants it: ``-1234.56``."""
        digits = exponent(self.currency)
        sign, minor = ("-" if self.amount_minor < 0 else ""), abs(self.amount_minor)
        if digits == 0:
            return f"{sign}{minor}"
        whole, part = divmod(minor, 10**digits)
        return f"{sign}{whole}.{part:0{digits}d}"

    def __str__(self) -> str:
        plain = self.decimal_text()
        sign, plain = ("-", plain[1:]) if plain.startswith("-") else ("", plain)
        whole, point, part = plain.partition(".")
        symbol = _SYMBOLS.get(self.currency, f"{self.currency} ")
        return f"{sign}{symbol}{int(whole):,}{point}{part}"


def allocate(total: Money, weights: Sequence[int]) -> list[Money]:
    """Split `total` by integer `weights` without losing a minor unit.

    Remainder rule: largest remainders get one minor unit each, ties to the earlier position.
    Raises MoneyError when no weight is positive or one is negative.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise MoneyError("weights must be non-negative and not all zero")
    sign, amount = (-1 if total.amount_minor < 0 else 1), abs(total.amount_minor)
    shares = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % whole), i))
    for position in by_remainder[: amount - sum(shares)]:
        shares[position] += 1
    return [Money(sign * share, total.currency) for share in shares]


def total(amounts: Iterable[Money], currency: str) -> Money:
    """Sum of `amounts`, which must all be of `currency`; zero of it when there are none."""
    result = Money(0, currency)
    for amount in amounts:
        result = result + amount
    return result
