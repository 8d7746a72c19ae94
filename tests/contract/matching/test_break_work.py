"""What people do about breaks and rules, against a match table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pardna.matching.aliases import applied
from pardna.matching.breaks import updated
from pardna.matching.decisions import GoOn
from pardna.matching.model import Break, BreakClass, Pair, Status
from pardna.matching.rules import default_rules
from pardna.runtime.errors import Conflict, InvalidInput, NotFound, RefusedByRule
from pardna.runtime.paging import encode_cursor
from tests.support.matching import (
    TENANT,
    a_match,
    bank_line,
    charge,
    contribution,
    legs,
    match_table,
    weak,
)
from tests.support.people import Office, a_break, by, said, verbs

WRITE_OFF = ("written_off", "too_small_to_pursue", "Not worth a letter.")


@pytest.fixture
def office() -> Iterator[Office]:
    with match_table() as table:
        yield Office(table)


def missing(office: Office, number: int = 1, amount: int = 90, **more: object) -> Break:
    """A contribution that nothing explains, and its break."""
    [ours] = legs(contribution(number, amount), pair=Pair.INTERNAL_PSP)
    office.record(ours)
    made = a_break(ours, amount=amount, **more)
    assert office.breaks.put(made)
    return made


def seen(office: Office, break_id: str) -> Break:
    found = office.breaks.get(TENANT, break_id)
    assert found is not None
    return found


def test_people_take_breaks_on_and_talk_about_them(office: Office) -> None:
    one = missing(office)
    office.work.assign(by("ann", "1"), one.break_id, "bob")
    office.work.comment(by("bob", "2"), one.break_id, "The bank looks into it.")
    office.work.comment(by("bob", "2"), one.break_id, "The bank looks into it.")
    office.work.comment(by("ann", "3"), one.break_id, "Any news?")
    shown = office.pages.show(TENANT, one.break_id)
    assert shown["owner"] == "bob"
    assert [(a["principal"], a["verb"], a["reason"]) for a in shown["history"]] == [
        ("ann", "assigned", ""),
        ("bob", "commented", "The bank looks into it."),
        ("ann", "commented", "Any news?"),
    ]
    with pytest.raises(InvalidInput, match=r"owner"):
        office.work.assign(by("ann", "4"), one.break_id, "stranger")
    with pytest.raises(InvalidInput, match=r"text: write 1 to 1000"):
        office.work.comment(by("ann", "5"), one.break_id, "x" * 1_001)
    for text in ("", "a\x00b"):
        with pytest.raises(InvalidInput):
            office.work.comment(by("ann", "6"), one.break_id, text)


def test_a_small_resolution_takes_the_legs_out_of_the_books_open_items(office: Office) -> None:
    one = missing(office)
    answer = office.work.resolve(by("ann", "1"), one.break_id, *WRITE_OFF)
    assert said(answer) == "resolved"
    after = seen(office, one.break_id)
    assert (after.status, after.resolution, after.reason_code, after.resolved_by) == (
        "resolved", "written_off", "too_small_to_pursue", "ann",
    )  # fmt: skip
    stored = office.state.get(TENANT, answer["match_id"])
    assert stored is not None
    assert (stored.status, stored.variance_minor, stored.variance_kind) == (
        Status.COMMITTED, 90, "written_off",
    )  # fmt: skip
    assert office.open() == set()
    with pytest.raises(RefusedByRule, match=r"reopen the break"):
        office.unmatching.unmatch(by("ann", "2"), stored.match_id, "no")


def test_a_reopened_break_gives_its_legs_back_to_the_machine(office: Office) -> None:
    one = missing(office)
    with pytest.raises(Conflict, match=r"open"):
        office.work.reopen(by("ann", "0"), one.break_id, "Why not.")
    office.work.resolve(by("ann", "1"), one.break_id, *WRITE_OFF)
    office.work.reopen(by("ann", "2"), one.break_id, "The money has come.")
    assert seen(office, one.break_id) == one
    assert office.open() == {"con_1"}
    assert office.state.refused(TENANT, Pair.INTERNAL_PSP) == frozenset()
    assert [v for _, v, _ in verbs(office, f"break:{one.break_id}")] == ["resolved", "reopened"]
    office.breaks.resolve(TENANT, one.break_id, "matched", "2026-03-03")
    with pytest.raises(RefusedByRule, match=r"unmatch it"):
        office.work.reopen(by("ann", "3"), one.break_id, "No.")


def test_above_the_limit_a_second_person_decides(office: Office) -> None:
    one = missing(office, amount=500)
    answer = office.work.resolve(by("ann", "1"), one.break_id, *WRITE_OFF)
    assert said(answer) == "waiting_for_approval"
    waiting = seen(office, one.break_id)
    assert (waiting.status, waiting.waits_for, waiting.needs_approval) == (
        "open", answer["decision_id"], True,
    )  # fmt: skip
    with pytest.raises(Conflict, match=r"second person"):
        office.work.resolve(by("bob", "2"), one.break_id, *WRITE_OFF)
    [decision] = office.machine.started
    assert office.second_person(decision) == {"outcome": "done", "code": ""}
    assert seen(office, one.break_id).resolution == "written_off"
    assert office.second_person(decision) == {"outcome": "done", "code": ""}
    assert verbs(office, f"break:{one.break_id}") == [
        ("ann", "asked_resolve", ""),
        ("ann", "resolved", "ben"),
    ]


class Dead(BaseException):
    """A process that is no more."""


def test_a_decision_whose_request_died_before_its_machine_was_started_starts_by_itself(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two writes, and nobody asks again."""
    one = missing(office, amount=500)
    with monkeypatch.context() as patch:
        patch.setattr(office.machine, "start", lambda _: (_ for _ in ()).throw(Dead()))
        with pytest.raises(Dead):
            office.work.resolve(by("ann", "1"), one.break_id, *WRITE_OFF)
    assert seen(office, one.break_id).waits_for
    assert not office.machine.started
    go_on = GoOn(office.desk, office.machine)
    assert go_on.sweep(["mby-two"]) == 0, "another tenant's decisions"
    assert [go_on.sweep([TENANT]) for _ in range(2)] == [1, 0]
    [decision] = office.machine.started
    assert decision.decision_id == seen(office, one.break_id).waits_for
    assert office.second_person(decision)["outcome"] == "done"
    office.machine.started.clear()
    assert go_on.sweep([TENANT]) == 0, "it waits no more"


