"""A bank's CSV file on its way into quarantine and out again, on a real database."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import psycopg

from pardna.formats import csv_profile
from pardna.formats.profile import read_profile
from pardna.ingestion.model import RawKey
from pardna.ingestion.quality import judge_expected
from pardna.ingestion.quality_gate import QualityGate
from pardna.ingestion.quality_postgres import PostgresSourceHistory
from pardna.ingestion.quarantine import Quarantine
from pardna.ingestion.quarantine_model import Entry
from pardna.ingestion.quarantine_ports import Filter
from pardna.ingestion.quarantine_postgres import PostgresQuarantine
from pardna.transactions.ports import Batch, Delivery
from pardna.transactions.postgres import PostgresTransactionStore
from tests.fakes.ingestion import CountingDrain, MemoryRawStore, MemorySources
from tests.fakes.quality import MemoryRestriction
from tests.support.formats import DOWNLOAD
from tests.support.ingestion import TENANT, a_bank_source, a_receipt
from tests.support.postgres import TestDatabase

#: Two lines above the headings, then rows from line 4, then totals.
FILE = """Account Number,404385912
Opening Balance,,"1,000.00"
Date,Narrative,Ref,Debit,Credit,Balance
03/02/2026,PDN-7K3Q-R01-04 from Marcia,NCB1,,"5,000.00","6,000.00"
04/02/2026,Service charge,NCB2,150.00,,"5,850.00"
05/02/2026,Rent,NCB3,"1,000.00",,"4,850.00"
"""
LAYOUT = {
    **DOWNLOAD,
    "marked": [
        {"marker": "Account Number", "states": {"account": 2}},
        {"marker": "Opening Balance", "states": {"opening": 3}},
        {"marker": "Total", "states": {"count": 2}, "footer": True},
    ],
}


@dataclass
class Bench:
    """Everything that quarantine needs, with a database of its own."""

    database: TestDatabase
    raw: MemoryRawStore = field(default_factory=MemoryRawStore)
    relay: CountingDrain = field(default_factory=CountingDrain)
    restriction: MemoryRestriction = field(default_factory=MemoryRestriction)

    def __post_init__(self) -> None:
        import json

        self.sources = MemorySources(a_bank_source(layout=json.dumps(LAYOUT), currency="JMD"))
        self.store = PostgresTransactionStore(self.database.session())
        self.history = PostgresSourceHistory(self.database.session())
        self.gate = QualityGate(self.store, self.history, self.restriction)
        self.book = PostgresQuarantine(self.database.session())

    def quarantine(self, **changes: Any) -> Quarantine:
        """The use cases, with a connection of their own."""
        book = PostgresQuarantine(self.database.session())
        parts = {
            "rows": book,
            "book": book,
            "effects": book,
            "raw": self.raw,
            "sources": self.sources,
            "gate": self.gate,
            "relay": self.relay,
        }
        return Quarantine(**(parts | changes))

    def receive(self, text: str) -> RawKey:
        """As the function for raw objects does it."""
        data = text.encode()
        receipt = a_receipt()
        key = RawKey(TENANT, self.raw.put_named(TENANT, data, receipt).raw_sha256)
        profile = self.sources.get(TENANT, "ncb")
        parsed = csv_profile.read(
            data, profile.origin(key.raw_sha256), read_profile(profile.layout)
        )
        expected = self.gate.expect(key, io.BytesIO(data), receipt, profile)
        judged = judge_expected(parsed, expected)
        delivery = Delivery(
            "ncb", "sftp", receipt.name, key.raw_sha256, receipt.received_at, judged.status,
            parsed.format, parsed.entries_count, tuple({"code": p.code} for p in judged.problems),
        )  # fmt: skip
        batch = Batch("test", delivery, judged.statements, judged.transactions, judged.rejected)
        self.store.record(TENANT, "system:ingestion", batch)
        return key

    def entries(self, **chosen: Any) -> list[Entry]:
        """What was put aside."""
        return self.book.page(TENANT, Filter(**chosen), 100)

    def entry(self, code: str) -> Entry:
        """The one entry of a code."""
        (found,) = [e for e in self.entries() if e.code == code]
        return found

    def all(self, query: str) -> list[tuple[Any, ...]]:
        """Behind row-level security."""
        with psycopg.connect(self.database.superuser_conninfo) as connection:
            return connection.execute(query.encode()).fetchall()

    def amounts(self) -> list[int]:
        """Of the canonical transactions."""
        rows = self.all("SELECT amount_minor FROM platform.transactions ORDER BY amount_minor")
        return [int(row[0]) for row in rows]
