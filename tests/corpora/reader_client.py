"""The other side of `reader_process`: asks it, and starts another when a file ended it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Reader:
    """One process that reads files, as long as none of them breaks its limits."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def read(self, path: Path, profile: dict[str, Any] | None = None) -> dict[str, Any]:
        """The figures of a file, ``{"refused": …}``, or ``{"died": …}`` for a broken limit."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{path}\t{json.dumps(profile)}\n" if profile else f"{path}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._stop()
        return {"died": f"ended with {process.returncode} instead of an answer"}

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            paths = os.pathsep.join((str(ROOT / "layers" / "shared"), str(ROOT)))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.corpora.reader_process"],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait(timeout=60)
            self._process.stdout.close()
            self._process = None
