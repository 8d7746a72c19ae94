"""What the handed-out expectations say about a file, compared with what a reader found in it.

Expectations are decimals and free text of whoever measured the files; each function here says in
words where the two differ, and nothing when they agree.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pardna.money.model import MoneyError, exponent

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"

Answer = dict[str, Any]
Row = dict[str, Any]


def rows() -> dict[str, list[Row]]:
    """The expectations by kind of file; none where the folder is absent."""
    found: dict[str, list[Row]] = defaultdict(list)
    listing = CORPORA / "EXPECTED.jsonl"
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found[row["kind"]].append(row)
    return dict(found)


def minor(text: str | None, currency: str | None) -> int | None:
    """Minor units of an expectation's decimal; None where there is none."""
    if text is None:
        return None
    try:
        digits = exponent(currency or "EUR")
    except MoneyError:
        digits = 2
    try:
        return int(Decimal(text.replace(",", ".")).scaleb(digits))
    except InvalidOperation:
        return None


def of_statements(expected: Row, answer: Answer) -> list[str]:
    """camt and SWIFT: each statement with account, balances, entries, sum and whether it ties."""
    if "refused" in answer:
        return [f"refused: {answer['refused']}"]
    found = []
    if answer["format"] != expected["format"]:
        found.append(f"format {answer['format']}, not {expected['format']}")
    if len(answer["statements"]) != expected["statements"]:
        return [*found, f"{len(answer['statements'])} statements, not {expected['statements']}"]
    for number, (want, got) in enumerate(
        zip(expected["stmts"], answer["statements"], strict=True), 1
    ):
        currency = got["currency"]
        wanted = {
            "account": want["acct"] or "",
            "opening": minor(want["open"], currency),
            "closing": minor(want["close"], currency),
            "entries": want["entries"],
            "sum": minor(want["sum"], currency),
            "ties": want["balanced"],
        }
        if want["ccy"]:
            wanted["currency"] = want["ccy"]
        found += [
            f"statement {number}: {name} {got[name]}, not {value}"
            for name, value in wanted.items()
            if got[name] != value
        ]
        if not got["problems"] and got["transactions_sum"] != got["sum"]:
            found.append(f"statement {number}: its transactions do not add up to its entries")
        if got["repeated_ids"]:
            found.append(f"statement {number}: {got['repeated_ids']} transactions share an id")
        errors = [c for c in got["errors"] if c not in ("statement.currency", "entry.date")]
        if want["balanced"] and errors:
            found.append(f"statement {number}: it is sound, but {errors[0]}")
    return found


def of_bai2(expected: Row, answer: Answer) -> list[str]:
    """BAI2: groups' accounts, and each account's transactions."""
    if "refused" in answer:
        return [f"refused: {answer['refused']}"]
    found = []
    accounts = answer["statements"]
    if len(accounts) != expected["accounts"]:
        found.append(f"{len(accounts)} accounts, not {expected['accounts']}")
    if answer["entries"] != expected["entries"]:
        found.append(f"{answer['entries']} entries, not {expected['entries']}")
    for number, (want, got) in enumerate(zip(expected["accts"], accounts, strict=False), 1):
        amounts = [int(item.partition(":")[2]) for item in want["types"]]
        signs = [-1 if 400 <= int(item[:3]) < 700 else 1 for item in want["types"]]
        # The listing stops at a dozen transactions an account.
        whole = len(amounts) == want["tx"]
        wanted = {"account": want["account"], "entries": want["tx"]}
        if whole:
            wanted["sum"] = sum(s * a for s, a in zip(signs, amounts, strict=True))
        if want["ccy"]:
            wanted["currency"] = want["ccy"]
        found += [
            f"account {number}: {name} {got[name]}, not {value}"
            for name, value in wanted.items()
            if got[name] != value
        ]
    return found