@pytest.mark.parametrize("yes", [True, False])
def test_a_break_waits_no_longer_for_a_decision_that_came_to_nothing(
    office: Office, yes: bool
) -> None:
    one = missing(office, amount=500)
    office.work.resolve(by("ann", "1"), one.break_id, *WRITE_OFF)
    if yes:  # agreed, but the leg has been matched meanwhile
        [theirs] = legs(charge(1, 500), pair=Pair.INTERNAL_PSP)
        office.record(theirs)
        [ours] = legs(contribution(1, 500), pair=Pair.INTERNAL_PSP)
        office.state.commit(a_match(ours, theirs))
    done = office.second_person(office.machine.started[0], yes=yes)
    assert done["outcome"] == ("failed" if yes else "declined")
    assert seen(office, one.break_id) == replace(one, needs_approval=True)


def test_what_cannot_be_resolved_says_why(office: Office) -> None:
    one = missing(office)
    with pytest.raises(InvalidInput, match=r"written_off, adjusted, recovered, not_ours"):
        office.work.resolve(by("ann", "1"), one.break_id, "matched", "x", "y")
    with pytest.raises(InvalidInput, match=r"too_small_to_pursue"):
        office.work.resolve(by("ann", "2"), one.break_id, "written_off", "because", "y")
    with pytest.raises(NotFound):
        office.work.resolve(by("ann", "3"), "b_" + "0" * 32, *WRITE_OFF)
    with pytest.raises(NotFound):
        office.work.resolve(by("eve", "4", tenant_id="other"), one.break_id, *WRITE_OFF)
    unknown = a_break(*legs(contribution(99, 5), pair=Pair.INTERNAL_PSP), amount=5)
    office.breaks.put(unknown)
    with pytest.raises(Conflict, match=r"not arrived"):
        office.work.resolve(by("ann", "5"), unknown.break_id, *WRITE_OFF)


