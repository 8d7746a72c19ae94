"""A reconciliation run: its identity, its breaks, its proof, its judgement.

A run is a pure function of its inputs: its id is computed from the tenant, the window, the
identities and versions of all transactions, the rules and the reference date. The same inputs
again are the same run, and a run that has finished is not run again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pardna.matching.breaks import break_of_finding
from pardna.matching.codec import finding_from_plain
from pardna.matching.current_rules import fixed_rules
from pardna.matching.model import Break, Pair, Status
from pardna.matching.ports import (
    BreakBook,
    MatchReader,
    Projection,
    Proposals,
    RunBook,
    RunFiles,
    StoredMatch,
)
from pardna.matching.shards import ShardPlan, plan_key
from pardna.runtime.errors import InvalidInput, NotFound
from pardna.transactions.model import Kind, Side

#: How far back a run looks unless it is told.
WINDOW_DAYS = 45
#: Many equal amounts are daily life in a circle; level 4 then asks for a name or a reference.
_HARMLESS = "cap.amounts_shared"
#: Ids that are named in a header; the rest is counted.
NAMED_MAX = 20
#: Pairs that may share legs are matched by one shard, in this order.
GROUPS = ((Pair.INTERNAL_PSP,), (Pair.PSP_BANK, Pair.INTERNAL_BANK))


def run_id(tenant_id: str, first: str, reference_date: str, inputs: str, rules_hash: str) -> str:
    """The id that a run's inputs determine."""
    text = "\x1f".join((tenant_id, first, reference_date, inputs, rules_hash))
    return "r_" + hashlib.sha256(text.encode()).hexdigest()[:32]


#: Days of other years can overflow where days are added to them; no run is about them.
_YEARS = (1970, 2200)


def window(reference_date: str, window_days: int) -> tuple[date, date]:
    """First and last day of a run's window. Raises InvalidInput for what is no date or window."""
    try:
        last = date.fromisoformat(reference_date)
    except ValueError:
        raise InvalidInput("reconciliation.reference_date", "a date is YYYY-MM-DD") from None
    if not 1 <= window_days <= 400:
        raise InvalidInput("reconciliation.window", "a window has 1 to 400 days")
    if not _YEARS[0] <= last.year <= _YEARS[1]:
        raise InvalidInput("reconciliation.reference_date", "a day of our time")
    return last - timedelta(days=window_days), last


@dataclass(frozen=True, slots=True)
class Stores:
    """What runs work with."""

    runs: RunBook
    files: RunFiles
    breaks: BreakBook
    matches: MatchReader
    projection: Projection
    proposals: Proposals


