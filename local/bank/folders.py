"""A bank's folders as its client sees them: `out/` to fetch, `in/` to upload, `done/` when processed.

Files appear in `out/` whole or not at all: they are written beside the visible tree and moved.
"""

from __future__ import annotations

import os
from pathlib import Path

PART_SUFFIX = ".part"


class Folders:
    """The folders of one bank below `root`."""

    def __init__(self, root: Path, user: str) -> None:
        self.home = root / user
        self._staging = root / ".staging" / user
        for folder in (self.home / "out", self.home / "in", self.home / "done", self._staging):
            folder.mkdir(parents=True, exist_ok=True)

    def publish(self, name: str, content: bytes) -> Path:
        """Put a file into `out/`. The same bytes under the same name leave the file untouched."""
        target = self.home / "out" / name
        if target.exists() and target.read_bytes() == content:
            return target
        staged = self._staging / name
        staged.write_bytes(content)
        os.replace(staged, target)
        return target

    def complete_uploads(self, still_open: set[Path]) -> list[Path]:
        """Files in `in/` that a client has finished, by name. `*.part` is never one."""
        return sorted(
            path
            for path in (self.home / "in").iterdir()
            if path.is_file() and path.suffix != PART_SUFFIX and path not in still_open
        )

    def retire(self, upload: Path) -> Path:
        """Move a processed upload to `done/`, under its own name, numbered when it is taken."""
        target = self.home / "done" / upload.name
        number = 1
        while target.exists():
            number += 1
            target = self.home / "done" / f"{upload.name}.{number}"
        os.replace(upload, target)
        return target
