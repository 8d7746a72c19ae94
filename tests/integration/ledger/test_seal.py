"""Blocks: what is sealed can be proved offline, and whoever changes a stored field is found."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.cli import main as cli
from pardna.ledger.anchor import Anchor
from pardna.ledger.export import export_lines, receipt
from pardna.ledger.seal import climb, leaf, merkle_root, proof
from pardna.ledger.verify import main, verify_export, verify_receipt
from pardna.runtime.errors import NotFound
from pardna.runtime.settings import settings
from tests.support.ledger import TENANT, document, entered, open_accounts, post, rows
from tests.support.postgres import TestDatabase


def seal(runtime: str, most: int = 4096, tenant: str = TENANT) -> int | None:
    with entered(runtime, tenant) as connection:
        row = connection.execute("SELECT ledger.seal(%s)", (most,)).fetchone()
    assert row is not None
    return row[0] if row[0] is None else int(row[0])


def sealed(runtime: str, most: int = 4096) -> int | None:
    """Seal, waiting a little: the server's own housekeeping may hold it back for a moment."""
    for _ in range(100):
        if (height := seal(runtime, most)) is not None:
            return height
        time.sleep(0.1)
    return None


@pytest.fixture
def runtime(database: TestDatabase) -> str:
    """Seven journals in three transactions, in two blocks."""
    conninfo = database.runtime_conninfo
    open_accounts(conninfo, "a", "b", "c", "d")
    for number in range(3):
        with entered(conninfo) as connection:
            batch = [document(f"{number}{i}", "a", "b", 10 + i) for i in range(2)]
            post(connection, batch)
    assert sealed(conninfo, 3) == 1
    with entered(conninfo) as connection:
        text = {"description": "härder, than: it looks", "refs": {"z": "1", "a": "é"}}
        post(connection, [{"key": "back", "kind": "test", "reverses": "10", **text}])
    assert sealed(conninfo) == 2
    assert seal(conninfo) is None
    return conninfo


def export(runtime: str, tenant: str = TENANT) -> list[str]:
    with entered(runtime, tenant) as connection:
        return list(export_lines(connection, tenant))


def keys_of(runtime: str) -> dict[str, str]:
    found = rows(runtime, "SELECT key, journal_id::text FROM ledger.journals")
    return dict(found)


