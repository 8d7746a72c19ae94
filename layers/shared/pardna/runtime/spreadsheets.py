"""What a spreadsheet takes for the start of a formula (OWASP, CSV injection)."""

from __future__ import annotations

#: For Excel, LibreOffice and Google Sheets, which pass over spaces before them.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def harmless(text: str) -> str:
    """A text that no spreadsheet runs: an apostrophe before what could start a formula."""
    clean = text.replace("\x00", "")
    return f"'{clean}" if clean.lstrip(" ").startswith(FORMULA_STARTS) else clean
