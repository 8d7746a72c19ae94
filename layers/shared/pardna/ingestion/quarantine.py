"""Use cases of quarantine: list what was put aside; correct, release or discard it, once.

A decision has one write boundary: a database transaction that holds the canonical transactions, the
news of them, the decision, and what became of the rows. The news leave after it, here or by the
schedule. Nothing that anybody does in between can make a row count twice.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pardna.formats.controls import breaks_control
from pardna.formats.items import collect
from pardna.formats.model import Parsed, Problem
from pardna.formats.profile import read_profile
from pardna.formats.streaming import open_stream
from pardna.ingestion import quarantine_model as model
from pardna.ingestion.model import RawKey, Receipt, SourceProfile
from pardna.ingestion.ports import Drain, RawStore, Sources
from pardna.ingestion.quality import Judged, judge_expected
from pardna.ingestion.quality_gate import QualityGate
from pardna.ingestion.quarantine_model import Action, Asked, Decision, Entry, Scope, Status
from pardna.ingestion.quarantine_ports import (
    Effect,
    QuarantineBook,
    QuarantineEffects,
    QuarantineList,
)
from pardna.runtime.errors import (
    Conflict,
    InvalidInput,
    PardnaError,
    RefusedByRule,
    TooLarge,
    Unavailable,
)
from pardna.runtime.observability import count, logger
from pardna.transactions.ports import DeliveryStatus

#: A file that is read again while somebody waits for the answer.
BYTES_MAX = 16 * 1024 * 1024
DRAIN_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Reading:
    """A file with some corrections: everything that it says, and what of it counts."""

    parsed: Parsed
    judged: Judged
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    """The bytes as they came, and what they are read by."""

    data: bytes
    receipt: Receipt
    profile: SourceProfile


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The use cases."""

    rows: QuarantineList
    book: QuarantineBook
    effects: QuarantineEffects
    raw: RawStore
    sources: Sources
    gate: QualityGate
    relay: Drain

    def decide(self, tenant_id: str, principal: str, asked: Asked, cause: str) -> Decision:
        """Decide about a row or its file; the same request again gives the same decision.

        What changes money, or lets count what does not add up, is only proposed: `confirm` by
        a second person makes it true. Raises NotFound, Conflict ``quarantine.decided`` (somebody was
        faster) and ``quarantine.text``, RefusedByRule (``quarantine.still_wrong``,
        ``quarantine.touches_good_row``, ``quarantine.card_number``), TooLarge, Unavailable.
        """
        request_hash = asked.request_hash(principal)
        known = self.book.by_request(tenant_id, request_hash)
        if known is not None:
            return known
        entry = self.rows.entry(tenant_id, asked.quarantine_id)
        if entry.status != Status.OPEN:
            raise Conflict("quarantine.decided", f"this row is {entry.status}")
        made = self.book.decisions(tenant_id, entry.raw_sha256)
        replacements: tuple[model.Replacement, ...] = ()
        needs_second, effect = False, Effect()
        if asked.action is Action.DISCARD:
            effect = Effect(resolved=self._open(tenant_id, entry, asked.scope))
        else:
            replacements, needs_second, effect = self._replay(tenant_id, entry, asked, made)
        decision = Decision(
            decision_id="",
            raw_sha256=entry.raw_sha256,
            quarantine_id=entry.quarantine_id,
            action=asked.action,
            scope=asked.scope,
            replacements=replacements,
            reason=asked.reason,
            request_hash=request_hash,
            needs_second=needs_second,
            proposed_by=principal,
            proposed_at=entry.created_at,
            state="proposed" if needs_second else "done",
        )
        if needs_second:
            count("QuarantineProposed")
            return self.book.propose(tenant_id, principal, decision, len(made))
        return self._settle(tenant_id, principal, decision, effect, len(made), cause)

    def confirm(
        self, tenant_id: str, principal: str, quarantine_id: str, decision_id: str, cause: str
    ) -> Decision:
        """A second person agrees; again changes nothing. Raises as `decide` does, NotFound for a
        decision about another row, and RefusedByRule ``quarantine.own_proposal``."""
        decision = self._proposal(tenant_id, quarantine_id, decision_id)
        if decision.state == "done":
            return decision
        if decision.state != "proposed":
            raise Conflict("quarantine.decided", f"this proposal is {decision.state}")
        model.check_second(decision, principal)
        made = self.book.decisions(tenant_id, decision.raw_sha256)
        for done in made:
            if done.decision_id == decision.decision_id:  # another was faster just now
                return done
        before, after = self._before_and_after(tenant_id, decision, made)
        entry = self.rows.entry(tenant_id, decision.quarantine_id)
        effect = self._effect(tenant_id, entry, decision.action, before, after)
        return self._settle(tenant_id, principal, decision, effect, len(made), cause)

    def withdraw(
        self, tenant_id: str, principal: str, quarantine_id: str, decision_id: str
    ) -> Decision:
        """Take one's own proposal back: its row is open again; again changes nothing.

        Raises NotFound, NotPermitted ``quarantine.others_proposal``, Conflict
        ``quarantine.decided``.
        """
        model.check_proposer(self._proposal(tenant_id, quarantine_id, decision_id), principal)
        return self.book.withdraw(tenant_id, principal, decision_id)

    def reject(
        self, tenant_id: str, principal: str, quarantine_id: str, decision_id: str, reason: str
    ) -> Decision:
        """A second person turns a proposal down: its row is open again; again changes nothing.

        Raises InvalidInput ``quarantine.reason``, NotFound, RefusedByRule
        ``quarantine.own_proposal``, Conflict ``quarantine.decided``.
        """
        model.check_reason(reason)
        model.check_second(self._proposal(tenant_id, quarantine_id, decision_id), principal)
        return self.book.reject(tenant_id, principal, decision_id, reason)

    def _proposal(self, tenant_id: str, quarantine_id: str, decision_id: str) -> Decision:
        decision = self.book.decision(tenant_id, decision_id)
        model.check_subject(decision, quarantine_id)
        return decision

    def _replay(
        self, tenant_id: str, entry: Entry, asked: Asked, made: Sequence[Decision]
    ) -> tuple[tuple[model.Replacement, ...], bool, Effect]:
        if asked.action is Action.RELEASE and entry.code == "card.number":
            raise RefusedByRule("quarantine.card_number", "a card number never counts: correct it")
        file = self._file(tenant_id, entry)
        base = _patched(file.data, made)
        changed, replacements = base, list[model.Replacement]()
        if asked.changes:
            text = model.Text.of(base)
            for change in asked.changes:
                replacements.append(text.resolve(change))
                text.apply(replacements[-1])
            changed = text.to_bytes()
        released = _is_released(made)
        key = RawKey(tenant_id, entry.raw_sha256)
        before = self._read(key, file, base, released)
        after = self._read(key, file, changed, released or asked.action is Action.RELEASE)
        effect = self._effect(tenant_id, entry, asked.action, before, after)
        money = asked.action is Action.RELEASE or _money(before.parsed) != _money(after.parsed)
        return tuple(replacements), money, effect

    def _before_and_after(
        self, tenant_id: str, decision: Decision, made: Sequence[Decision]
    ) -> tuple[Reading, Reading]:
        entry = self.rows.entry(tenant_id, decision.quarantine_id)
        file = self._file(tenant_id, entry)
        key = RawKey(tenant_id, entry.raw_sha256)
        with_it = [*made, decision]
        before = self._read(key, file, _patched(file.data, made), _is_released(made))
        after = self._read(key, file, _patched(file.data, with_it), _is_released(with_it))
        return before, after

    def _effect(
        self, tenant_id: str, entry: Entry, action: Action, before: Reading, after: Reading
    ) -> Effect:
        """What changes, if it may; see `decide` for what is raised."""
        if after.refusal:
            raise RefusedByRule("quarantine.still_wrong", f"the file is refused: {after.refusal}")
        wrong = {(r.position, r.code): r for r in after.judged.rejected}
        known = {(r.position, r.code) for r in before.judged.rejected}
        mine = (entry.position, entry.code)
        if action is Action.CORRECT and (
            mine in wrong or (not before.refusal and wrong.keys() - known)
        ):
            first = wrong.get(mine) or wrong[min(wrong.keys() - known)]
            raise RefusedByRule(
                "quarantine.still_wrong", f"{first.position}: {first.reason} ({first.code})"
            )
        good = {t.transaction_id: t.content_hash for t in before.judged.transactions}
        fresh = {t.transaction_id: t for t in after.judged.transactions}
        if any(i not in fresh or fresh[i].content_hash != h for i, h in good.items()):
            words = "it would change a row that counts already"
            raise RefusedByRule("quarantine.touches_good_row", words)
        added = tuple(t for i, t in fresh.items() if i not in good)
        still = set(wrong)
        if action is Action.RELEASE:
            still = {p for p in still if not _is_whole(p[1])}
            if not added:
                raise RefusedByRule("quarantine.nothing", "there is no row that could count")
        ids = self.rows.open_entries(tenant_id, entry.raw_sha256)
        resolved = tuple(e.quarantine_id for e in ids if (e.position, e.code) not in still)
        return Effect(added, resolved, after.judged)

    def _settle(
        self,
        tenant_id: str,
        principal: str,
        decision: Decision,
        effect: Effect,
        made_count: int,
        cause: str,
    ) -> Decision:
        done = self.effects.settle(tenant_id, principal, decision, effect, made_count, cause)
        count("QuarantineDecided")
        logger.info(
            "Quarantined rows decided",
            tenant_id=tenant_id,
            raw_sha256=decision.raw_sha256,
            action=decision.action.value,
            new_count=done.new_count,
            changed_count=done.changed_count,
        )
        try:
            self.relay.drain(tenant_id, DRAIN_MAX)
        except Unavailable as error:  # it is decided; the schedule lets the news leave
            logger.info("Outbox not drained", tenant_id=tenant_id, error_code=error.code)
        return done

    def _open(self, tenant_id: str, entry: Entry, scope: Scope) -> tuple[str, ...]:
        if scope is Scope.ROW:
            return (entry.quarantine_id,)
        found = self.rows.open_entries(tenant_id, entry.raw_sha256)
        return tuple(e.quarantine_id for e in found)

    def _file(self, tenant_id: str, entry: Entry) -> _File:
        profile = self.sources.get(tenant_id, entry.source_id)
        with self.raw.open(RawKey(tenant_id, entry.raw_sha256)) as found:
            if found.size > BYTES_MAX:
                raise TooLarge(
                    "quarantine.too_large", "send a corrected file: this one is too large to reread"
                )
            return _File(found.file().read(), found.receipt, profile)

    def _read(self, key: RawKey, file: _File, data: bytes, released: bool) -> Reading:
        """By the same reader and gate as when it came."""
        origin = file.profile.origin(key.raw_sha256)
        layout = read_profile(file.profile.layout) if file.profile.layout else None
        try:
            name, items = open_stream(io.BytesIO(data), origin, layout)
            parsed = collect(name, items)
        except InvalidInput as error:
            problem = Problem(error.code, "file", error.detail)
            return Reading(Parsed("", problems=(problem,)), _nothing(), error.detail)
        except PardnaError as error:
            raise RefusedByRule("quarantine.still_wrong", error.detail) from None
        expected = self.gate.known(key, io.BytesIO(data), file.receipt, file.profile)
        return Reading(parsed, judge_expected(parsed, replace(expected, released=released)))


def _nothing() -> Judged:
    return Judged(DeliveryStatus.REFUSED, (), (), (), ())


def _patched(data: bytes, decisions: Iterable[Decision]) -> bytes:
    """The file with all corrections that were made, in their order."""
    changes = [r for d in decisions for r in d.replacements]
    if not changes:
        return data
    text = model.Text.of(data)
    for change in changes:
        text.apply(change)
    return text.to_bytes()


def _is_released(decisions: Iterable[Decision]) -> bool:
    return any(d.action is Action.RELEASE for d in decisions)


def _is_whole(code: str) -> bool:
    """Whether a code speaks against totals, which a release overrides, and not against a row."""
    return code.startswith("statement.") or breaks_control(Problem(code, "", ""))


def _money(parsed: Parsed) -> Counter[tuple[str, int, str, str]]:
    """What moves, whatever else the rows say."""
    return Counter(
        (t.source, t.amount_minor, t.currency, (t.value_date or t.occurred_at.date()).isoformat())
        for t in parsed.all_transactions
    )
