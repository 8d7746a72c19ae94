"""Payment files: what a bank reads in them is what was ordered, in the same bytes each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.bank.pain001 import read
from pardna.money.model import Money
from pardna.payments import pain001
from pardna.payments.model import Payee, Rail, rail_of
from tests.support.payments import a_bank, a_batch, an_instruction

amounts = st.integers(1, 2**40)
names = st.text(min_size=1, max_size=60).filter(lambda t: t.strip())


@given(st.lists(st.tuples(amounts, names, names), min_size=1, max_size=8))
def test_a_bank_reads_what_was_ordered(orders: list[tuple[int, str, str]]) -> None:
    instructions = [
        an_instruction(n, amount, payee=Payee(name, "12345678"), remittance=text)
        for n, (amount, name, text) in enumerate(orders, start=1)
    ]
    content = pain001.write(a_batch(*instructions), a_bank(), instructions)
    seen = read(content)
    assert seen.message == a_batch(*instructions).batch_id
    assert seen.count == seen.instruction_count() == len(orders)
    assert seen.control_sum_minor == seen.total_minor() == sum(amount for amount, _, _ in orders)
    by_id = {i.end_to_end: i for batch in seen.batches for i in batch.instructions}
    for order in instructions:
        said = by_id[order.end_to_end_id]
        assert said.amount_minor == order.amount.amount_minor
        assert said.creditor_account == "12345678"
        assert said.urgent == (order.amount > Money(100_000_000, "JMD"))


@given(st.permutations([an_instruction(n, n * 90_000_000) for n in (1, 2, 3)]))
def test_the_same_payments_are_the_same_bytes(shuffled: list) -> None:
    ordered = sorted(shuffled, key=lambda i: i.payment_id)
    batch = a_batch(*ordered)
    assert pain001.write(batch, a_bank(), shuffled) == pain001.write(batch, a_bank(), ordered)


@given(st.text(max_size=300))
def test_plain_text_stays_in_the_banks_character_set(text: str) -> None:
    plain = pain001.plain(text, 35)
    assert len(plain) <= 35
    assert plain.isascii()
    assert plain == pain001.plain(plain, 35)


def test_the_clearing_house_carries_a_million_and_no_cent_more() -> None:
    assert rail_of(Money(100_000_000, "JMD")) is Rail.ACH
    assert rail_of(Money(100_000_001, "JMD")) is Rail.RTGS
    assert rail_of(Money(100_000_001, "USD")) is Rail.WIRE


def test_a_payee_does_not_print() -> None:
    assert "Zo" not in repr(an_instruction())
    assert "12345678" not in repr(an_instruction())
