"""Is everything that the truth knows among the legs? What is missing is projected again.

The truth is the canonical transactions; the legs are a projection that a lost message, a poisoned
record or a failure can leave behind. The check also computes what identifies a run's inputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

from pardna.matching.model import Leg, Pair
from pardna.matching.online import MatchOnline
from pardna.matching.ports import Known, Projection, Truth

_CHUNK = 100


@dataclass(frozen=True, slots=True)
class Completeness:
    """What the check found: `projected_count` were missing or old and are there now."""

    transactions_count: int
    projected_count: int
    inputs_hash: str
    currencies: tuple[str, ...]


class CheckCompleteness:
    """The use case of the state "Check completeness"."""

    def __init__(self, truth: Truth, projection: Projection, online: MatchOnline) -> None:
        self._truth = truth
        self._projection = projection
        self._online = online

    def check(self, tenant_id: str, first: date) -> Completeness:
        """Compare every transaction since `first`, by identity and version, and repair.

        Raises Unavailable when a store does not answer; what was repaired until then stays.
        """
        digest, total, repaired = hashlib.sha256(), 0, 0
        currencies: set[str] = set()
        known = iter(self._truth.known(tenant_id, first))
        while chunk := list(islice(known, _CHUNK)):
            for one in chunk:
                digest.update(f"{one.source}\x1f{one.transaction_id}\x1f{one.version}\n".encode())
                currencies.add(one.currency)
            total += len(chunk)
            repaired += self._repair(tenant_id, chunk)
        return Completeness(total, repaired, digest.hexdigest(), tuple(sorted(currencies)))

    def _repair(self, tenant_id: str, chunk: list[Known]) -> int:
        """Project the legs of a chunk that are absent or of an older version; returns how many."""
        versions = {one.transaction_id: one.version for one in chunk}
        legs = self._truth.legs(tenant_id, list(versions))
        stored: dict[tuple[Pair, str], int] = {}
        for start in range(0, len(legs), _CHUNK):
            part = [(leg.pair, leg.transaction_id) for leg in legs[start : start + _CHUNK]]
            stored |= self._projection.versions(tenant_id, part)
        behind = {
            leg.transaction_id
            for leg in legs
            if stored.get((leg.pair, leg.transaction_id), 0) < leg.version
        }
        for _, group in _grouped(leg for leg in legs if leg.transaction_id in behind):
            self._online.take_legs(group)
        return len(behind)


def _grouped(legs: Iterator[Leg]) -> Iterator[tuple[str, tuple[Leg, ...]]]:
    """Legs by transaction, in order of appearance."""
    groups: dict[str, list[Leg]] = {}
    for leg in legs:
        groups.setdefault(leg.transaction_id, []).append(leg)
    for identifier, group in groups.items():
        yield identifier, tuple(group)
