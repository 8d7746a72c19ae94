"""A shelf of reports in memory."""

from __future__ import annotations

from pardna.runtime.errors import NotFound


class MemoryShelf:
    """`Shelf` for tests; `writes` counts what was really stored."""

    def __init__(self) -> None:
        self.reports: dict[str, tuple[bytes, str]] = {}
        self.writes = 0

    def put(self, key: str, body: bytes, content_type: str) -> bool:
        """See `Shelf`."""
        if key in self.reports and self.reports[key][0] == body:
            return False
        self.reports[key] = (body, content_type)
        self.writes += 1
        return True

    def link(self, key: str, seconds: int) -> str:
        """See `Shelf`."""
        if key not in self.reports:
            raise NotFound("report.not_written", "this report has not been written yet")
        return f"memory://{key}?seconds={seconds}"
