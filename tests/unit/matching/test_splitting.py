"""Shards: whatever they are cut into, together they decide what one engine decides on everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.matching.__main__ import bench_rules
from benchmarks.matching.generate import generate
from pardna.matching.engine import STEPS as ENGINE_STEPS
from pardna.matching.engine import Result, match
from pardna.matching.legs_file import from_bytes, to_bytes, workspace
from pardna.matching.model import Leg, Pair
from pardna.matching.phases import STEPS, match_phase
from pardna.matching.rules import PairRules, Rules
from pardna.matching.splitting import HUB_LEGS, Phase, split
from pardna.transactions.model import Kind, Reference, Side, Strength
from tests.support.matching import TENANT

PAIR = Pair.INTERNAL_BANK
ON = date(2026, 6, 1)
PHASES = (Phase.IDENTITY, Phase.REFERENCE, Phase.AMOUNT, Phase.GROUP)


def a_leg(side: str, identifier: str, amount: int, day: date, **more: Any) -> Leg:
    fields: dict[str, Any] = {"source": f"{side}:1", "kind": Kind.TRANSFER, "currency": "JMD"}
    return Leg(
        tenant_id=TENANT, pair=PAIR, transaction_id=identifier, version=1, side=Side(side),
        external_id=identifier, amount_minor=amount,
        occurred_at=datetime(day.year, day.month, day.day, tzinfo=UTC), value_date=day,
        **(fields | more),
    )  # fmt: skip


def generated(rows: int, seed: int, folder: Path) -> list[Leg]:
    """Both sides of the generator's world as legs."""
    generate(duckdb.connect(), rows, seed, folder)
    made = []
    for side, name in (("internal", "left"), ("bank", "right")):
        found = duckdb.connect().execute(
            "SELECT id, amount_minor, day, source, kind, currency, batch, name, refs"
            f" FROM '{folder / name}.parquet'"
        )
        for (
            identifier,
            amount,
            day,
            source,
            kind,
            currency,
            batch,
            called,
            refs,
        ) in found.fetchall():
            references = tuple(
                Reference(r["type"], r["value"], Strength.STRONG if r["strong"] else Strength.WEAK)
                for r in refs
            )
            made.append(a_leg(side, identifier, amount, day, source=source, kind=Kind(kind), name=called,
                              currency=currency, batch_id=batch, references=references))  # fmt: skip
    return made


def told(results: Sequence[Result]) -> dict[str, Any]:
    """What was decided, in an order of its own: ids, levels, rules, reasons."""
    return {
        "matches": sorted(
            (m.level, m.rule_id, m.status.value, m.match_id, m.confidence_bp, m.variance_minor,
             m.explanation.sentence, m.explanation.runner_up, m.explanation.margin_bp)
            for r in results for m in (*r.matches, *r.proposals)
        ),
        "findings": sorted(
            (f.class_, f.code, tuple(x.transaction_id for x in f.legs), len(f.covered), f.value, f.number)
            for r in results for f in r.findings
        ),
        "waiting": sorted(leg.transaction_id for r in results for leg in r.waiting),
    }  # fmt: skip


def in_shards(
    legs: Sequence[Leg], rules: Rules, on: date, legs_max: int, hub_legs: int = HUB_LEGS
) -> tuple[list[Result], list[int]]:
    """Every phase's shards, one after the other; and how large each shard was."""
    results, sizes = [], []
    files = [to_bytes(legs)]
    for phase in PHASES:
        with workspace() as (con, folder):
            paths = []
            for number, body in enumerate(files):
                paths.append(folder / f"in-{number}.parquet")
                paths[-1].write_bytes(body)
            made = split(con, paths, phase, rules.of(PAIR), legs_max, folder, hub_legs)
            files = [made.rest.read_bytes()] if made.rest else []
            for path, size in made.shards:
                filed = from_bytes(path.read_bytes())
                assert len(filed.legs) == size
                done = match_phase(filed.legs, phase, made.hubs, rules, PAIR, on)
                results.append(done.result)
                sizes.append(size)
                files.append(to_bytes([x for x in filed.legs if x.transaction_id in done.rest]))
    assert not any(from_bytes(body).legs for body in files), "the last phase leaves nothing"
    return results, sizes


def whole(legs: Sequence[Leg], rules: Rules, on: date) -> Result:
    return match(
        [x for x in legs if x.is_left], [x for x in legs if not x.is_left], rules, PAIR, on
    )


@pytest.mark.parametrize(("rows", "legs_max"), [(400, 50), (3_000, 1_000)])
def test_shards_decide_what_one_engine_decides(tmp_path: Path, rows: int, legs_max: int) -> None:
    legs = generated(rows, 7, tmp_path)
    results, sizes = in_shards(legs, bench_rules(), ON, legs_max)
    assert told(results) == told([whole(legs, bench_rules(), ON)])
    assert max(sizes) <= legs_max
    assert len(sizes) >= len(legs) // legs_max