def of_ofx(expected: Row, answer: Answer) -> list[str]:
    """OFX: accounts, entries, their sum and the ledger balances."""
    if "refused" in answer:
        return [f"refused: {answer['refused']}"]
    found = []
    statements = answer["statements"]
    if answer["entries"] != expected["entries"]:
        found.append(f"{answer['entries']} entries, not {expected['entries']}")
    currency = next((s["currency"] for s in statements), "EUR")
    total = sum(s["sum"] for s in statements)
    if total != minor(expected["sum"], currency):
        found.append(f"sum {total}, not {expected['sum']}")
    accounts = {s["account"] for s in statements if s["account"]}
    if expected["entries"] and accounts != set(expected["accounts"]):
        found.append(f"accounts {sorted(accounts)}, not {expected['accounts']}")
    balances = sorted(s["closing"] for s in statements if s["closing"] is not None)
    wanted = [minor(b, currency) for b in expected["ledger_balances"]]
    if balances != sorted(b for b in wanted if b is not None):
        found.append(f"balances {balances}, not {expected['ledger_balances']}")
    unreadable = sum("amount" in p for p in answer["problems"])
    if unreadable != expected["unreadable_amounts"]:
        found.append(f"{unreadable} unreadable amounts, not {expected['unreadable_amounts']}")
    return found


def of_nacha(expected: Row, answer: Answer) -> list[str]:
    """NACHA: batches, entries, totals by direction, returns and changes, and what the file says."""
    if "refused" in answer:
        return [f"refused: {answer['refused']}"]
    found = []
    batches = answer["statements"]
    wanted = {"batches": expected["batches"], "entries": expected["entries"]}
    got = {"batches": len(batches), "entries": answer["entries"]}
    wanted["sum"] = expected["credit_cents"] - expected["debit_cents"]
    got["sum"] = sum(b["sum"] for b in batches)
    found += [f"{n} {got[n]}, not {v}" for n, v in wanted.items() if got[n] != v]
    codes = sorted(s[1] for s in answer["statuses"] if s[1].startswith(("R", "C")))
    if codes != sorted([*expected["returns"], *expected["noc"]]):
        found.append(f"codes {codes}, not {expected['returns']} and {expected['noc']}")
    if expected.get("totals_agree") is not None:
        agree = not any(p.startswith("nacha.file_") for p in answer["problems"])
        if agree != expected["totals_agree"]:
            found.append(f"totals agree: {agree}, not {expected['totals_agree']}")
    return found


def of_adyen(expected: Row, answer: Answer) -> list[str]:
    """Adyen: a transaction for each notification that moved money, of its amount."""
    if "refused" in answer:
        return [f"refused: {answer['refused']}"]
    found = []
    for item in expected.get("adyen", ()):
        amount = item["amount"] or {}
        moved = any(
            t["currency"] == amount.get("currency") and abs(t["amount"]) == amount.get("value")
            for t in answer["transactions"]
        )
        code = item["eventCode"]
        moves = item["success"] == "true" and code in ("CAPTURE", "REFUND", "CHARGEBACK")
        if moves and not moved:
            found.append(f"{code} tells of {amount} but no transaction does")
        if item["success"] == "false" and answer["transactions"]:
            found.append(f"{code} failed but there is a transaction")
    return found


def of_psp(expected: Row, answer: Answer) -> list[str]:
    """Other processors: the object is known, and read without a problem."""
    del expected
    if "refused" in answer:
        return [f"refused: {answer['refused']}"]
    return [f"problem: {p}" for p in answer["problems"]]


def of_mapped(expected: Row, answer: Answer) -> list[str]:
    """A CSV by a profile: every row read, none with a problem."""
    if "refused" in answer:
        return [f"refused: {answer['refused']}: {answer['reason']}"]
    found = [f"problem: {p}" for p in answer["problems"]]
    if answer["entries"] != expected["rows"]:
        found.append(f"{answer['entries']} rows, not {expected['rows']}")
    return found + [
        f"{s['account']} does not tie" for s in answer["statements"] if s["ties"] is False
    ]


def of_refusal(answer: Answer) -> list[str]:
    """A file that is wrong: refused, or flagged with a place and a reason."""
    if answer.get("refused"):
        return [] if answer["reason"] else ["refused without a reason"]
    flagged = answer["problems"] or any(s["ties"] is False for s in answer["statements"])
    return [] if flagged else ["read as if nothing were wrong with it"]


def unplaced(answer: Answer) -> list[str]:
    """Problems without a place or a reason."""
    return [p for p in answer.get("problems", ()) if not re.match(r"\S+ at \S.*: \S", p)]
