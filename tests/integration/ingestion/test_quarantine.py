"""What was put aside is corrected, released or discarded once, whoever races and whatever dies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from pardna.ingestion.quarantine_model import Action, Asked, Change, Decision, Scope
from pardna.runtime.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    NotPermitted,
    PardnaError,
    RefusedByRule,
)
from tests.support.ingestion import TENANT
from tests.support.postgres import TestDatabase
from tests.support.quarantine import FILE, Bench

BAD_DATE = FILE.replace("04/02/2026", "94/02/2026")
BAD_AMOUNT = FILE.replace(",150.00,", ",15O.00,")
CARD = "4111 1111 1111 1111"
WITH_CARD = FILE.replace("Service charge", f"POS {CARD} KGN")
EVERYTHING = [-100_000, -15_000, 500_000]


@pytest.fixture
def bench(database: TestDatabase) -> Bench:
    return Bench(database)


def correct(bench: Bench, code: str, *changes: Change, by: str = "ann", **more: Any) -> Decision:
    asked = Asked(bench.entry(code).quarantine_id, Action.CORRECT, "typo", changes=changes, **more)
    return bench.quarantine().decide(TENANT, by, asked, "cause")


def test_a_corrected_row_counts_when_a_second_person_agrees(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    assert bench.amounts() == []  # without its row the statement does not tie
    proposed = correct(bench, "row.date", Change(5, "04/02/2026", "94/02/2026"))
    assert (proposed.state, proposed.needs_second) == ("proposed", True)
    assert bench.amounts() == []
    with pytest.raises(RefusedByRule, match="own_proposal"):
        bench.quarantine().confirm(
            TENANT, "ann", proposed.quarantine_id, proposed.decision_id, "cause"
        )
    done = bench.quarantine().confirm(
        TENANT, "bob", proposed.quarantine_id, proposed.decision_id, "cause"
    )
    assert (done.state, done.decided_by, done.new_count) == ("done", "bob", 3)
    assert bench.amounts() == EVERYTHING
    assert {e.status for e in bench.entries()} == {"replayed"}
    assert bench.raw.objects  # the original is as it was
    ties = bench.all("SELECT statement_id LIKE '%+%', ties FROM platform.statements ORDER BY 1")
    assert ties == [(False, False), (True, True)]
    again = bench.quarantine().confirm(
        TENANT, "cat", proposed.quarantine_id, proposed.decision_id, "cause"
    )
    assert again.decided_by == "bob"
    assert len(bench.all("SELECT FROM platform.transaction_versions")) == 3


def test_who_when_and_why_are_kept_and_the_change_itself(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    proposed = correct(bench, "row.date", Change(5, "04/02/2026", "94/02/2026"))
    bench.quarantine().confirm(TENANT, "bob", proposed.quarantine_id, proposed.decision_id, "cause")
    log = bench.all("SELECT principal, action, detail FROM app.audit_log ORDER BY audit_id")
    assert [row[:2] for row in log] == [
        ("ann", "quarantine.proposed"),
        ("bob", "quarantine.decided"),
    ]
    assert log[0][2]["replacements"] == [
        {"line": 5, "at": 0, "length": 10, "new": "04/02/2026", "was": "94/02/2026"}
    ]
    assert log[0][2]["reason"] == "typo"


def test_masking_a_card_number_moves_no_money_and_needs_nobody_else(bench: Bench) -> None:
    key = bench.receive(WITH_CARD)
    assert bench.amounts() == [-100_000, 500_000]
    assert bench.restriction.closed == {str(key)}
    entry = bench.entry("card.number")
    assert entry.position == "line 5"
    done = correct(bench, "card.number", Change(5, "POS 411111******1111 KGN", f"POS {CARD} KGN"))
    assert (done.state, done.needs_second, done.new_count) == ("done", False, 1)
    assert bench.amounts() == EVERYTHING


def test_a_card_number_is_nowhere_in_the_database(bench: Bench) -> None:
    bench.receive(WITH_CARD)
    correct(bench, "card.number", Change(5, "POS KGN", f"POS {CARD} KGN"))
    tables = bench.all(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
        " WHERE schemaname IN ('platform', 'app', 'ledger')"
    )
    for (table,) in tables:
        for (row,) in bench.all(f"SELECT t::text FROM {table} AS t"):
            assert CARD not in row, table
            assert CARD.replace(" ", "") not in row, table


def test_a_correction_must_be_right_itself(bench: Bench) -> None:
    bench.receive(BAD_AMOUNT)
    change = Change(5, "15O.0O", "15O.00")
    with pytest.raises(RefusedByRule, match="still_wrong"):
        correct(bench, "row.amount", change)
    with pytest.raises(RefusedByRule, match="still_wrong"):
        correct(bench, "row.amount", Change(5, "1x50.00", "15O.00"))
    assert {e.status for e in bench.entries()} == {"open"}
    assert bench.amounts() == []


def test_a_correction_touches_no_row_that_counts(bench: Bench) -> None:
    bench.receive(WITH_CARD)
    with pytest.raises(RefusedByRule, match="touches_good_row"):
        correct(
            bench,
            "card.number",
            Change(5, "POS KGN", f"POS {CARD} KGN"),
            Change(6, "Rent for another", "Rent"),
        )
    assert bench.amounts() == [-100_000, 500_000]


@pytest.mark.parametrize(
    "change",
    [
        Change(99, "x"),
        Change(0, "x"),
        Change(5, "04/02/2026", "not there"),
        Change(5, "04/02/2026", ""),
        Change(5, "04/02/2026", "0"),
    ],
)
def test_a_change_that_fits_nothing_is_refused(bench: Bench, change: Change) -> None:
    bench.receive(BAD_DATE)
    with pytest.raises((InvalidInput, Conflict)):
        correct(bench, "row.date", change)


@pytest.mark.parametrize("new", ["two\nlines", "a\rb", "nul\x00", CARD, "x" * 4001])
def test_a_change_stays_in_its_line_and_brings_no_card(new: str) -> None:
    with pytest.raises(InvalidInput):
        Asked("id", Action.CORRECT, "why", changes=(Change(1, new),))


def test_a_statement_that_does_not_tie_counts_when_two_people_say_so(bench: Bench) -> None:
    bench.receive(FILE.replace('"4,850.00"', '"4,851.00"'))
    assert bench.amounts() == []
    asked = Asked(bench.entry("statement.does_not_tie").quarantine_id, Action.RELEASE, "bank said")
    proposed = bench.quarantine().decide(TENANT, "ann", asked, "cause")
    done = bench.quarantine().confirm(
        TENANT, "bob", proposed.quarantine_id, proposed.decision_id, "cause"
    )
    assert done.new_count == 3
    assert bench.amounts() == EVERYTHING
    assert {e.status for e in bench.entries()} == {"released"}
    assert bench.all("SELECT ties FROM platform.statements") == [(False,)]  # flagged for ever


def test_a_card_number_is_never_released(bench: Bench) -> None:
    bench.receive(WITH_CARD)
    asked = Asked(bench.entry("card.number").quarantine_id, Action.RELEASE, "please")
    with pytest.raises(RefusedByRule, match="card_number"):
        bench.quarantine().decide(TENANT, "ann", asked, "cause")


def test_a_whole_file_is_discarded(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    entry = bench.entry("row.date")
    asked = Asked(entry.quarantine_id, Action.DISCARD, "sent by mistake", Scope.FILE)
    done = bench.quarantine().decide(TENANT, "ann", asked, "cause")
    assert done.state == "done"
    assert {e.status for e in bench.entries()} == {"discarded"}
    assert bench.amounts() == []
    with pytest.raises(Conflict, match="decided"):
        correct(bench, "row.date", Change(5, "04/02/2026", "94/02/2026"), by="bob")


def test_the_same_request_again_is_the_same_decision(bench: Bench) -> None:
    bench.receive(WITH_CARD)
    change = Change(5, "POS KGN", f"POS {CARD} KGN")
    first = correct(bench, "card.number", change)
    assert correct(bench, "card.number", change) == first
    assert len(bench.all("SELECT FROM platform.quarantine_decisions")) == 1


def test_a_withdrawn_proposal_leaves_its_row_open(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    change = Change(5, "04/02/2026", "94/02/2026")
    proposed = correct(bench, "row.date", change)
    with pytest.raises(Conflict):
        correct(bench, "statement.does_not_tie", change, by="eve")
    withdrawn = bench.quarantine().withdraw(
        TENANT, "ann", proposed.quarantine_id, proposed.decision_id
    )
    assert withdrawn.state == "withdrawn"
    assert {e.status for e in bench.entries()} == {"open"}
    with pytest.raises(Conflict):
        bench.quarantine().confirm(
            TENANT, "bob", proposed.quarantine_id, proposed.decision_id, "cause"
        )
    second = correct(bench, "row.date", change)
    bench.quarantine().confirm(TENANT, "bob", second.quarantine_id, second.decision_id, "cause")
    assert bench.amounts() == EVERYTHING


def test_only_who_made_a_proposal_takes_it_back(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    proposed = correct(bench, "row.date", Change(5, "04/02/2026", "94/02/2026"))
    of = (proposed.quarantine_id, proposed.decision_id)
    with pytest.raises(NotPermitted, match="others_proposal"):
        bench.quarantine().withdraw(TENANT, "bob", *of)
    assert bench.entry("row.date").status == "proposed"
    first = bench.quarantine().withdraw(TENANT, "ann", *of)
    assert bench.quarantine().withdraw(TENANT, "ann", *of) == first
    with pytest.raises(Conflict, match="decided"):
        bench.quarantine().reject(TENANT, "bob", *of, "the bank says no")


def test_another_person_rejects_a_proposal_once_and_says_why(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    change = Change(5, "04/02/2026", "94/02/2026")
    proposed = correct(bench, "row.date", change)
    of = (proposed.quarantine_id, proposed.decision_id)
    with pytest.raises(RefusedByRule, match="own_proposal"):
        bench.quarantine().reject(TENANT, "ann", *of, "changed my mind")
    for reason in ("", " ", f"see {CARD}"):
        with pytest.raises(InvalidInput, match="reason"):
            bench.quarantine().reject(TENANT, "bob", *of, reason)
    rejected = bench.quarantine().reject(TENANT, "bob", *of, "the bank says the 5th")
    assert (rejected.state, rejected.decided_by) == ("rejected", "bob")
    assert bench.quarantine().reject(TENANT, "bob", *of, "the bank says the 5th") == rejected
    for late in (
        lambda: bench.quarantine().reject(TENANT, "cat", *of, "me too"),
        lambda: bench.quarantine().withdraw(TENANT, "ann", *of),
        lambda: bench.quarantine().confirm(TENANT, "cat", *of, "cause"),
    ):
        with pytest.raises(Conflict, match="decided"):
            late()
    assert {e.status for e in bench.entries()} == {"open"}
    assert bench.amounts() == []
    log = bench.all(
        "SELECT principal, action, detail->>'reason' FROM app.audit_log ORDER BY audit_id"
    )
    assert log == [
        ("ann", "quarantine.proposed", "typo"),
        ("bob", "quarantine.rejected", "the bank says the 5th"),
    ]
    again = correct(bench, "row.date", change)  # the same request is a new proposal
    assert again.decision_id != proposed.decision_id
    bench.quarantine().confirm(TENANT, "bob", again.quarantine_id, again.decision_id, "cause")
    assert bench.amounts() == EVERYTHING


def test_a_proposal_is_ended_under_the_row_it_is_about_and_no_other(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    proposed = correct(bench, "row.date", Change(5, "04/02/2026", "94/02/2026"))
    other = bench.entry("statement.does_not_tie").quarantine_id
    identifier = proposed.decision_id
    for attack in (
        lambda: bench.quarantine().confirm(TENANT, "bob", other, identifier, "cause"),
        lambda: bench.quarantine().reject(TENANT, "bob", other, identifier, "no"),
        lambda: bench.quarantine().withdraw(TENANT, "ann", other, identifier),
    ):
        with pytest.raises(NotFound):
            attack()
    assert bench.amounts() == []
    assert bench.entry("row.date").status == "proposed"


def test_of_confirming_rejecting_and_withdrawing_at_once_one_happens(bench: Bench) -> None:
    for round_ in range(3):
        bench.receive(BAD_DATE.replace("Rent", f"Rent {round_}"))
        (entry,) = [e for e in bench.entries(status="open") if e.code == "row.date"]
        change = Change(5, "04/02/2026", "94/02/2026")
        asked = Asked(entry.quarantine_id, Action.CORRECT, "typo", changes=(change,))
        proposed = bench.quarantine().decide(TENANT, "ann", asked, "cause")
        of = (proposed.quarantine_id, proposed.decision_id)
        acts = [
            lambda of=of: bench.quarantine().confirm(TENANT, "bob", *of, "cause"),
            lambda of=of: bench.quarantine().reject(TENANT, "cat", *of, "no"),
            lambda of=of: bench.quarantine().withdraw(TENANT, "ann", *of),
        ]

        def act(ending: Any) -> str:
            try:
                return str(ending().state)
            except Conflict as error:
                return error.code

        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(act, acts[round_:] + acts[:round_]))
        ended = set(answers) & {"done", "rejected", "withdrawn"}
        assert len(ended) == 1
        assert bench.book.decision(TENANT, proposed.decision_id).state in ended
        status = bench.book.entry(TENANT, entry.quarantine_id).status
        assert status == ("replayed" if ended == {"done"} else "open")
        if status == "open":
            bench.quarantine().decide(
                TENANT, "ann", Asked(entry.quarantine_id, Action.DISCARD, "x", Scope.FILE), "cause"
            )


def test_of_ten_people_at_once_one_corrects_and_the_others_hear_so(bench: Bench) -> None:
    bench.receive(WITH_CARD)
    entry = bench.entry("card.number")

    def act(number: int) -> str:
        change = Change(5, f"POS {number} KGN", f"POS {CARD} KGN")
        asked = Asked(entry.quarantine_id, Action.CORRECT, "typo", changes=(change,))
        try:
            return bench.quarantine().decide(TENANT, f"p{number}", asked, "cause").state
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(10) as pool:
        answers = sorted(pool.map(act, range(10)))
    assert answers.count("done") == 1
    assert set(answers) <= {"done", "quarantine.decided", "quarantine.changed"}
    assert len(bench.all("SELECT FROM platform.transactions")) == 3
    assert len(bench.all("SELECT FROM platform.quarantine_decisions")) == 1


def test_two_who_confirm_at_once_make_it_true_once(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    proposed = correct(bench, "row.date", Change(5, "04/02/2026", "94/02/2026"))

    def act(by: str) -> str:
        try:
            return (
                bench.quarantine()
                .confirm(TENANT, by, proposed.quarantine_id, proposed.decision_id, "cause")
                .state
            )
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(act, ["bob", "cat", "dan", "eve"]))
    assert "done" in answers
    assert set(answers) <= {"done", "quarantine.changed", "quarantine.decided"}
    assert bench.amounts() == EVERYTHING
    assert len(bench.all("SELECT FROM platform.transaction_versions")) == 3


def test_killed_at_any_statement_nothing_or_everything_is_true(bench: Bench) -> None:
    """The connection dies before the n-th statement of the one transaction, for every n."""
    bench.receive(WITH_CARD)
    entry = bench.entry("card.number")
    change = Change(5, "POS KGN", f"POS {CARD} KGN")
    asked = Asked(entry.quarantine_id, Action.CORRECT, "typo", changes=(change,))
    survived, at = False, 0
    while not survived:
        at += 1
        assert at < 60
        mortal = _Mortal(bench, at)
        try:
            bench.quarantine(effects=mortal.book).decide(TENANT, "ann", asked, "cause")
            survived = True
        except (PardnaError, _Killed):
            assert bench.amounts() == [-100_000, 500_000]
            assert bench.entry("card.number").status == "open"
            assert bench.all("SELECT FROM platform.quarantine_decisions") == []
    assert at > 5
    assert bench.amounts() == EVERYTHING
    assert len(bench.all("SELECT FROM platform.outbox")) == 3


def test_who_confirms_a_moment_later_gets_the_decision_that_was_made(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    proposed = correct(bench, "row.date", Change(5, "04/02/2026", "94/02/2026"))
    of = (proposed.quarantine_id, proposed.decision_id)
    read = bench.book.decisions

    def after_another(tenant_id: str, raw_sha256: str) -> list[Decision]:
        bench.quarantine().confirm(TENANT, "bob", *of, "cause")
        return read(tenant_id, raw_sha256)

    bench.book.decisions = after_another  # type: ignore[method-assign]
    late = bench.quarantine(book=bench.book).confirm(TENANT, "cat", *of, "cause")
    assert (late.state, late.decided_by, late.decision_id) == ("done", "bob", of[1])
    assert bench.amounts() == EVERYTHING


@pytest.mark.parametrize("ending", ["confirm", "reject", "withdraw"])
def test_a_proposal_whose_end_is_killed_at_any_statement_still_waits(
    bench: Bench, ending: str
) -> None:
    bench.receive(BAD_DATE)
    proposed = correct(bench, "row.date", Change(5, "04/02/2026", "94/02/2026"))
    of = (proposed.quarantine_id, proposed.decision_id)
    more = {
        "confirm": ("bob", *of, "cause"),
        "reject": ("bob", *of, "no"),
        "withdraw": ("ann", *of),
    }
    survived, at = False, 0
    while not survived:
        at += 1
        assert at < 60
        book = _Mortal(bench, at).book
        quarantine = bench.quarantine(book=book, effects=book)
        try:
            getattr(quarantine, ending)(TENANT, *more[ending])
            survived = True
        except (PardnaError, _Killed):
            if bench.book.decision(TENANT, proposed.decision_id).state != "proposed":
                break  # it was done, and died while it looked at what it had done
            assert bench.amounts() == []
            assert bench.entry("row.date").status == "proposed"
    assert at > 4
    state = {"confirm": "done", "reject": "rejected", "withdraw": "withdrawn"}[ending]
    assert bench.book.decision(TENANT, proposed.decision_id).state == state
    assert bench.amounts() == (EVERYTHING if ending == "confirm" else [])
    again = getattr(bench.quarantine(), ending)(TENANT, *more[ending])
    assert again.state == state
    (told,) = bench.all("SELECT count(*) FROM app.audit_log WHERE action <> 'quarantine.proposed'")
    assert told == (1,)


class _Killed(BaseException):
    """The process is gone."""


class _Mortal:
    """A book whose process dies before a statement."""

    def __init__(self, bench: Bench, before: int) -> None:
        from contextlib import contextmanager

        from pardna.ingestion.quarantine_postgres import PostgresQuarantine

        database = bench.database.session()
        entered = database.transaction

        @contextmanager
        def transaction(tenant_id: str, principal: str) -> Any:
            with entered(tenant_id, principal) as connection:
                yield _Counting(connection, before)

        database.transaction = transaction  # type: ignore[method-assign]
        self.book = PostgresQuarantine(database)


class _Counting:
    def __init__(self, connection: Any, before: int) -> None:
        self._connection = connection
        self._left = before

    def execute(self, *arguments: Any) -> Any:
        self._left -= 1
        if self._left <= 0:
            raise _Killed
        return self._connection.execute(*arguments)

    def cursor(self, *arguments: Any) -> Any:
        self._left -= 1
        if self._left <= 0:
            raise _Killed
        return self._connection.cursor(*arguments)


def test_a_queue_that_does_not_drain_undoes_nothing(bench: Bench) -> None:
    bench.receive(WITH_CARD)
    bench.relay.fail_next = 1
    done = correct(bench, "card.number", Change(5, "POS KGN", f"POS {CARD} KGN"))
    assert done.state == "done"
    assert bench.amounts() == EVERYTHING


def as_ann(bench: Bench, statement: str) -> None:
    """What somebody does who has the product's own key to the database."""
    with psycopg.connect(bench.database.runtime_conninfo) as connection:
        connection.execute("SELECT app.enter(%s, 'ann')", (TENANT,))
        connection.execute(statement.encode())


