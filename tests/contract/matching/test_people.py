"""What people do to matches, against a match table: once, alone, in a race, and half-way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.client import BaseClient

from pardna.matching.identity import sole_counterpart
from pardna.matching.model import Leg, Pair, Status
from pardna.matching.people import ManualMatch
from pardna.matching.ports import Committed
from pardna.matching.rules import default_rules
from pardna.runtime.errors import (
    AlreadyDecided,
    Conflict,
    InvalidInput,
    NotFound,
    PardnaError,
    RefusedByRule,
)
from tests.support.matching import (
    GROUP_MAX,
    TENANT,
    a_match,
    bank_line,
    charge,
    contribution,
    legs,
    match_table,
    payout,
    strong,
)
from tests.support.people import Office, by, said, verbs

WRITES = {"TransactWriteItems", "UpdateItem", "PutItem"}


class Killed(BaseException):
    """A process that is no more."""


class Calls:
    """Every call to AWS: one at a time, and none after the process has died."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        lock, original = threading.Lock(), BaseClient._make_api_call

        def guarded(client: object, operation: str, parameters: dict[str, Any]) -> object:
            with lock:
                if operation in WRITES and self.left is not None:
                    if self.left == 0:
                        raise Killed
                    self.left -= 1
                return original(client, operation, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", guarded)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


@pytest.fixture
def office(calls: Calls) -> Iterator[Office]:
    with match_table() as table:
        yield Office(table)


def a_pair(office: Office, ours: int = 500, theirs: int = 500) -> tuple[Leg, Leg]:
    """A contribution and a charge that no reference joins."""
    made = (
        legs(contribution("left", ours), pair=Pair.INTERNAL_PSP)[0],
        legs(charge("right", theirs), pair=Pair.INTERNAL_PSP)[0],
    )
    office.record(*made)
    return made


def asks(*some: Leg, variance: int = 0, kind: str = "") -> ManualMatch:
    ids = tuple(leg.transaction_id for leg in some)
    return ManualMatch(some[0].pair, ids, "The same receipt.", variance, kind)


def put_to(office: Office, request: ManualMatch, key: str = "k", who: str = "ann") -> Any:
    return office.hand.match(by(who, key, [request.transaction_ids]), request)


# ---------------------------------------------------------------- match by hand


def test_a_match_by_hand_closes_its_legs_and_says_who_and_why(office: Office) -> None:
    pair = a_pair(office)
    answer = put_to(office, asks(*pair))
    assert said(answer) == "waiting_for_approval", "their strong references contradict each other"
    assert office.open() == {"con_left", "txn_right"}
    done = office.second_person(office.machine.started[0])
    assert done == {"outcome": "done", "code": ""}
    assert office.open() == set()
    stored = office.state.get(TENANT, office.machine.started[0].subject.removeprefix("match:"))
    assert stored is not None
    assert (stored.status, stored.level, stored.rule_id) == (Status.COMMITTED, 0, "manual")
    assert "The same receipt." in stored.explanation["sentence"]
    assert verbs(office, f"match:{stored.match_id}") == [
        ("ann", "asked_match", ""),
        ("ann", "matched", "ben"),
    ]


def lines(office: Office, *amounts: int, of: int = 0) -> tuple[Leg, ...]:
    """A draw of ours, and the bank's lines that paid it in parts."""
    total = of or sum(amounts)
    [ours] = legs(contribution("x", total, "bank"), pair=Pair.INTERNAL_BANK)
    theirs = [
        leg
        for n, amount in enumerate(amounts)
        for leg in legs(bank_line(f"{n:02}", amount), pair=Pair.INTERNAL_BANK)
    ]
    office.record(ours)
    for n, amount in enumerate(amounts):
        office.record(*legs(bank_line(f"{n:02}", amount)))
    return (ours, *theirs)


@pytest.mark.parametrize("parts", [2, GROUP_MAX + 3], ids=["small", "large"])
def test_many_legs_are_matched_by_hand_and_taken_back(office: Office, parts: int) -> None:
    members = lines(office, *[100] * parts)
    answer = put_to(office, asks(*members))
    assert said(answer) == "committed"
    assert office.open(Pair.INTERNAL_BANK) == office.open(Pair.PSP_BANK) == set()
    again = office.unmatching.unmatch(by("ann", "u"), answer["match_id"], "Two payers.")
    assert said(again) == "unmatched"
    assert len(office.open(Pair.INTERNAL_BANK)) == parts + 1
    assert len(office.open(Pair.PSP_BANK)) == parts
    stored = office.state.get(TENANT, answer["match_id"])
    assert stored is not None
    assert (stored.status, stored.version) == (Status.UNMATCHED, 1)


def test_the_same_request_again_is_the_same_answer_and_does_nothing(office: Office) -> None:
    members = lines(office, 100, 400)
    first = put_to(office, asks(*members))
    office.unmatching.unmatch(by("ann", "u"), first["match_id"], "Wrong.")
    assert put_to(office, asks(*members)) == first
    assert len(office.open(Pair.INTERNAL_BANK)) == 3, "the repeated request matched again"
    with pytest.raises(Conflict, match=r"key_reused"):
        put_to(office, asks(*members[:2]))
    assert said(put_to(office, asks(*members), key="another")) == "committed"


def test_what_does_not_fit_is_refused_with_what_to_do(office: Office) -> None:
    members = lines(office, 100, 400, of=505)
    with pytest.raises(RefusedByRule, match=r"variance_minor 5 ") as caught:
        put_to(office, asks(*members))
    assert caught.value.fields == {"difference_minor": 5}
    with pytest.raises(InvalidInput, match=r"variance_kind"):
        put_to(office, asks(*members, variance=5))
    with pytest.raises(InvalidInput, match=r"variance_kind"):
        put_to(office, asks(*members, variance=5, kind="gift"))
    with pytest.raises(RefusedByRule, match=r"one_side"):
        put_to(office, asks(*members[1:]))
    with pytest.raises(InvalidInput, match=r"each of them once"):
        put_to(office, asks(members[0], members[0]))
    with pytest.raises(NotFound, match=r"no_leg"):
        office.hand.match(by("ann", "n"), ManualMatch(Pair.INTERNAL_BANK, ("a", "b"), "why"))
    [dollars] = legs(bank_line("usd", 500, currency="USD"), pair=Pair.INTERNAL_BANK)
    office.record(*legs(bank_line("usd", 500, currency="USD")))
    with pytest.raises(RefusedByRule, match=r"currencies"):
        put_to(office, asks(members[0], dollars))
    answer = put_to(office, asks(*members, variance=5, kind="rounding"))
    stored = office.state.get(TENANT, answer["match_id"])
    assert stored is not None
    assert (stored.variance_minor, stored.variance_kind) == (5, "rounding")


def test_a_remainder_above_the_limit_waits_for_a_second_person(office: Office) -> None:
    members = lines(office, 100, 400, of=601)
    request = asks(*members, variance=101, kind="fee")
    assert said(put_to(office, request)) == "waiting_for_approval"
    assert put_to(office, request) == put_to(office, request)
    [decision] = office.machine.started
    assert (decision.amount_minor, decision.requested_by) == (101, "ann")
    assert office.second_person(decision, yes=False) == {"outcome": "declined", "code": ""}
    assert len(office.open(Pair.INTERNAL_BANK)) == 3
    assert verbs(office, f"decision:{decision.decision_id}")[-1] == ("ann", "declined", "")


def test_nobody_approves_what_they_asked_for(office: Office) -> None:
    put_to(office, asks(*lines(office, 100, 400, of=601), variance=101, kind="fee"))
    with pytest.raises(PardnaError, match=r"not_approved"):
        office.second_person(office.machine.started[0], by="ann")
    assert len(office.open(Pair.INTERNAL_BANK)) == 3


def test_what_was_approved_too_late_fails_and_says_so(office: Office) -> None:
    members = lines(office, 100, 400, of=601)
    put_to(office, asks(*members, variance=101, kind="fee"))
    rival = put_to(office, asks(members[0], members[1], variance=501, kind="fee"), key="k2")
    assert said(rival) == "waiting_for_approval"
    first, second = office.machine.started
    assert office.second_person(second) == {"outcome": "done", "code": ""}
    assert office.second_person(first) == {"outcome": "failed", "code": "matching.leg_taken"}
    assert office.second_person(first) == {"outcome": "failed", "code": "matching.leg_taken"}


def test_a_settlement_by_hand_must_come_to_its_payout(office: Office) -> None:
    charges = [charge(n, 500, fee=20, payout="po_9") for n in (1, 2)]
    found = [
        *legs(*charges, payout("po_9", 960), pair=Pair.PSP_BANK),
        *legs(bank_line("p", 960), pair=Pair.PSP_BANK),
    ]
    office.record(*legs(*charges), *legs(payout("po_9", 960)), *legs(bank_line("p", 960)))
    with pytest.raises(RefusedByRule, match=r"settlement"):
        put_to(office, asks(*found[1:]))
    assert said(put_to(office, asks(*found))) == "committed"


# ---------------------------------------------------------------- races


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """What each of several people hears who ask at once."""
    gate = threading.Barrier(len(actions))

    def one(action: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return said(action())
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(one, actions))


@pytest.mark.parametrize("parts", [1, GROUP_MAX + 2], ids=["small", "large"])
def test_of_two_people_at_once_one_wins_whole(office: Office, parts: int) -> None:
    for turn in range(3):
        base = [
            legs(contribution(f"{turn}-{n}", 100, "bank"), pair=Pair.INTERNAL_BANK)[0]
            for n in range(parts)
        ]
        [one] = legs(bank_line(f"a{turn}", 100 * parts), pair=Pair.INTERNAL_BANK)
        [two] = legs(bank_line(f"b{turn}", 100 * parts), pair=Pair.INTERNAL_BANK)
        office.record(*base)
        for name in ("a", "b"):
            office.record(*legs(bank_line(f"{name}{turn}", 100 * parts)))
        heard = at_once(
            lambda t=turn, b=base, o=one: put_to(office, asks(*b, o), f"a{t}"),  # type: ignore[misc]
            lambda t=turn, b=base, o=two: put_to(office, asks(*b, o), f"b{t}", "bob"),  # type: ignore[misc]
        )
        assert heard.count("committed") <= 1
        list(office.state.open_legs(TENANT, Pair.INTERNAL_BANK, "JMD"))  # gives up what died
        holders = office.desk.holders(
            TENANT, Pair.INTERNAL_BANK, [leg.transaction_id for leg in (*base, one, two)]
        )
        if "committed" in heard:
            assert len(set(holders.values())) == 1
            assert len(holders) == parts + 1
        else:
            assert holders == {}, "both lost and something is still held"


def test_the_same_request_twice_at_once_is_one_match(office: Office) -> None:
    members = lines(office, 100, 400)
    heard = at_once(*[lambda: put_to(office, asks(*members))] * 3)
    assert "committed" in heard
    matches = list(office.state.of_status(TENANT, Status.COMMITTED))
    assert len(matches) == 1
    assert len(verbs(office, f"match:{matches[0]}")) == 1


def test_a_person_and_the_online_matcher_cannot_both_win(office: Office) -> None:
    for turn in range(3):
        ours, theirs = legs(contribution(turn, 500), charge(turn, 500), pair=Pair.INTERNAL_PSP)
        [other] = legs(charge(f"{turn}-other", 500), pair=Pair.INTERNAL_PSP)
        office.record(ours, theirs, other)
        found = sole_counterpart(
            ours, strong("contribution", f"con_{turn}"), [ours, theirs], default_rules()
        )
        assert found is not None

        def machine(match: Any = found) -> dict[str, str]:
            return {"status": office.state.commit(match).value}

        def person(turn: int = turn, ours: Leg = ours, other: Leg = other) -> Any:
            asked_for = by("ann", f"p{turn}")
            agreed = type(asked_for)(asked_for.tenant_id, "ann", asked_for.key, "h", "ben")
            return office.hand.match(agreed, asks(ours, other))

        heard = at_once(machine, person)
        won = [h for h in heard if h in ("now", "committed")]
        assert len(won) == 1, heard


# ---------------------------------------------------------------- half-way


def until_done(calls: Calls, act: Callable[[], Any]) -> int:
    """Die before the first write, then before the second, …; repeat each time. How often it died."""
    deaths = 0
    while True:
        calls.left = deaths
        try:
            act()
        except Killed:
            deaths += 1
            continue
        finally:
            calls.left = None
        return deaths


@pytest.mark.parametrize("parts", [2, GROUP_MAX * 2 + 1], ids=["small", "large"])
def test_killed_at_any_write_a_request_is_repeated_to_one_end(
    office: Office, calls: Calls, parts: int
) -> None:
    members = lines(office, *[100] * parts)
    assert until_done(calls, lambda: put_to(office, asks(*members))) >= 1
    [match_id] = office.state.of_status(TENANT, Status.COMMITTED)
    assert [v for _, v, _ in verbs(office, f"match:{match_id}")] == ["matched"]
    assert office.open(Pair.INTERNAL_BANK) == set()

    def unmatch() -> Any:
        return office.unmatching.unmatch(by("ann", "u"), match_id, "Wrong.")

    assert until_done(calls, unmatch) >= 1
    assert len(office.open(Pair.INTERNAL_BANK)) == parts + 1
    assert [v for _, v, _ in verbs(office, f"match:{match_id}")] == ["matched", "unmatched"]


def test_a_large_unmatch_that_died_is_finished_by_who_needs_a_leg(
    office: Office, calls: Calls
) -> None:
    members = lines(office, *[100] * (GROUP_MAX + 2))
    match_id = put_to(office, asks(*members))["match_id"]
    calls.left = 1  # the header says so; no leg is free yet
    with pytest.raises(Killed):
        office.unmatching.unmatch(by("ann", "u"), match_id, "Wrong.")
    calls.left = None
    assert office.open(Pair.INTERNAL_BANK) == set()
    [half] = legs(contribution("half", 100, "bank"), pair=Pair.INTERNAL_BANK)
    office.record(half)
    assert office.state.commit(a_match(half, members[1])) is Committed.NOW
    assert len(office.open(Pair.INTERNAL_BANK)) == GROUP_MAX + 2


# ---------------------------------------------------------------- unmatch, proposals


def test_what_a_person_took_back_no_machine_makes_again(office: Office) -> None:
    ours, theirs = legs(contribution(1, 500), charge(1, 500), pair=Pair.INTERNAL_PSP)
    office.record(ours, theirs)
    match = a_match(ours, theirs)
    assert office.state.commit(match) is Committed.NOW
    office.unmatching.unmatch(by("ann", "u"), match.match_id, "Two people of one name.")
    assert office.state.commit(match) is Committed.REFUSED
    assert office.state.refused(TENANT, Pair.INTERNAL_PSP) == {match.match_id}
    assert office.state.refused("other", Pair.INTERNAL_PSP) == frozenset()
    assert said(put_to(office, asks(ours, theirs))) == "committed", "a person may, all the same"
    assert office.state.refused(TENANT, Pair.INTERNAL_PSP) == frozenset()
    stored = office.state.get(TENANT, match.match_id)
    assert stored is not None
    assert (stored.version, stored.level) == (2, 0)


def test_only_what_holds_is_taken_back(office: Office) -> None:
    with pytest.raises(NotFound):
        office.unmatching.unmatch(by("ann", "1"), "m_" + "0" * 32, "why")
    match_id = put_to(office, asks(*lines(office, 100, 400)))["match_id"]
    with pytest.raises(NotFound):
        office.unmatching.unmatch(by("ann", "2", tenant_id="other"), match_id, "why")
    with pytest.raises(InvalidInput, match=r"reason"):
        office.unmatching.unmatch(by("ann", "3"), match_id, "  ")
    office.unmatching.unmatch(by("ann", "4"), match_id, "why")
    with pytest.raises(Conflict, match=r"unmatched"):
        office.unmatching.unmatch(by("bob", "5"), match_id, "why")


def a_proposal(office: Office) -> tuple[str, Leg, Leg]:
    [ours] = legs(contribution("p", 500, "bank"), pair=Pair.INTERNAL_BANK)
    [theirs] = legs(bank_line("p", 500), pair=Pair.INTERNAL_BANK)
    office.record(ours)
    office.record(*legs(bank_line("p", 500)))
    match = a_match(ours, theirs, level=4, status=Status.PROPOSED)
    assert office.state.commit(match) is Committed.NOW
    return match.match_id, ours, theirs


def test_a_confirmed_proposal_is_a_match(office: Office) -> None:
    match_id, *_ = a_proposal(office)
    assert said(office.hand.decide(by("ann", "c"), match_id, True, "")) == "committed"
    stored = office.state.get(TENANT, match_id)
    assert stored is not None
    assert (stored.status, stored.level, stored.version) == (Status.COMMITTED, 4, 1)
    assert verbs(office, f"match:{match_id}")[-1] == ("ann", "confirmed", "")
    with pytest.raises(AlreadyDecided):
        office.hand.decide(by("bob", "d"), match_id, False, "No.")


def test_a_rejected_proposal_is_not_proposed_again(office: Office) -> None:
    match_id, ours, theirs = a_proposal(office)
    with pytest.raises(InvalidInput, match=r"reason"):
        office.hand.decide(by("ann", "r0"), match_id, False, "")
    assert said(office.hand.decide(by("ann", "r"), match_id, False, "Another month.")) == "rejected"
    for status in (Status.PROPOSED, Status.COMMITTED):
        again = a_match(ours, theirs, level=4, status=status)
        assert office.state.commit(again) is Committed.REFUSED
    assert office.open(Pair.INTERNAL_BANK) == {"con_p", "line_p"}
    shown = office.matches.page(TENANT, {"status": "rejected"})
    assert [m["match_id"] for m in shown["matches"]] == [match_id]
    assert office.matches.page(TENANT, {})["matches"] == []


def test_a_proposal_whose_record_changed_is_not_confirmed(office: Office) -> None:
    match_id, *_ = a_proposal(office)
    office.record(*legs(bank_line("p", 501), version=2))
    with pytest.raises(Conflict, match=r"proposal_changed"):
        office.hand.decide(by("ann", "c"), match_id, True, "")


def test_of_confirm_and_reject_at_once_one_holds(office: Office) -> None:
    match_id, *_ = a_proposal(office)
    heard = at_once(
        lambda: office.hand.decide(by("ann", "a"), match_id, True, ""),
        lambda: office.hand.decide(by("bob", "b"), match_id, False, "No."),
    )
    assert len([h for h in heard if h in ("committed", "rejected")]) == 1, heard


def test_another_tenant_finds_nothing(office: Office) -> None:
    match_id, ours, theirs = a_proposal(office)
    with pytest.raises(NotFound):
        office.hand.decide(by("eve", "x", tenant_id="other"), match_id, True, "")
    request = ManualMatch(ours.pair, (ours.transaction_id, theirs.transaction_id), "mine")
    with pytest.raises(NotFound):
        office.hand.match(by("eve", "y", tenant_id="other"), request)
    assert office.matches.page("other", {})["matches"] == []
    assert office.matches.history("other", {"subject": f"match:{match_id}"})["acts"] == []