def test_a_break_found_again_opens_again(office: Office) -> None:
    one = missing(office)
    office.work.assign(by("ann", "0"), one.break_id, "bob")
    office.work.resolve(by("ann", "1"), one.break_id, *WRITE_OFF)
    again = replace(one, reason="The record has changed.", due_at="2026-04-01")
    merged = updated(seen(office, one.break_id), again)
    assert merged is not None
    assert (merged.status, merged.owner, merged.due_at) == ("open", "bob", one.due_at)


def test_a_match_by_hand_resolves_the_break_about_its_legs(office: Office) -> None:
    from pardna.matching.people import ManualMatch

    [ours] = legs(contribution(1, 500, "bank"), pair=Pair.INTERNAL_BANK)
    [theirs] = legs(bank_line(1, 500), pair=Pair.INTERNAL_BANK)
    office.record(ours)
    office.record(*legs(bank_line(1, 500)))
    alone, both = a_break(ours), a_break(ours, theirs, class_=BreakClass.AMOUNT_MISMATCH)
    office.breaks.put(alone)
    office.breaks.put(both)
    ids = (ours.transaction_id, theirs.transaction_id)
    office.hand.match(by("ann", "m"), ManualMatch(Pair.INTERNAL_BANK, ids, "Same receipt."))
    assert {seen(office, b.break_id).resolution for b in (alone, both)} == {"matched"}


# ---------------------------------------------------------------- lists