def test_the_database_itself_wants_four_eyes_and_forgets_nothing(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    proposed = correct(bench, "row.date", Change(5, "04/02/2026", "94/02/2026"))
    attacks = [
        "UPDATE platform.quarantine_decisions SET state = 'done', decided_by = proposed_by,"
        " decided_at = now()",
        "UPDATE platform.quarantine_decisions SET state = 'rejected', decided_by = proposed_by,"
        " decided_at = now()",
        "UPDATE platform.quarantine_decisions SET state = 'withdrawn', decided_by = 'bob',"
        " decided_at = now()",
        "UPDATE platform.quarantine_decisions SET reason = 'another'",
        "UPDATE platform.quarantine_decisions SET needs_second = false",
        "DELETE FROM platform.quarantine_decisions",
        "DELETE FROM platform.quarantine",
        "UPDATE platform.delivery_facts SET facts = '{}'",
    ]
    for attack in attacks:
        with pytest.raises(psycopg.Error):
            as_ann(bench, attack)
    bench.quarantine().confirm(TENANT, "bob", proposed.quarantine_id, proposed.decision_id, "cause")
    with pytest.raises(psycopg.errors.RestrictViolation):
        as_ann(bench, "UPDATE platform.quarantine SET status = 'open'")
    as_ann(bench, "SELECT FROM platform.quarantine")  # she may look


def test_another_tenant_sees_and_decides_nothing(bench: Bench) -> None:
    bench.receive(BAD_DATE)
    entry = bench.entry("row.date")
    assert bench.book.page("mby-two", _filter(), 10) == []
    asked = Asked(entry.quarantine_id, Action.DISCARD, "mine now")
    with pytest.raises(NotFound):
        bench.quarantine().decide("mby-two", "eve", asked, "cause")


def test_the_list_goes_on_where_a_page_ended(bench: Bench) -> None:
    rows = "".join(f"9{n:03}/02/2026,x,R{n},1.00,,0.00\n" for n in range(25))
    bench.receive(FILE + rows)
    seen: list[str] = []
    after = None
    while page := bench.book.page(TENANT, _filter(after=after), 7):
        seen += [e.quarantine_id for e in page]
        after = (page[-1].created_at, page[-1].quarantine_id)
    assert len(seen) == len(set(seen)) == len(bench.entries())
    assert len(seen) == 25
    assert {e.code for e in bench.entries(code="row.date")} == {"row.date"}
    assert bench.entries(status="discarded") == []


def _filter(**fields: Any) -> Any:
    from pardna.ingestion.quarantine_ports import Filter

    return Filter(**fields)
