"""The rules that hold for a tenant now, and those that a run has fixed for itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from pardna.matching.desk import RuleBook
from pardna.matching.ports import RunFiles
from pardna.matching.rules import Rules
from pardna.matching.tenant_rules import from_plain, to_plain
from pardna.runtime.errors import NotFound

#: How long a process that matches records as they arrive goes on with rules that it has read.
REMEMBERED_SECONDS = 30.0
_TENANTS_MAX = 1_000

#: A tenant's rules.
RulesOf = Callable[[str], Rules]


class CurrentRules:
    """The version in force with the tenant's aliases: together they are what a run is hashed by."""

    def __init__(self, book: RuleBook, seconds: Callable[[], float]) -> None:
        self._book = book
        self._seconds = seconds
        self._known: dict[str, tuple[float, Rules]] = {}

    def of(self, tenant_id: str) -> Rules:
        """As it stands."""
        current, _ = self._book.numbers(tenant_id)
        found = self._book.version(tenant_id, current)
        if found is None:
            raise NotFound("rules.no_version", f"there is no version {current} of the rules")
        return self.with_aliases(tenant_id, found.rules)

    def with_aliases(self, tenant_id: str, rules: Rules) -> Rules:
        """Other rules of the tenant, with its aliases of now."""
        aliases = tuple(taught.alias for taught in self._book.aliases(tenant_id))
        return replace(rules, aliases=aliases)

    def remembered(self, tenant_id: str) -> Rules:
        """As it stood up to `REMEMBERED_SECONDS` ago."""
        now = self._seconds()
        until, known = self._known.get(tenant_id, (0.0, None))
        if known is not None and now < until:
            return known
        found = self.of(tenant_id)
        if len(self._known) >= _TENANTS_MAX:
            self._known.clear()
        self._known[tenant_id] = (now + REMEMBERED_SECONDS, found)
        return found


def rules_key(tenant_id: str, run_id: str) -> str:
    """Where a run keeps its rules."""
    return f"runs/{tenant_id}/{run_id}/rules.json"


def fix_rules(files: RunFiles, tenant_id: str, run_id: str, rules: Rules) -> None:
    """Write down the rules that a run was planned with; it keeps them whatever changes meanwhile."""
    body = json.dumps(to_plain(rules), sort_keys=True, ensure_ascii=False).encode()
    files.put_once(rules_key(tenant_id, run_id), body)


def fixed_rules(files: RunFiles, tenant_id: str, run_id: str) -> Rules:
    """The rules that a run was planned with. Raises NotFound."""
    body = files.get(rules_key(tenant_id, run_id))
    if body is None:
        raise NotFound("reconciliation.no_rules", f"run {run_id} was never planned")
    return from_plain(json.loads(body))
