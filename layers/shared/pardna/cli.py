"""The command ``pardna``: one word for each thing it can do, each in its capability's own module.

A capability adds a line to `COMMANDS`. Its module has ``main(arguments) -> int`` and is imported
only when its word is used, so that ``pardna parse`` loads no database and no AWS.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

#: Word -> (module, what it does in one line).
COMMANDS = {
    "ledger": ("pardna.ledger.command", "proofs of the ledger: export, receipt, verify offline"),
    "match": ("pardna.matching.command", "match two files, and say why and why not"),
    "redrive": (
        "pardna.runtime.redrive",
        "try the messages of a dead-letter or poison queue again",
    ),
    "parse": ("pardna.formats.command", "show what a file of transactions is and says"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names; the exit status is its answer."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_usage())
        return 0 if words else 2
    if words[0] not in COMMANDS:
        sys.stderr.write(f"pardna: there is no command {words[0]!r}\n\n{_usage()}")
        return 2
    module = importlib.import_module(COMMANDS[words[0]][0])
    try:
        return int(module.main(words[1:]))
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def _usage() -> str:
    listed = "".join(f"  {word:<10} {what}\n" for word, (_, what) in sorted(COMMANDS.items()))
    return f"usage: pardna COMMAND ...\n\n{listed}\n`pardna COMMAND --help` says more.\n"


if __name__ == "__main__":
    sys.exit(main())
