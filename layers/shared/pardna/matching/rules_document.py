"""A rules file as people write it (JSON): columns of both files, and the rules of their pair.

Unknown words are refused, so that a misspelt tolerance is not silently the default.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from pardna.matching.model import Pair
from pardna.matching.rules import FeeSchedule, FeeTier, PairRules, Rail, Rules, Weights, Window
from pardna.matching.tenant_rules import check, document
from pardna.runtime.errors import InvalidInput


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _as(of: Any) -> Callable[[Any], Any]:
    """Reads one of the engine's own values, with the bounds that tenants have."""

    def read(value: Any) -> Any:
        return of(**document(of).model_validate(value).model_dump())

    return read


class ReferenceColumn(_Words):
    """A column that holds a reference; `strong`: it alone identifies the payment."""

    column: str
    type: str
    strong: bool = False


class FileColumns(_Words):
    """Where a file says what. A value that starts with ``=`` is a constant, not a column.

    Without `id`, rows are named by their number. `amount_unit`: ``major`` (10.50) or ``minor``
    (1050). `negate` for files that show money to us as negative.
    """

    amount: str
    day: str
    currency: str
    id: str = ""
    source: str = "=file"
    kind: str = "=transfer"
    batch: str = "="
    name: str = "="
    account: str = "="
    references: tuple[ReferenceColumn, ...] = ()
    amount_unit: Literal["major", "minor"] = "major"
    negate: bool = False
    date_format: str = "%Y-%m-%d"


class WindowWords(_Words):
    """Business days before and after."""

    before: int = Field(ge=0, le=366)
    after: int = Field(ge=0, le=366)


class TierWords(_Words):
    """A tier of a fee schedule."""

    up_to_minor: int = Field(0, ge=0)
    bp: int = Field(0, ge=0, le=10_000)
    flat_minor: int = Field(0, ge=0)


class FeeWords(_Words):
    """A fee schedule."""

    currency: str
    tiers: tuple[TierWords, ...]
    minimum_minor: int = Field(0, ge=0)
    source: str = ""


class RulesDocument(_Words):
    """The whole file."""

    version: int = Field(1, ge=1)
    left: FileColumns
    right: FileColumns
    pair: Pair = Pair.INTERNAL_BANK
    reference_date: date | None = None
    closed_days: tuple[date, ...] = ()
    identity_types: tuple[str, ...] = ("identity",)
    soft_types: tuple[str, ...] = ("reference",)
    identity_window: WindowWords = WindowWords(before=45, after=45)
    rule_window: WindowWords = WindowWords(before=5, after=5)
    rails: tuple[Annotated[Rail, PlainValidator(_as(Rail))], ...] = ()
    weights: Annotated[Weights, PlainValidator(_as(Weights))] = Weights()
    waiting_days: int = Field(3, ge=0)
    tolerance_minor: int = Field(0, ge=0)
    tolerance_bp: int = Field(0, ge=0, le=10_000)
    fees: tuple[FeeWords, ...] = ()
    propose_bp: int = Field(7_000, ge=0, le=10_000)
    automatic_bp: int = Field(9_500, ge=0, le=10_000)
    margin_bp: int = Field(500, ge=0, le=10_000)
    candidates_max: int = Field(16, ge=1, le=1_000)
    subset_max: int = Field(24, ge=0, le=24)
    subset_steps: int = Field(200_000, ge=0, le=10_000_000)

    def rules(self) -> Rules:
        """The engine's rules."""
        own = PairRules(
            self.pair,
            identity_types=self.identity_types,
            identity_window=Window(self.identity_window.before, self.identity_window.after),
            rule_window=Window(self.rule_window.before, self.rule_window.after),
            rails=self.rails,
            weights=self.weights,
            waiting_days=self.waiting_days,
            tolerance_minor=self.tolerance_minor,
            tolerance_bp=self.tolerance_bp,
            soft_types=self.soft_types,
            fees=tuple(
                FeeSchedule(
                    f.currency,
                    tuple(FeeTier(t.up_to_minor, t.bp, t.flat_minor) for t in f.tiers),
                    f.minimum_minor,
                    f.source,
                )
                for f in self.fees
            ),
            propose_bp=self.propose_bp,
            automatic_bp=self.automatic_bp,
            margin_bp=self.margin_bp,
            candidates_max=self.candidates_max,
            subset_max=self.subset_max,
            subset_steps=self.subset_steps,
        )
        rules = Rules(version=self.version, pairs=(own,), closed_days=self.closed_days)
        check(rules)
        return rules


def read_rules(path: Path) -> RulesDocument:
    """Read a rules file; raises InvalidInput naming each thing that is wrong."""
    try:
        return RulesDocument.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput("rules.unreadable", f"{path}: {error.strerror}") from None
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()[:10]
        )
        raise InvalidInput("rules.invalid", f"{path}: {wrong}") from None
