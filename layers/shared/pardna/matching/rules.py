"""Matching rules as data: what each pair compares, how exactly, and how long it waits.

Plain frozen values, hashed over their canonical JSON, so that a run can say under which rules it
ran. Days are business days (Monday to Friday without `closed_days`), amounts are minor units,
shares are basis points. `rules_document` reads them from outside.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from dataclasses import asdict, dataclass
from datetime import date, timedelta

from pardna.matching.model import Pair


@dataclass(frozen=True, slots=True)
class FeeTier:
    """Up to `up_to_minor` (inclusive; 0: no limit) a fee is `bp` of the amount plus `flat_minor`."""

    up_to_minor: int
    bp: int
    flat_minor: int = 0


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """What a provider keeps of an amount in one currency: the first tier that holds it decides.

    Without tiers it is the minimum alone. `source` limits it to right legs of one source; "" is every
    source.
    """

    currency: str
    tiers: tuple[FeeTier, ...]
    minimum_minor: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        if not self.tiers:
            object.__setattr__(self, "tiers", (FeeTier(0, 0),))

    def fee_minor(self, amount_minor: int) -> int:
        """The fee of a positive amount, half a minor unit rounded up; zero for others."""
        if amount_minor <= 0:
            return 0
        for tier in self.tiers:
            if tier.up_to_minor == 0 or amount_minor <= tier.up_to_minor:
                fee = (amount_minor * tier.bp + 5_000) // 10_000 + tier.flat_minor
                return max(fee, self.minimum_minor)
        return self.minimum_minor


@dataclass(frozen=True, slots=True)
class Window:
    """How many business days the right side may come before and after the left."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Rail:
    """The windows of one rail (``card``, ``ach``, ``wire``): for pairs of which a leg says so by a
    reference of type ``rail``; the first that fits counts."""

    rail: str
    before: int
    after: int
    waiting_days: int


@dataclass(frozen=True, slots=True)
class Weights:
    """What level 4 adds up to a confidence, in basis points; what is ``against`` is taken off.

    `amount_bp` is where every candidate starts: its amount agrees. A reference is a part of the other's,
    two edits away, another, or missing on one side; names are the same, alike, or others. `day_bp` is for the
    same day, less `against_day_bp` for each business day between.
    """

    amount_bp: int = 5_000
    reference_part_bp: int = 3_000
    reference_two_edits_bp: int = 2_000
    against_reference_bp: int = 2_500
    against_reference_missing_bp: int = 1_000
    name_same_bp: int = 1_500
    name_alike_bp: int = 1_000
    against_name_bp: int = 1_500
    day_bp: int = 1_000
    against_day_bp: int = 200

    @property
    def best_bp(self) -> int:
        """What everything that speaks for a pair comes to."""
        reference = max(self.reference_part_bp, self.reference_two_edits_bp)
        name = max(self.name_same_bp, self.name_alike_bp)
        return self.amount_bp + reference + name + self.day_bp


@dataclass(frozen=True, slots=True)
class PairRules:
    """The rules of one pair.

    `identity_types`: strong reference types that are an identity, best first (empty: the pair's own).
    `tolerance_minor` and `tolerance_bp`: a difference up to the larger is accepted at level 2, if
    a reference agrees. `waiting_days`: how long a leg may stand alone before it is missing. `rails`
    replace `rule_window` and `waiting_days` for legs that say their rail.
    `right_breaks`: whether right legs that nothing explains are reported by this pair.
    `soft_types`: reference types that level 2 compares after normalisation.
    Level 4 weighs by `weights`, proposes from `propose_bp`, and decides alone only from `automatic_bp` with a margin of
    `margin_bp` and some shared reference. `component_max`: above it, assignment is by mutual best.
    `candidates_max`: candidates of one leg that are looked at; a cap that is hit is reported.
    """

    pair: Pair
    identity_types: tuple[str, ...] = ()
    identity_window: Window = Window(45, 45)
    rule_window: Window = Window(5, 5)
    rails: tuple[Rail, ...] = ()
    waiting_days: int = 3
    tolerance_minor: int = 0
    tolerance_bp: int = 0
    soft_types: tuple[str, ...] = ("payment_reference", "order", "customer", "text")
    fees: tuple[FeeSchedule, ...] = ()
    right_breaks: bool = True
    weights: Weights = Weights()
    propose_bp: int = 7_000
    automatic_bp: int = 9_500
    margin_bp: int = 500
    component_max: int = 200
    candidates_max: int = 16
    subset_max: int = 24
    subset_steps: int = 200_000


@dataclass(frozen=True, slots=True)
class Severity:
    """From which unexplained amount (minor units) and age (business days) a break is what."""

    name: str
    amount_minor: int
    age_days: int
    sla_days: int


@dataclass(frozen=True, slots=True)
class Alias:
    """What a ``reference`` or a ``name`` that reads `value` also stands for (see `aliases`)."""

    kind: str
    value: str
    stands_for: str


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a tenant. `severities` are ordered from mild to grave; the gravest that applies
    by amount or by age counts."""

    version: int = 1
    pairs: tuple[PairRules, ...] = ()
    closed_days: tuple[date, ...] = ()
    severities: tuple[Severity, ...] = (
        Severity("low", 0, 0, 10),
        Severity("medium", 100_000, 5, 5),
        Severity("high", 1_000_000, 10, 2),
        Severity("critical", 10_000_000, 20, 1),
    )
    write_off_approval_minor: int = 0
    aliases: tuple[Alias, ...] = ()

    def of(self, pair: Pair) -> PairRules:
        """The pair's rules; the defaults when the tenant has not said anything."""
        return next((r for r in self.pairs if r.pair is pair), PairRules(pair))

    @property
    def rules_hash(self) -> str:
        """SHA-256 over canonical JSON, first 16 hex digits; equal rules are equal bytes."""
        rules, said = _last_hashed[0]
        if rules is not self:  # a run asks for the hash of the same rules with every match
            text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), default=str)
            said = hashlib.sha256(text.encode()).hexdigest()[:16]
            _last_hashed[0] = self, said
        return said


_last_hashed: list[tuple[Rules | None, str]] = [(None, "")]


class BusinessDays:
    """Counts business days; `ordinal` differences are distances, as SQL can take them too."""

    def __init__(self, closed_days: tuple[date, ...] = ()) -> None:
        self._closed = sorted(d for d in set(closed_days) if d.weekday() < 5)

    def ordinal(self, day: date) -> int:
        """Business days from the start of time up to and including `day`."""
        weeks, rest = divmod(day.toordinal(), 7)  # ordinal 1 is a Monday
        return weeks * 5 + min(rest, 5) - bisect_right(self._closed, day)

    def between(self, first: date, second: date) -> int:
        """Business days from `first` to `second`; negative when `second` is earlier."""
        return self.ordinal(second) - self.ordinal(first)

    def add(self, day: date, count: int) -> date:
        """The `count`-th business day after `day`."""
        target = self.ordinal(day) + count
        while self.ordinal(day) < target:
            day += timedelta(days=1)
        return day


def default_rules() -> Rules:
    """What a tenant has that has said nothing: exact amounts, a fee's tolerance nowhere."""
    return Rules(
        version=1,
        pairs=(
            PairRules(Pair.INTERNAL_PSP, waiting_days=3),
            PairRules(Pair.INTERNAL_BANK, waiting_days=3),
            PairRules(Pair.PSP_BANK, waiting_days=5, right_breaks=False),
        ),
    )
