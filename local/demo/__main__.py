"""``python -m local.demo``: start the home, tell the story twice, show what it came to.

The last line is JSON for programs; the exit status is 0 when the story held. All that was printed
is kept in ``demo.json`` in the home.
"""

from __future__ import annotations

import io
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from local import home as homes
from local.console import HomeError, report, say
from local.demo import closing, digest, result, screen, story
from local.demo.player import Player
from local.home import Home


class Tee(io.TextIOBase):
    """Writes to the terminal, and remembers what it wrote."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self.lines: list[str] = []
        self._line = ""

    def write(self, text: str) -> int:
        """Write now, remember whole lines; what a carriage return overwrites is forgotten."""
        self._terminal.write(text)
        *whole, self._line = (self._line + text).split("\n")
        self.lines += [line.rsplit("\r", 1)[-1] for line in whole]
        return len(text)

    def flush(self) -> None:
        """Show it now."""
        self._terminal.flush()

    def isatty(self) -> bool:
        """Whether a person looks."""
        return self._terminal.isatty()


def main() -> int:
    """Play, print, keep; the exit status."""
    signal.signal(signal.SIGTERM, _interrupt)
    terminal, tee = sys.stdout, Tee(sys.stdout)
    sys.stdout = tee  # type: ignore[assignment]
    started = time.monotonic()
    outcome: dict[str, Any] = {"ok": False}
    try:
        outcome = play(started)
        status = 0 if outcome["ok"] else 1
    except HomeError as error:
        status = report(error)
        outcome |= {"error": error.what, "seconds": _seconds(started)}
    except KeyboardInterrupt:
        say("\nstopped; what runs goes on running until `make down`")
        outcome |= {"error": "interrupted", "seconds": _seconds(started)}
        status = 130
    finally:
        sys.stdout = terminal
    _keep(outcome, tee.lines)
    print(json.dumps(outcome), flush=True)
    return status


def play(started: float) -> dict[str, Any]:
    """Start the home, tell the story twice and show it; the outcome for programs."""
    say("Starting the laptop home")
    home = homes.up()
    say(f"\nTelling the story of {', '.join(c.name for c in story.CIRCLES)}")
    told = story.tell(home)
    found = result.read(Player(home), told)
    screen.show(home, told, found)
    say("\nTelling it again")
    before = settled_digest(home)
    story.tell(home)
    after = settled_digest(home)
    difference = digest.compare(before, after)
    screen.show_repeat(difference, digest.kinds(before))
    if found.wrong:
        screen.title("What did not hold")
        for problem in found.wrong:
            screen.bullet(problem)
    seconds = _seconds(started)
    held = not found.wrong and difference.count == 0
    say(f"\n{'The story held.' if held else 'THE STORY DID NOT HOLD.'} {seconds} s\n")
    return {
        "ok": held,
        "second_run_changed": difference.count,
        "seconds": seconds,
        "journals": found.journals,
        "matches_by_level": found.matches_by_level,
        "open_breaks": len(found.breaks),
        "trial_balance": found.trial_balance,
        "mails": len(found.mails),
        "sms": len(found.texts),
        "payments": len(found.payments),
        "compared": len(before),
        "api": home.api_url,
        "reports": [path for kinds in told.reports.values() for path in kinds.values()],
    }


def settled_digest(home: Home, seconds: float = 90.0) -> digest.Digest:
    """The digest once nothing is on its way any more: two in a row are equal."""
    closing.await_quiet(Player(home))
    keep_books(home, seconds)
    end, last = time.monotonic() + seconds, digest.take(home)
    while time.monotonic() < end:
        time.sleep(0.3)
        now = digest.take(home)
        if now == last:
            return now
        last = now
    raise HomeError(
        f"the home did not come to rest within {seconds:.0f} s",
        "something writes again and again: look at `make logs`",
    )


def keep_books(home: Home, seconds: float) -> None:
    """What schedules would do to the ledger in the next minute and at night, done now.

    Else a block, a snapshot or an anchor might be written between two digests.
    """
    import psycopg

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        home.invoke("KeepBooksFunction", {})
        with psycopg.connect(home.database_superuser_url, autocommit=True) as connection:
            row = connection.execute(_UNSEALED).fetchone()
        if row == (0,):
            home.invoke("CloseDayFunction", {})
            return
        time.sleep(0.3)
    raise HomeError(
        f"journals were not sealed within {seconds:.0f} s", "is a transaction open in the database?"
    )


_UNSEALED = """
    SELECT count(*) FROM ledger.journals j WHERE j.xid >= coalesce(
        (SELECT max(b.to_xid) FROM ledger.blocks b WHERE b.tenant_id = j.tenant_id), '0')
"""


def _seconds(started: float) -> int:
    return round(time.monotonic() - started)


def _keep(outcome: dict[str, Any], lines: list[str]) -> None:
    """Leave what was printed, and the outcome, in the home."""
    folder: Path = homes.home_folder()
    folder.mkdir(parents=True, exist_ok=True)
    body = json.dumps(outcome | {"output": lines}, indent=2, ensure_ascii=False)
    (folder / "demo.json").write_text(body + "\n")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