def test_an_untouched_export_holds(runtime: str, tmp_path: Path) -> None:
    lines = export(runtime)
    assert verify_export(lines) is None
    assert sum('"journal":' in line for line in lines) == 7
    anchor = json.loads(lines[1])["block"]["hash"]
    assert verify_export(lines, anchor) is None
    path = tmp_path / "export.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert main([str(path)]) == 0
    assert main([str(path), anchor]) == 0
    assert main([str(path), "00"]) == 1
    assert cli(["ledger", "verify", str(path)]) == 0
    assert cli(["ledger", "--help"]) == 0
    assert cli(["ledger", "unknown"]) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.journals SET kind = 'x' WHERE key = '10'",
        "UPDATE ledger.journals SET key = 'x' WHERE key = '10'",
        "UPDATE ledger.journals SET effective_at = effective_at + interval '1 us' WHERE key = '10'",
        "UPDATE ledger.journals SET original_at = now() WHERE key = '10'",
        "UPDATE ledger.journals SET recorded_at = recorded_at - interval '1 us' WHERE key = '10'",
        "UPDATE ledger.journals SET line_count = 3 WHERE key = '10'",
        "UPDATE ledger.journals SET description = 'x' WHERE key = '10'",
        "UPDATE ledger.journals SET refs = '{\"a\": 1}' WHERE key = '10'",
        "UPDATE ledger.journals SET metadata = '{\"a\": 1}' WHERE key = '10'",
        "UPDATE ledger.journals SET reverses = journal_id WHERE key = '10'",
        "UPDATE ledger.journals SET salt = uuid_send(gen_random_uuid()) WHERE key = '10'",
        "UPDATE ledger.journals SET salt = NULL WHERE key = '10'",
        "UPDATE ledger.journals SET salt = NULL, commitment = sha256('') WHERE key = '10'",
        "UPDATE ledger.journals SET posted_by = 'x' WHERE key = '10'",
        "UPDATE ledger.entries SET amount_minor = amount_minor * 2 WHERE {its}",
        "UPDATE ledger.entries SET line = line + 1 WHERE {its} AND line = 2",
        "UPDATE ledger.entries SET account_id = (SELECT min(account_id) FROM ledger.accounts)"
        " WHERE {its}",
        "UPDATE ledger.entries SET currency = 'USD' WHERE {its}",
        "UPDATE ledger.entries SET item = 'x' WHERE {its}",
        "UPDATE ledger.entries SET effective_day = '2020-01-01' WHERE {its} AND line = 1",
        "DELETE FROM ledger.entries WHERE {its} AND line = 1",
        "DELETE FROM ledger.entries WHERE {its}",
    ],
)
def test_whoever_changes_a_field_is_found_and_named(
    database: TestDatabase, runtime: str, statement: LiteralString
) -> None:
    tamper(database, statement)
    fault = verify_export(export(runtime))
    assert fault is not None
    assert fault.journal_id == keys_of(runtime).get("10", fault.journal_id) != ""


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ledger.journals WHERE key = '10'",
        "UPDATE ledger.journals SET xid = '1' WHERE key = '10'",
        "UPDATE ledger.journals SET xid = '9999999' WHERE key = '10'",
        "UPDATE ledger.journals SET journal_id = ledger.uuid7(recorded_at, 99) WHERE key = '10'",
        "UPDATE ledger.journals SET tenant_id = 'other' WHERE key = '10'",
        "UPDATE ledger.accounts SET code = 'z' WHERE code = 'a'",
        "UPDATE ledger.blocks SET from_xid = '0' WHERE height = 2",
        "UPDATE ledger.blocks SET to_xid = to_xid::text::numeric::text::xid8, height = 9"
        " WHERE height = 2",
        "UPDATE ledger.blocks SET root = sha256('') WHERE height = 1",
        "UPDATE ledger.blocks SET hash = sha256('') WHERE height = 1",
        "UPDATE ledger.blocks SET previous = sha256('x') WHERE height = 2",
        "UPDATE ledger.blocks SET leaves = substring(leaves FROM 33) || substring(leaves FOR 32)"
        " WHERE height = 1",
        "DELETE FROM ledger.blocks WHERE height = 1",
    ],
)
def test_whoever_removes_or_rearranges_is_found(
    database: TestDatabase, runtime: str, statement: LiteralString
) -> None:
    tamper(database, statement)
    lines = export(runtime)
    first = json.loads(lines[1])["block"]["height"]
    assert verify_export(lines) is not None or first != 1


def tamper(database: TestDatabase, statement: LiteralString) -> None:
    """As a superuser who switches every guard off."""
    its: LiteralString = "journal_id = (SELECT journal_id FROM ledger.journals WHERE key = '10')"
    with psycopg.connect(database.superuser_conninfo) as connection:
        connection.execute("SET session_replication_role = replica")
        changed = connection.execute(statement.replace("{its}", its))
        assert changed.rowcount > 0


def test_a_receipt_proves_one_journal_alone(runtime: str, tmp_path: Path) -> None:
    for journal_id in keys_of(runtime).values():
        with entered(runtime) as connection:
            paper: dict[str, Any] = receipt(connection, journal_id)
        assert verify_receipt(paper) is None
        assert verify_receipt(paper, paper["block"]["hash"]) is None
        assert verify_receipt(paper, "00") is not None
        for part in ("journal", "opening"):
            for position in range(len(paper[part])):
                forged = json.loads(json.dumps(paper))
                forged[part][position] += "1"
                assert verify_receipt(forged) is not None
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(paper))
    assert main([str(path)]) == 0


def test_a_receipt_leads_on_to_the_anchored_block(runtime: str, tmp_path: Path) -> None:
    head = json.loads([line for line in export(runtime) if '"block"' in line][-1])["block"]
    anchor = Anchor(TENANT, date(2026, 11, 21), 2, head["hash"])
    for key, later in (("10", 1), ("back", 0)):
        with entered(runtime) as connection:
            paper = receipt(connection, keys_of(runtime)[key], up_to=2)
        assert len(paper["chain"]) == later
        assert verify_receipt(paper, anchor) is None
        assert verify_receipt(paper, replace(anchor, height=1)) is not None
        assert verify_receipt(paper, replace(anchor, tenant_id="other")) is not None
        assert verify_receipt(paper, replace(anchor, hash="00" * 32)) is not None
        for block in paper["chain"]:
            for name in ("height", "from_xid", "to_xid", "journals"):
                forged = json.loads(json.dumps(paper))
                forged["chain"][0][name] = int(block[name]) + 1
                assert verify_receipt(forged, anchor) is not None
    with entered(runtime) as connection, pytest.raises(NotFound):
        receipt(connection, keys_of(runtime)["10"], up_to=3)


