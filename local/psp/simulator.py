"""The running simulator: its records, their file, and what it was told to do wrong next."""

from __future__ import annotations

from dataclasses import dataclass, field

from local.psp.records import Json, RecordFile, Records
from local.psp.upstream import Reader


@dataclass
class Simulator:
    """Shared by both sides of the server, which takes care that one request runs at a time."""

    file: RecordFile
    reader: Reader
    records: Records = field(default_factory=Records)
    faults: list[Json] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records = self.file.load()

    def refresh(self) -> None:
        """Read what is new upstream, and keep it. Raises `UpstreamUnavailable`."""
        try:
            self.reader.refresh(self.records)
        finally:
            self.save()

    def save(self) -> None:
        """Keep what was decided."""
        self.file.save(self.records)

    def forget(self) -> None:
        """Start anew: nothing known, nothing decided."""
        self.records = Records()
        self.reader.forget_position()
        self.faults.clear()
        self.save()

    def next_fault(self) -> Json | None:
        """The fault that the next API request shall meet, used up by asking."""
        if not self.faults:
            return None
        fault = self.faults[0]
        fault["times"] -= 1
        if fault["times"] <= 0:
            self.faults.pop(0)
        return fault
