"""Match state in memory: the same promises as the DynamoDB adapter, and failures on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pardna.matching.model import Leg, Match, Pair, Status, identities
from pardna.matching.ports import Committed, LegState
from pardna.runtime.errors import Unavailable
from pardna.transactions.model import Reference

Key = tuple[str, Pair, str]


@dataclass
class _Header:
    match: Match
    status: Status
    version: int


@dataclass
class FakeMatchState:
    """`ports.MatchState`. `fail_next` makes that many calls raise Unavailable."""

    legs: dict[Key, Leg] = field(default_factory=dict)
    held: dict[Key, str] = field(default_factory=dict)
    matches: dict[tuple[str, str], _Header] = field(default_factory=dict)
    fail_next: int = 0
    no_more: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def record(self, legs: Sequence[Leg]) -> dict[Pair, LegState]:
        with self._lock:
            self._maybe_fail()
            reopened = False
            for leg in legs:
                key = _key(leg)
                old = self.legs.get(key)
                if old is None or old.version >= leg.version or key not in self.held:
                    continue
                header = self.matches[(leg.tenant_id, self.held[key])]
                if header.match.pair is leg.pair and old.basis_minor not in (None, leg.basis_minor):
                    reopened |= self.unmatch(leg.tenant_id, self.held[key], "changed")
            states = {leg.pair: self._record_one(leg) for leg in legs}
            if reopened:
                return {
                    p: LegState.REOPENED if s is LegState.OPEN else s for p, s in states.items()
                }
            return states

    def _record_one(self, leg: Leg) -> LegState:
        key, old = _key(leg), self.legs.get(_key(leg))
        stale = old is not None and old.version > leg.version
        if not stale:
            self.legs[key] = leg
        if old is None:
            taken = [
                k
                for p in leg.exclusive
                if (k := (leg.tenant_id, p, leg.transaction_id)) in self.held
            ]
            if taken:
                self.held[key] = self.held[taken[0]]
        if key in self.held:
            return LegState.MATCHED
        return LegState.STALE if stale else LegState.OPEN

    def candidates(self, leg: Leg, reference: Reference) -> list[Leg]:
        with self._lock:
            self._maybe_fail()
            return [
                found
                for found in self.legs.values()
                if (found.tenant_id, found.pair, found.currency)
                == (leg.tenant_id, leg.pair, leg.currency)
                and reference in identities(found)
            ][:11]

    def commit(self, match: Match) -> Committed:
        with self._lock:
            self._maybe_fail()
            key = (match.tenant_id, match.match_id)
            header = self.matches.get(key)
            if header and header.status is match.status:
                return Committed.BEFORE
            if key in self.no_more:
                return Committed.REFUSED
            if match.status is Status.PROPOSED:
                if header and header.status is not Status.ABANDONED:
                    return Committed.LOST
                self.matches[key] = _Header(match, match.status, 0)
                return Committed.NOW
            wanted = [k for leg in match.members for k in _places(leg)]
            if any(k in self.held or k not in self.legs for k in wanted):
                return Committed.LOST
            if any(self.legs[_key(leg)].version != leg.version for leg in match.members):
                return Committed.LOST
            self.held |= dict.fromkeys(wanted, match.match_id)
            version = header.version + 1 if header else 1
            self.matches[key] = _Header(replace(match, version=version), match.status, version)
            return Committed.NOW

    def unmatch(self, tenant_id: str, match_id: str, reason: str) -> bool:
        with self._lock:
            header = self.matches.get((tenant_id, match_id))
            if header is None or header.status is not Status.COMMITTED:
                return False
            header.status = Status.UNMATCHED
            self.held = {k: m for k, m in self.held.items() if m != match_id}
            return True

    def open_legs(self, tenant_id: str, pair: Pair, currency: str) -> Iterator[Leg]:
        with self._lock:
            self._maybe_fail()
            return iter(
                [
                    leg
                    for key, leg in sorted(self.legs.items())
                    if key[:2] == (tenant_id, pair)
                    and leg.currency == currency
                    and key not in self.held
                ]
            )

    def of_transaction(self, tenant_id: str, pair: Pair, transaction_id: str) -> str:
        held = self.held.get((tenant_id, pair, transaction_id), "")
        header = self.matches.get((tenant_id, held))
        return held if header and header.match.pair is pair else ""

    def refused(self, tenant_id: str, pair: Pair) -> frozenset[str]:
        return frozenset(m for t, m in self.no_more if t == tenant_id)

    def _maybe_fail(self) -> None:
        if self.fail_next:
            self.fail_next -= 1
            raise Unavailable("matching.contended", "asked to fail")


def _key(leg: Leg) -> Key:
    return leg.tenant_id, leg.pair, leg.transaction_id


def _places(leg: Leg) -> list[Key]:
    return [_key(leg), *((leg.tenant_id, pair, leg.transaction_id) for pair in leg.exclusive)]