def test_an_export_is_held_against_a_days_anchor(runtime: str, tmp_path: Path) -> None:
    lines = export(runtime)
    head = json.loads([line for line in lines if '"block"' in line][-1])["block"]
    anchor = Anchor(TENANT, date(2026, 11, 21), 2, head["hash"])
    path, kept = tmp_path / "export.jsonl", tmp_path / "anchor.json"
    path.write_text("\n".join(lines))
    for candidate, status in (
        (anchor, 0),
        (replace(anchor, height=1), 1),
        (replace(anchor, tenant_id="other"), 1),
        (replace(anchor, hash="00" * 32), 1),
    ):
        kept.write_text(candidate.to_json())
        assert main([str(path), "--anchor", str(kept)]) == status
    # Without its last block the export holds by itself; held against the anchor, it does not.
    cut = next(n for n, line in enumerate(lines) if '"block"' in line and '"height": 2' in line)
    path.write_text("\n".join(lines[:cut]))
    kept.write_text(anchor.to_json())
    assert main([str(path)]) == 0
    assert main([str(path), "--anchor", str(kept)]) == 1
    assert main([str(path), "--anchor"]) == 2
    for text in ("", "{}", "[]", anchor.to_json().replace("anchor-1", "anchor-9"), "nonsense"):
        kept.write_text(text)
        assert main([str(path), "--anchor", str(kept)]) == 2


def erase(database: TestDatabase, journal_id: str, tenant: str = TENANT) -> bool:
    """As an administrator."""
    with psycopg.connect(database.superuser_conninfo) as connection:
        connection.execute("SET ROLE pardna_owner")
        connection.execute("SELECT app.enter(%s, 'admin')", (tenant,))
        row = connection.execute("SELECT ledger.erase_texts(%s, 'asked')", (journal_id,)).fetchone()
    assert row is not None
    return bool(row[0])


def test_texts_can_be_erased_and_the_chain_still_holds(
    database: TestDatabase, runtime: str
) -> None:
    before = export(runtime)
    ids = keys_of(runtime)
    assert "looks" in "".join(before)
    assert not erase(database, ids["back"], "other")
    assert erase(database, ids["back"])
    assert not erase(database, ids["back"])
    after = export(runtime)
    assert verify_export(after) is None
    assert "looks" not in "".join(after)
    blocks = [line for line in before if '"block"' in line]
    assert [line for line in after if '"block"' in line] == blocks
    told = "SELECT action, subject, detail FROM app.audit_log"
    assert rows(runtime, told) == [("ledger.texts_erased", ids["back"], {"reason": "asked"})]
    with entered(runtime) as connection:
        paper = receipt(connection, ids["back"])
    assert "opening" not in paper
    assert verify_receipt(paper) is None
    forged = paper | {"opening": ["00" * 16, "invented", "{}", "{}"]}
    assert verify_receipt(forged) is not None
    # What money did is still sealed.
    tamper(database, "UPDATE ledger.entries SET amount_minor = amount_minor * 2 WHERE {its}")
    assert verify_export(export(runtime)) is not None


@pytest.mark.parametrize(
    "change",
    [
        "description = 'x'",
        "commitment = sha256(''), salt = NULL, description = '', refs = '{}', metadata = '{}'",
        "salt = NULL",
        "commitment = ledger.commitment(salt, description, refs, metadata)",
        "commitment = ledger.commitment(salt, description, refs, metadata), salt = NULL, kind = 'x',"
        " description = '', refs = '{}', metadata = '{}'",
    ],
)
def test_erasure_is_the_only_change_even_for_the_owner(
    database: TestDatabase, runtime: str, change: LiteralString
) -> None:
    with psycopg.connect(database.superuser_conninfo) as connection:
        connection.execute("SET ROLE pardna_owner")
        connection.execute("SELECT app.enter(%s, 'admin')", (TENANT,))
        with pytest.raises((psycopg.errors.RestrictViolation, psycopg.errors.CheckViolation)):
            connection.execute("UPDATE ledger.journals SET " + change + " WHERE key = 'back'")
    with entered(runtime) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT ledger.erase_texts(%s, 'x')", (keys_of(runtime)["back"],))


