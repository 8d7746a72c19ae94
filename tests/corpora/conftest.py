"""Prints the table of passes per format when the corpora were read."""

from __future__ import annotations

from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows: dict[str, tuple[int, int, int]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in getattr(report, "user_properties", ()):
                if name == "corpus":
                    rows[value[0]] = tuple(value[1:])
    if not rows:
        return
    terminalreporter.section("corpora: files read as expected, per format")
    for kind, (passed, explained, total) in sorted(rows.items()):
        note = f"  ({explained} differ for a known reason)" if explained else ""
        terminalreporter.write_line(f"  {kind:<24} {passed + explained:>4} / {total}{note}")


@pytest.fixture(scope="session")
def reader() -> Any:
    """A process that reads files under limits."""
    from tests.corpora.reader_client import Reader

    with Reader() as client:
        yield client