class Reconciliation:
    """The use cases of the machine's states after the matching."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    # ---------------------------------------------------------------- breaks

    def classify(self, tenant_id: str, identifier: str) -> dict[str, Any]:
        """Open a break for each finding, and close those that are explained now. Repeatable."""
        header = self._header(tenant_id, identifier)
        on = date.fromisoformat(header["reference_date"])
        rules = fixed_rules(self._stores.files, tenant_id, identifier)
        found: dict[str, Break] = {}
        for plan in self._plans(tenant_id, identifier):
            for plain in plan.findings:
                finding, legs_count = finding_from_plain(plain)
                made = break_of_finding(finding, legs_count, rules, on, identifier)
                found[made.break_id] = made
        taken = self._taken(tenant_id, list(found.values()))
        current = {
            b.break_id: b
            for b in found.values()
            if not any((b.pair, t) in taken for t in b.transaction_ids)
        }
        opened = sum(self._stores.breaks.put(b) for b in current.values())
        resolved = self._close(tenant_id, identifier, set(current))
        classes = Counter(b.class_.value for b in current.values())
        withdrawn = self._withdraw(tenant_id)
        values = {
            "breaks": dict(classes),
            "opened_count": opened,
            "resolved_count": resolved,
            "withdrawn_count": withdrawn,
        }
        self._stores.runs.change(tenant_id, identifier, lambda _: values)
        return {"outcome": "classified", "breaks_count": len(current), **values}

    def _close(self, tenant_id: str, identifier: str, current: set[str]) -> int:
        """Resolve open breaks of this run's shards that it does not find any more.

        Not of pairs of which a shard did not finish: nobody has looked at all of their legs.
        """
        shards = self._stores.runs.shards(tenant_id, identifier)
        covered = {(pair, s["currency"]) for s in shards for pair in s["pairs"]}
        covered -= {(p, s["currency"]) for s in shards if s["status"] != "done" for p in s["pairs"]}
        gone = [
            b
            for b in self._stores.breaks.listed(tenant_id, "open")
            if b.break_id not in current and (b.pair.value, b.currency) in covered
        ]
        taken = self._taken(tenant_id, gone)
        at = self._header(tenant_id, identifier)["reference_date"]
        resolved = 0
        for b in gone:
            matched = all((b.pair, t) in taken for t in b.transaction_ids)
            how = "matched" if matched else "superseded"
            resolved += self._stores.breaks.resolve(tenant_id, b.break_id, how, at)
        return resolved

    def _withdraw(self, tenant_id: str) -> int:
        """Give up proposals one of whose legs another match has taken since."""
        withdrawn = 0
        for proposal in self._stores.proposals.proposed(tenant_id):
            ids = [(proposal.pair, m.transaction_id) for m in proposal.members][:100]
            if self._stores.projection.taken(tenant_id, ids):
                withdrawn += self._stores.proposals.withdraw(tenant_id, proposal.match_id)
        return withdrawn

    def _taken(self, tenant_id: str, breaks: list[Break]) -> set[tuple[Pair, str]]:
        ids = [(b.pair, t) for b in breaks for t in b.transaction_ids]
        found: set[tuple[Pair, str]] = set()
        for start in range(0, len(ids), 100):
            found |= self._stores.projection.taken(tenant_id, ids[start : start + 100])
        return found

    # ---------------------------------------------------------------- proof

    def prove(self, tenant_id: str, identifier: str) -> dict[str, Any]:
        """Add up every settlement of the run again, from what is stored: each must come to zero."""
        proved: list[str] = []
        unproved: list[str] = []
        for plan in self._plans(tenant_id, identifier):
            for match in plan.matches:
                if match.level != 3 or match.status is not Status.COMMITTED:
                    continue
                stored = self._stores.matches.get(tenant_id, match.match_id)
                if stored is None or stored.status is not Status.COMMITTED:
                    continue
                (proved if settles(stored) else unproved).append(match.match_id)
        values = {
            "settlements_proved_count": len(proved),
            "settlements_unproved_count": len(unproved),
            "settlements_unproved": sorted(unproved)[:NAMED_MAX],
        }
        self._stores.runs.change(tenant_id, identifier, lambda _: values)
        return {"outcome": "unproved" if unproved else "proved", **values}

    # ---------------------------------------------------------------- gate

    def gate(self, tenant_id: str, identifier: str, clearing: str) -> dict[str, Any]:
        """May this run be relied on? ``passed``, or ``held`` with reasons."""
        header = self._header(tenant_id, identifier)
        shards = self._stores.runs.shards(tenant_id, identifier)
        counts = total_of(shards)
        reasons = []
        if unfinished := unfinished_of(shards):
            reasons.append(f"{len(unfinished)} shards did not finish: {unfinished[:NAMED_MAX]}")
        if counts["lost"]:
            reasons.append(f"{counts['lost']} matches lost a leg to another match")
        if header.get("settlements_unproved_count"):
            reasons.append(f"{header['settlements_unproved_count']} settlements do not add up")
        if clearing not in ("posted", "nothing"):
            reasons.append("the ledger refused to clear some matches")
        if any(name.startswith("cap.") and not name.startswith(_HARMLESS) for name in counts):
            reasons.append("a limit cut candidates off")
        outcome = "held" if reasons else "passed"
        values = {"gate": {"outcome": outcome, "reasons": reasons}}
        self._stores.runs.change(tenant_id, identifier, lambda _: values)
        return {"outcome": outcome, "reasons": reasons}

    # ---------------------------------------------------------------- steps

    def _header(self, tenant_id: str, identifier: str) -> Mapping[str, Any]:
        return header_of(self._stores.runs, tenant_id, identifier)

    def _plans(self, tenant_id: str, identifier: str) -> Iterator[ShardPlan]:
        for shard in self._stores.runs.shards(tenant_id, identifier):
            body = self._stores.files.get(plan_key(tenant_id, identifier, int(shard["shard"])))
            if body is not None:
                yield ShardPlan.from_bytes(body)


def settles(match: StoredMatch) -> bool:
    """The provider's members, payout included, come to zero, and the bank shows the payout."""
    psp = [m for m in match.members if m.side is Side.PSP]
    bank = [m for m in match.members if m.side is Side.BANK]
    payouts = [m for m in psp if m.kind is Kind.PAYOUT]
    return (
        len(payouts) == len(bank) == 1
        and sum(m.basis_minor for m in psp) == 0
        and bank[0].basis_minor == -payouts[0].basis_minor
    )


def header_of(runs: RunBook, tenant_id: str, identifier: str) -> Mapping[str, Any]:
    """A run's header. Raises NotFound."""
    header = runs.get(tenant_id, identifier)
    if header is None:
        raise NotFound("reconciliation.no_run", "there is no such run")
    return header


def total_of(shards: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """The shards' counts, added up."""
    total: Counter[str] = Counter()
    for shard in shards:
        total.update(shard.get("counts", {}))
    return total


def unfinished_of(shards: Sequence[Mapping[str, Any]]) -> list[int]:
    """The numbers of the shards that are not done."""
    return [int(s["shard"]) for s in shards if s["status"] != "done"]