def test_journals_that_were_sealed_with_their_texts_still_hold(database: TestDatabase) -> None:
    """Those from before commitments: no salt, and their texts in the leaf."""
    conninfo = database.runtime_conninfo
    open_accounts(conninfo, "a", "b")
    for key in ("first", "second"):
        with entered(conninfo) as connection:
            post(connection, [document(key, "a", "b", 1, description="said before")])
        if key == "first":
            with psycopg.connect(database.superuser_conninfo) as connection:
                connection.execute("SET session_replication_role = replica")
                connection.execute("UPDATE ledger.journals SET salt = NULL")
    assert sealed(conninfo) == 1
    lines = export(conninfo)
    assert verify_export(lines) is None
    formats = [json.loads(line)["journal"][0] for line in lines if '"journal"' in line]
    assert formats == ["pardna-journal-1", "pardna-journal-2"]
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        erase(database, keys_of(conninfo)["first"])
    for journal_id in keys_of(conninfo).values():
        with entered(conninfo) as connection:
            assert verify_receipt(receipt(connection, journal_id)) is None
    with psycopg.connect(database.superuser_conninfo) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE ledger.journals SET description = 'x' WHERE key = 'first'")
    fault = verify_export(export(conninfo))
    assert fault is not None
    assert fault.journal_id == keys_of(conninfo)["first"]


def test_proofs_are_made_and_checked_from_the_command_line(
    runtime: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DATABASE_URL", runtime)
    settings.cache_clear()
    path, journal_id = tmp_path / "file", keys_of(runtime)["10"]
    for words in (
        ["export", TENANT],
        ["receipt", TENANT, journal_id],
        ["receipt", TENANT, journal_id, "2"],
    ):
        assert cli(["ledger", *words]) == 0
        path.write_text(capsys.readouterr().out)
        assert cli(["ledger", "verify", str(path)]) == 0
        assert capsys.readouterr().out == "holds\n"
    assert cli(["ledger", "export", "other"]) == 0
    assert "journal" not in capsys.readouterr().out
    for words in (["receipt", "other", journal_id], ["receipt", TENANT, journal_id, "9"]):
        assert cli(["ledger", *words]) == 1
    assert cli(["ledger", "receipt", TENANT, journal_id, "x"]) == 1
    assert cli(["ledger", "export"]) == 2
    settings.cache_clear()


def test_what_is_not_sealed_has_no_receipt(runtime: str) -> None:
    with entered(runtime) as connection:
        post(connection, [document("new", "a", "b", 1)])
    with entered(runtime) as connection, pytest.raises(NotFound):
        receipt(connection, keys_of(runtime)["new"])


def test_sealing_waits_for_transactions_that_began_earlier(runtime: str) -> None:
    with entered(runtime) as slow:
        post(slow, [document("slow", "a", "b", 1)])
        with entered(runtime) as quick:
            post(quick, [document("quick", "c", "d", 1)])
        assert seal(runtime) is None
        assert rows(runtime, "SELECT ledger.seal_lag() > interval '0'") == [(True,)]
    assert sealed(runtime) == 3
    assert rows(runtime, "SELECT ledger.seal_lag()") == [(None,)]
    assert verify_export(export(runtime)) is None


def test_tenants_have_chains_of_their_own(runtime: str) -> None:
    assert seal(runtime, tenant="other") is None
    assert rows(runtime, "SELECT * FROM ledger.blocks", "other") == []
    assert rows(runtime, "SELECT * FROM ledger.block_journals(1)", "other") == []
    journal = next(iter(keys_of(runtime).values()))
    with entered(runtime, "other") as connection, pytest.raises(NotFound):
        receipt(connection, journal)


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"format": "other"}', "[1]"])
def test_what_is_no_export_is_said_so(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    assert main([str(path)]) == 2
    assert main([]) == 2
    assert main([str(tmp_path / "absent")]) == 2


@given(st.lists(st.text(max_size=5), min_size=1, max_size=40))
def test_every_leaf_climbs_to_the_root(texts: list[str]) -> None:
    leaves = [leaf([text]) for text in texts]
    root = merkle_root(leaves)
    for position, start in enumerate(leaves):
        assert climb(start, proof(leaves, position)) == root
