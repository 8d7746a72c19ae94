"""What a person sees while the home works: one tidy line a step, with the time it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class HomeError(Exception):
    """Something a person must do; `what` happened and `remedy` says what to do about it."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def say(line: str) -> None:
    """Print one line now, also when the output is a file."""
    print(line, flush=True)


@contextmanager
def step(name: str) -> Iterator[list[str]]:
    """Announce a step, then say how long it took. What the body appends is shown behind it."""
    notes: list[str] = []
    started = time.monotonic()
    tty = sys.stdout.isatty()
    if tty:
        print(f"  .. {name}", end="", flush=True)
    lead = "\r" if tty else ""
    try:
        yield notes
    except BaseException:
        print(f"{lead}  xx {name:<34}{time.monotonic() - started:6.1f} s", flush=True)
        raise
    note = f"  {'; '.join(notes)}" if notes else ""
    print(f"{lead}  ok {name:<34}{time.monotonic() - started:6.1f} s{note}", flush=True)


def report(error: HomeError) -> int:
    """Say what went wrong and what to do; the exit status."""
    print(f"\n{error.what}", file=sys.stderr)
    if error.remedy:
        print(f"  -> {error.remedy}", file=sys.stderr)
    return 1
