"""What the database itself refuses, whatever the code above it does."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.postgres import TestDatabase

TENANT = "harbour"


@pytest.fixture
def rows(database: TestDatabase) -> Iterator[psycopg.Connection[Any]]:
    """A connection inside a tenant, with a circle of two hands and its first round collecting."""
    with psycopg.connect(database.runtime_conninfo) as connection:
        connection.execute("SELECT app.enter(%s, 'tester')", (TENANT,))
        connection.execute(
            "INSERT INTO circles.circles (tenant_id, circle_id, reference, request_hash, code, name,"
            " currency, hand_minor, frequency, starts_on, fee_model, pot_model, shortfall,"
            " grace_days, bank_source_id, status, created_by, created_at) VALUES (%s,"
            " 'cir-00000001', 'r', repeat('0', 64), 'ABCD', 'Friends', 'JMD', 500, 'weekly',"
            " '2026-01-02', 'none', 'recipient_pays', 'wait', 2, 'bank', 'ready', 'tester', now())",
            (TENANT,),
        )
        for position in (1, 2):
            connection.execute(
                "INSERT INTO circles.members VALUES (%s, 'cir-00000001', %s, 'bank', '', '', '{}')",
                (TENANT, f"m{position}"),
            )
            connection.execute(
                "INSERT INTO circles.slots VALUES (%s, 'cir-00000001', %s, %s)",
                (TENANT, position, f"m{position}"),
            )
            connection.execute(
                "INSERT INTO circles.rounds (tenant_id, circle_id, round_number, due_on,"
                " draw_position, status) VALUES (%s, 'cir-00000001', %s, '2026-01-02', %s,"
                " 'scheduled')",
                (TENANT, position, position),
            )
            contribution(connection, position)
        yield connection
        connection.rollback()


def contribution(connection: psycopg.Connection[Any], position: int, name: str = "con") -> None:
    connection.execute(
        "INSERT INTO circles.contributions VALUES (%s, %s, 'cir-00000001', 1, %s, %s, 500, 'JMD',"
        " 'bank', %s, %s, '2026-01-02', 'pending', NULL)",
        (
            TENANT,
            f"{name}-{position}",
            position,
            f"m{position}",
            f"{name}-{position}",
            uuid.uuid4(),
        ),
    )


def payment(
    connection: psycopg.Connection[Any], name: str, origin: str, amount: int = 1000
) -> None:
    connection.execute(
        "INSERT INTO payments.payments (tenant_id, payment_id, origin, source_id, end_to_end_id,"
        " amount_minor, currency, instruction, personal, book_source, book_external_id, book_kind,"
        " requested_by, status, instructed_at, changed_at) VALUES (%s, %s, %s, 'bank', %s, %s,"
        " 'JMD', 'ach', '{}', 'pardna:cir-00000001', %s, 'draw', 'ann', 'instructed', now(), now())",
        (TENANT, name, origin, name.upper(), amount, name),
    )


def draw(
    connection: psycopg.Connection[Any], name: str, round_number: int, position: int, paid_by: str
) -> None:
    connection.execute(
        "INSERT INTO circles.draws VALUES (%s, %s, 'cir-00000001', %s, %s, %s, 1000, 0, 1000,"
        " 'JMD', %s, now())",
        (TENANT, name, round_number, position, f"m{position}", paid_by),
    )


def pay_all(connection: psycopg.Connection[Any]) -> None:
    connection.execute("UPDATE circles.contributions SET status = 'paid'")


def test_a_contribution_is_owed_once_per_round_and_hand(rows: psycopg.Connection[Any]) -> None:
    with pytest.raises(errors.UniqueViolation):
        contribution(rows, 1, "again")


def test_a_hand_is_scheduled_to_draw_once(rows: psycopg.Connection[Any]) -> None:
    with pytest.raises(errors.UniqueViolation):
        rows.execute(
            "INSERT INTO circles.rounds (tenant_id, circle_id, round_number, due_on,"
            " draw_position, status) VALUES (%s, 'cir-00000001', 3, '2026-01-02', 1, 'scheduled')",
            (TENANT,),
        )


def test_a_hand_draws_once(rows: psycopg.Connection[Any]) -> None:
    pay_all(rows)
    payment(rows, "pay-1", "draw:1")
    draw(rows, "d1", 1, 1, "pay-1")
    payment(rows, "pay-2", "draw:2")
    with pytest.raises(errors.UniqueViolation):
        draw(rows, "d2", 1, 1, "pay-2")


def test_no_draw_above_what_was_collected(rows: psycopg.Connection[Any]) -> None:
    rows.execute("UPDATE circles.contributions SET status = 'paid' WHERE position = 1")
    payment(rows, "pay-1", "draw:1")
    with pytest.raises(errors.CheckViolation, match="more than"):
        draw(rows, "d1", 1, 1, "pay-1")


def test_one_payment_per_draw(rows: psycopg.Connection[Any]) -> None:
    payment(rows, "pay-1", "draw:1")
    with pytest.raises(errors.UniqueViolation):
        payment(rows, "pay-2", "draw:1")


def test_no_file_without_a_second_person(rows: psycopg.Connection[Any]) -> None:
    payment(rows, "pay-1", "draw:1")
    with pytest.raises(errors.CheckViolation):
        rows.execute("UPDATE payments.payments SET status = 'written'")


def test_nobody_approves_their_own_payment(rows: psycopg.Connection[Any]) -> None:
    payment(rows, "pay-1", "draw:1")
    with pytest.raises(errors.CheckViolation):
        rows.execute("UPDATE payments.payments SET approval_id = 'a', approved_by = 'ann'")


@pytest.mark.parametrize(
    ("table", "status"),
    [
        ("circles.rounds", "paid"),
        ("circles.circles", "completed"),
        ("payments.payments", "confirmed"),
    ],
)
def test_a_status_cannot_jump(rows: psycopg.Connection[Any], table: str, status: str) -> None:
    payment(rows, "pay-1", "draw:1")
    with pytest.raises(errors.RestrictViolation, match="cannot go"):
        rows.execute(f"UPDATE {table} SET status = %s", (status,))


def test_a_payment_is_not_born_paid(rows: psycopg.Connection[Any]) -> None:
    with pytest.raises(errors.RestrictViolation, match="cannot go"):
        rows.execute(
            "INSERT INTO circles.rounds (tenant_id, circle_id, round_number, due_on,"
            " draw_position, status) VALUES (%s, 'cir-00000001', 3, '2026-01-02', 2, 'closed')",
            (TENANT,),
        )


@pytest.mark.parametrize(
    "table",
    ["circles", "members", "slots", "rounds", "contributions", "draws"],
)
def test_nothing_is_deleted(rows: psycopg.Connection[Any], table: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        rows.execute(f"DELETE FROM circles.{table}")


def test_amounts_and_identities_cannot_be_rewritten(rows: psycopg.Connection[Any]) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        rows.execute("UPDATE circles.contributions SET amount_minor = 1")


def test_another_tenant_sees_nothing(rows: psycopg.Connection[Any]) -> None:
    rows.execute("SELECT app.enter('elsewhere', 'tester')")
    for table in ("circles.circles", "circles.members", "circles.contributions", "circles.rounds"):
        assert rows.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_no_tenant_no_rows(database: TestDatabase) -> None:
    with psycopg.connect(database.runtime_conninfo) as connection:
        assert connection.execute("SELECT count(*) FROM payments.payments").fetchone() == (0,)