def test_every_step_of_the_engine_belongs_to_a_phase() -> None:
    assert set(ENGINE_STEPS) == {step for steps in STEPS.values() for step in steps}
    for steps in STEPS.values():
        assert [s for s in ENGINE_STEPS if s in steps] == list(steps), "in the engine's order"


def text(value: str) -> tuple[Reference, ...]:
    return (Reference("text", value, Strength.WEAK),)


MAY = date(2026, 5, 4)
#: Legs that only one kind of key ties together, and what becomes of them: level and members.
TIED = {
    "read alike": (
        [a_leg("internal", "i", 100, MAY, references=text("REF00851")),
         a_leg("bank", "b", 100, MAY, references=text("REFO0851"))],
        (2, 2),
    ),
    "one edit": (
        [a_leg("internal", "i", 100, MAY, references=text("RENT-7K3Q-R01-04")),
         a_leg("bank", "b", 100, MAY, references=text("RENT-7K3Q-R0104X"))],
        (2, 2),
    ),
    "counterparty": (
        [a_leg("internal", "i1", 301, MAY, name="Avis Brown"),
         a_leg("internal", "i2", 207, MAY, name="Avis Brown"),
         a_leg("bank", "b", 508, MAY, name="avis brown")],
        (3, 3),
    ),
    "given back": (
        [a_leg("bank", "c", 500, MAY, kind=Kind.CHARGE,
               references=(Reference("charge", "ch_1", Strength.STRONG),)),
         a_leg("bank", "r", -500, MAY, kind=Kind.REFUND,
               references=(Reference("charge", "ch_1", Strength.WEAK),))],
        (2, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("tied", sorted(TIED))
def test_each_kind_of_key_ties_its_legs(tied: str) -> None:
    """Shards of one leg: what is matched stays together by this key alone."""
    legs, expected = TIED[tied]
    alone = [a_leg(side, f"x{n}", 7_000 + n, MAY) for n, side in enumerate(("internal", "bank"))]
    results, _ = in_shards([*legs, *alone], Rules(), date(2026, 5, 29), 1)
    [found] = [m for r in results for m in (*r.matches, *r.proposals)]
    assert (found.level, len(found.members)) == expected


@st.composite
def tangled(draw: st.DrawFn) -> list[Leg]:
    """Few values, so that legs share identities, references, amounts, payouts, in chains."""
    legs = []
    for number in range(draw(st.integers(9, 24))):
        side = draw(st.sampled_from(["internal", "bank"]))
        references = draw(
            st.lists(
                st.sampled_from(
                    [Reference("end_to_end", f"E{i}", Strength.STRONG) for i in range(3)]
                    + [Reference("utr", f"U{i}", Strength.STRONG) for i in range(2)]
                    + [Reference("charge", f"ch{i}", Strength.STRONG) for i in range(2)]
                    + [Reference("charge", f"ch{i}", Strength.WEAK) for i in range(2)]
                    + [Reference("payout", f"po_{i}", Strength.STRONG) for i in range(2)]
                    + [Reference("order", f"ORDER-7K3Q-{i:02d}", Strength.WEAK) for i in range(4)]
                    + [Reference("text", f"RENT{i:04d}", Strength.WEAK) for i in range(2)]
                ),
                max_size=3,
                unique=True,
            )
        )
        kind = draw(st.sampled_from([Kind.TRANSFER, Kind.CHARGE, Kind.REFUND, Kind.PAYOUT]))
        legs.append(
            a_leg(
                side, f"{side}-{number:02d}", draw(st.sampled_from([-300, 0, 100, 200, 300])),
                date(2026, 5, draw(st.integers(4, 29))), kind=kind, references=tuple(references),
                batch_id=draw(st.sampled_from(["", "", "po_0", "po_1"])),
                name=draw(st.sampled_from(["", "Avis Brown", "Beres Clarke"])),
                currency=draw(st.sampled_from(["JMD", "JMD", "USD"])),
            )
        )  # fmt: skip
    return legs


@settings(max_examples=8, deadline=None)
@given(tangled(), st.sampled_from([2, 4, 8]), st.integers(1, 5))
def test_no_candidate_is_cut_in_two_however_legs_are_tangled(
    legs: list[Leg], most: int, crowd: int
) -> None:
    """Also when an identity, a reference or an amount is soon shared by too many."""
    rules = Rules(pairs=(PairRules(PAIR, candidates_max=crowd),))
    results, _ = in_shards(legs, rules, date(2026, 5, 29), most, hub_legs=crowd)
    assert told(results) == told([whole(legs, rules, date(2026, 5, 29))])
