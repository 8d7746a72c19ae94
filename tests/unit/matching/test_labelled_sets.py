"""The engine on labelled sets that others made (skipped where they are not at hand)."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pardna.cli import main

CIVICPAY = Path(__file__).resolve().parents[4] / "shared" / "corpora" / "recon" / "civicpay"

pytestmark = pytest.mark.skipif(not CIVICPAY.exists(), reason="the labelled sets are not here")

RULES = {
    "reference_date": "2026-09-30",
    "identity_types": ["reference"],
    "soft_types": ["note"],
    "left": {
        "id": "payment_id", "amount": "amount", "currency": "currency", "day": "payment_date",
        "name": "counterparty",
        "references": [{"column": "reference_id", "type": "reference", "strong": True}],
    },
    "right": {
        "id": "transaction_id", "amount": "amount", "currency": "currency", "day": "posting_date",
        "references": [{"column": "reference_id", "type": "reference", "strong": True}],
    },
}  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_civicpay(tmp_path: Path) -> None:
    """Every exact payment is matched and nothing else is; duplicates and wrong amounts are named."""
    [folder] = CIVICPAY.glob("*generated")
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(RULES))
    given = [str(folder / "seed42_payments.csv"), str(folder / "seed42_ledger.csv")]
    out = tmp_path / "out"
    assert main(["match", *given, "--rules", str(rules), "--out", str(out)]) == 0

    truth = {t["payment_id"]: (t["bucket"], t["transaction_id"]) for t in rows(folder / "seed42_truth.csv")}  # fmt: skip
    matched = {m["left_id"]: m["right_id"] for m in rows(out / "matches.csv") if m["status"] == "matched"}  # fmt: skip
    breaks = {b["left_id"]: b["class"] for b in rows(out / "breaks.csv") if b["left_id"]}
    assert [p for p, right in matched.items() if truth[p][1] != right] == []
    assert {truth[p][0] for p in matched} <= {"exact", "duplicate"}
    paid = {transaction for bucket, transaction in truth.values() if bucket == "exact"}
    assert paid == set(matched.values())
    for payment, (bucket, transaction) in truth.items():
        if bucket == "amount_mismatch":
            assert breaks[payment] == "AMOUNT_MISMATCH"
        if bucket == "unmatched":
            assert breaks[payment] == "MISSING_BANK"
        if bucket == "duplicate":
            twins = [p for p, t in truth.items() if t[1] == transaction]
            assert sorted(breaks.get(p, "matched") for p in twins) == ["DUPLICATE", "matched"]
