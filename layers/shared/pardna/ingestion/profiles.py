"""Use cases of profiles: try one on a sample, save it when the sample could be read, list them.

A saved profile is never changed: what is saved under the same name is its next version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pardna.formats.model import Problem, Statement
from pardna.formats.profile import Profile
from pardna.formats.trial import Trial, TriedRow, try_profile
from pardna.ingestion.card_numbers import mask
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import Conflict, NotFound, RefusedByRule, TooLarge
from pardna.transactions.model import to_dict

SAMPLE_BYTES_MAX = 1024 * 1024
_RACES_MAX = 5


@dataclass(frozen=True, slots=True)
class SavedProfile:
    """One version of a profile; `document` is its JSON."""

    name: str
    version: int
    document: str
    saved_by: str
    saved_at: datetime


class ProfileShelf(Protocol):
    """Saved profiles of tenants. All raise Unavailable."""

    def versions(self, tenant_id: str, name: str = "") -> list[SavedProfile]:
        """Of one name, or all; by name and version."""
        ...

    def add(self, tenant_id: str, saved: SavedProfile) -> bool:
        """Keep a version unless there is one of that number; whether it was kept. One write."""
        ...


@dataclass(frozen=True, slots=True)
class Profiles:
    """The use cases."""

    shelf: ProfileShelf
    clock: Clock

    def get(self, tenant_id: str, name: str, version: int = 0) -> SavedProfile:
        """A saved version, or the latest for 0. Raises NotFound ``profile.not_found``."""
        known = self.shelf.versions(tenant_id, name)
        for saved in reversed(known):
            if version in (0, saved.version):
                return saved
        raise NotFound("profile.not_found", "no profile of this name and version is saved")

    def save(self, tenant_id: str, principal: str, profile: Profile, sample: bytes) -> SavedProfile:
        """Save what reads the sample; the same as the last version again is that version.

        Raises RefusedByRule ``profile.trial_failed`` naming the first row that could not be read,
        UnreadableFile, TooLarge.
        """
        tried = trial(sample, profile)
        if not tried.is_good:
            bad = next((r.problem for r in tried.rows if r.problem is not None), None)
            words = f"{bad.position}: {bad.reason} ({bad.code})" if bad else "no row was read"
            raise RefusedByRule(
                "profile.trial_failed", f"the sample is not read by it: {mask(words)}"
            )
        document = profile.model_dump_json()
        for _ in range(_RACES_MAX):
            known = self.shelf.versions(tenant_id, profile.name)
            if known and known[-1].document == document:
                return known[-1]
            version = known[-1].version + 1 if known else 1
            saved = SavedProfile(profile.name, version, document, principal, self.clock())
            if self.shelf.add(tenant_id, saved):
                return saved
        raise Conflict("profile.raced", "somebody else saves this profile: look again")


def trial(sample: bytes, profile: Profile) -> Trial:
    """Try a profile; nothing is kept. Raises TooLarge, UnreadableFile."""
    if len(sample) > SAMPLE_BYTES_MAX:
        raise TooLarge("profile.sample", f"a sample has at most {SAMPLE_BYTES_MAX} bytes")
    return try_profile(sample, profile)


def trial_report(tried: Trial) -> dict[str, Any]:
    """A trial as plain JSON types: amounts in minor units, card numbers masked."""
    report = {
        "good": tried.is_good,
        "read_count": tried.read,
        "refused_count": tried.refused,
        "sums_minor": dict(sorted(tried.sums_minor.items())),
        "ties": tried.ties,
        "rows": [_row(row) for row in tried.rows],
        "statements": [_statement(s) for s in tried.statements],
        "controls": [_problem(p) for p in tried.controls],
    }
    masked: dict[str, Any] = _masked(report)
    return masked


def saved_report(saved: SavedProfile) -> dict[str, Any]:
    """A saved profile as plain JSON types."""
    return {
        "name": saved.name,
        "version": saved.version,
        "document": saved.document,
        "saved_by": saved.saved_by,
        "saved_at": iso(saved.saved_at),
    }


def _row(row: TriedRow) -> dict[str, Any]:
    if row.transaction is None:
        return {"position": row.position, "problem": row.problem and _problem(row.problem)}
    whole = to_dict(row.transaction)
    for ours in ("tenant_id", "raw_sha256", "raw_position", "source"):
        del whole[ours]  # nothing of a trial is anybody's yet
    return {"position": row.position, "transaction": whole}


def _statement(s: Statement) -> dict[str, Any]:
    return {
        "account": s.account,
        "currency": s.currency,
        "opening_minor": s.opening_minor,
        "entries_minor": s.entries_minor,
        "entries_count": s.entries_count,
        "closing_minor": s.closing_minor,
        "gap_minor": s.gap_minor,
    }


def _problem(p: Problem) -> dict[str, str]:
    return {
        "position": p.position,
        "code": p.code,
        "reason": p.reason,
        "field": p.field,
        "severity": p.severity.value,
    }


def _masked(value: Any) -> Any:
    match value:
        case str():
            return mask(value)
        case Mapping():
            return {key: _masked(inner) for key, inner in value.items()}
        case list():
            return [_masked(inner) for inner in value]
    return value