def test_pages_are_stable_filtered_and_end(office: Office) -> None:
    for number in range(7):
        severity = "high" if number % 2 else "low"
        missing(office, number, 90 + number, severity=severity, due_at=f"2026-03-{number + 1:02}")
    collected, cursor = [], ""
    while True:
        page = office.pages.page(TENANT, {"limit": "2", "cursor": cursor})
        collected += [b["amount_minor"] for b in page["breaks"]]
        cursor = page["next"]
        if len(collected) == 2:  # somebody resolves what was shown: nothing is skipped
            office.work.resolve(by("ann", "r"), page["breaks"][0]["break_id"], *WRITE_OFF)
        if not cursor:
            break
    assert collected == [90, 91, 92, 93, 94, 95, 96]
    high = office.pages.page(TENANT, {"severity": "high", "limit": "10"})
    assert {b["amount_minor"] for b in high["breaks"]} == {91, 93, 95}
    late = office.pages.page(TENANT, {"overdue": "true"})["breaks"]
    assert [b["due_at"] for b in late] == [], "the first is resolved, the rest is due later"
    assert office.pages.page("other", {}) == {"breaks": [], "next": ""}


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "!!"},
        {"cursor": encode_cursor(1)},
        {"cursor": encode_cursor("x" * 900)},
        {"cursor": encode_cursor("a\x01b")},
        {"limit": "0"},
        {"limit": "9999"},
        {"status": "all"},
        {"class": "WRONG"},
        {"overdue": "yes"},
    ],
)
def test_forged_queries_are_refused(office: Office, query: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        office.pages.page(TENANT, query)


def test_a_cursor_of_another_tenant_shows_nothing_of_theirs(office: Office) -> None:
    missing(office)
    forged = encode_cursor("2026-01-01#b_0")
    assert office.pages.page("other", {"cursor": forged}) == {"breaks": [], "next": ""}
    forged = encode_cursor(10**6, "2026")
    assert office.matches.page(TENANT, {"cursor": forged}) == {"matches": [], "next": ""}


def test_every_match_is_on_one_page(office: Office) -> None:
    for number in range(9):
        ours, theirs = legs(contribution(number, 500), charge(number, 500), pair=Pair.INTERNAL_PSP)
        office.record(ours, theirs)
        office.state.commit(a_match(ours, theirs))
    collected, cursor = [], ""
    while True:
        page = office.matches.page(TENANT, {"status": "committed", "limit": "2", "cursor": cursor})
        assert len(page["matches"]) <= 2
        collected += [m["match_id"] for m in page["matches"]]
        cursor = page["next"]
        if not cursor:
            break
    assert sorted(collected) == sorted(office.state.of_status(TENANT, Status.COMMITTED))
    assert len(collected) == 9


def test_ageing_counts_and_adds_up(office: Office) -> None:
    missing(office, 1, 100, opened_on="2026-02-27")
    missing(office, 2, 50, opened_on="2026-02-27")
    missing(office, 3, 7, opened_on="2025-01-02", severity="critical", due_at="2025-01-03")
    told = office.pages.ageing(TENANT)
    assert (told["breaks_count"], told["overdue_count"], told["complete"]) == (3, 1, True)
    assert told["buckets"] == [
        {"age_days": "0-1", "severity": "low", "class": "MISSING_PSP", "currency": "JMD", "count": 2, "amount_minor": 150},
        {"age_days": "21+", "severity": "critical", "class": "MISSING_PSP", "currency": "JMD", "count": 1, "amount_minor": 7},
    ]  # fmt: skip


# ---------------------------------------------------------------- rules, aliases

LOOSER = json.dumps({"pairs": [{"pair": "internal~bank", "tolerance_minor": 5}]})


def test_rules_come_into_force_when_a_second_person_agrees(office: Office) -> None:
    assert office.current.of(TENANT) == default_rules()
    answer = office.rules.propose(by("ann", "1"), 1, LOOSER, "The bank rounds.")
    assert (said(answer), answer["version"]) == ("waiting_for_approval", 2)
    assert office.current.of(TENANT) == default_rules(), "nobody has agreed yet"
    assert office.second_person(office.machine.started[0])["outcome"] == "done"
    now = office.current.of(TENANT)
    assert (now.version, now.of(Pair.INTERNAL_BANK).tolerance_minor) == (2, 5)
    assert now.rules_hash == answer["rules_hash"]
    assert office.current.of("other") == default_rules()
    shown = office.rule_list.show(TENANT)
    assert shown["in_force"] == 2
    assert [(v["version"], v["in_force"], v["made_by"]) for v in shown["versions"]] == [
        (2, True, "ann"),
        (1, False, "system:matching"),
    ]
    assert [(a, v, ok) for a, v, ok in verbs(office, "rules")] == [
        ("ann", "brought_into_force", "ben")
    ]
    office.rules.propose(by("ann", "2"), 2, json.dumps(shown["versions"][0]["rules"]), "Same.")
    written = office.book.version(TENANT, 3)
    assert written is not None
    assert replace(written.rules, version=2) == now, "what is shown can be sent back"


def test_of_two_changes_of_one_version_the_second_comes_too_late(office: Office) -> None:
    office.rules.propose(by("ann", "1"), 1, LOOSER, "One.")
    office.rules.propose(by("bob", "2"), 1, LOOSER, "Two.")
    first, second = office.machine.started
    assert office.second_person(second)["outcome"] == "done"
    assert office.second_person(first) == {"outcome": "failed", "code": "rules.overtaken"}
    assert office.current.of(TENANT).version == 3
    with pytest.raises(Conflict, match=r"version 3 is in force"):
        office.rules.propose(by("ann", "4"), 1, LOOSER, "Late.")


def test_rules_that_cannot_be_are_named(office: Office) -> None:
    wrong = {
        "pairs.0.tolerance_bp": {"pairs": [{"pair": "internal~psp", "tolerance_bp": 10_001}]},
        "pairs.0.typo": {"pairs": [{"pair": "internal~psp", "typo": 1}]},
        "pairs.0.pair": {"pairs": [{"pair": "nobody~psp"}]},
        "each pair is named once": {"pairs": [{"pair": "internal~psp"}] * 2},
        "pairs.0.automatic_bp": {"pairs": [{"pair": "psp~bank", "propose_bp": 9_000, "automatic_bp": 1}]},
        "pairs.0.waiting_days": {"pairs": [{"pair": "psp~bank", "waiting_days": 1.5}]},
        "pairs.0.fees.0.tiers.0.bp": {"pairs": [{"pair": "psp~bank", "fees": [{"currency": "JMD", "tiers": [{"up_to_minor": 0, "bp": -1}]}]}]},
        "severities": {"severities": []},
        "severities.1": {"severities": [{"name": n, "amount_minor": 0, "age_days": 0, "sla_days": 1} for n in "ab"]},
        "version": {"version": 7},
        "aliases": {"aliases": []},
    }  # fmt: skip
    for number, (field, rules) in enumerate(wrong.items()):
        with pytest.raises(InvalidInput, match=field):
            office.rules.propose(by("ann", f"w{number}"), 1, json.dumps(rules), "No.")
    with pytest.raises(InvalidInput):
        office.rules.propose(by("ann", "x"), 1, "[" * 10_000, "No.")
    assert office.book.versions(TENANT) == []


def test_an_alias_is_used_until_it_is_taken_back(office: Office) -> None:
    before = office.current.of(TENANT)
    taught = office.aliases.teach(
        by("ann", "1"), "reference", "ACME-JA ltd 2026", "PDN-7K3Q-R01-4", "Their bank prints it."
    )
    rules = office.current.of(TENANT)
    assert rules.rules_hash != before.rules_hash, "a run under other aliases is another run"

    [line] = legs(bank_line(1, 500, weak("text", "Acme Ja Ltd/2026")), pair=Pair.INTERNAL_BANK)
    [seen_as] = applied([line], rules)
    assert [r.value for r in seen_as.references] == ["Acme Ja Ltd/2026", "PDN-7K3Q-R01-4"]
    assert applied([seen_as], rules) == [seen_as]
    with pytest.raises(Conflict, match=r"remove"):
        office.aliases.teach(by("bob", "2"), "reference", "acme ja LTD 2026", "PDN-OTHER", "No.")
    office.aliases.forget(by("bob", "3"), taught["alias_id"], "They changed banks.")
    assert office.current.of(TENANT) == before
    with pytest.raises(NotFound):
        office.aliases.forget(by("bob", "4"), taught["alias_id"], "Again.")
    office.aliases.teach(by("bob", "5"), "reference", "acme ja LTD 2026", "PDN-OTHER", "New.")
    assert verbs(office, f"alias:{taught['alias_id']}") == [
        ("ann", "taught", ""), ("bob", "removed", ""), ("bob", "taught", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value", "stands_for"),
    [
        ("colour", "ABCDEFG", "HIJKLMN"),
        ("reference", "abc", "HIJKLMN"),
        ("reference", "ABCDEFG", "abcdefg!"),
        ("reference", "ABCDEFG", "--------"),
        ("name", "x" * 141, "Somebody"),
        ("name", "line\nbreak", "Somebody"),
    ],
)
def test_an_alias_that_would_join_strangers_is_refused(
    office: Office, kind: str, value: str, stands_for: str
) -> None:
    with pytest.raises(InvalidInput):
        office.aliases.teach(by("ann", "1"), kind, value, stands_for, "why")


def test_history_is_found_by_month_and_never_written_over(office: Office) -> None:
    one = missing(office)
    for number in range(5):
        office.work.comment(by("ann", str(number)), one.break_id, f"Number {number}")
    collected, cursor = [], ""
    while True:
        page = office.matches.history(TENANT, {"month": "2026-03", "limit": "2", "cursor": cursor})
        collected += [a["reason"] for a in page["acts"]]
        cursor = page["next"]
        if not cursor:
            break
    assert collected == [f"Number {n}" for n in range(5)]
    assert office.matches.history("other", {"month": "2026-03"})["acts"] == []
    with pytest.raises(InvalidInput):
        office.matches.history(TENANT, {})
