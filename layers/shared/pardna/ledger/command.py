"""``pardna ledger verify FILE [HASH | --anchor ANCHOR_FILE]``: check an export of the ledger, or a receipt, offline."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pardna.ledger import verify

_HELP = f"""{verify.USAGE}
FILE is an export (JSON lines) or a single receipt (JSON). HASH is a block's hash that was kept
elsewhere, ANCHOR_FILE an anchor (JSON) as it is written each day: the export must hold that block,
the receipt must be proved by it. Prints `holds`, or the
first block or journal that does not. Exit status: 0 holds, 1 does not, 2 cannot be read.
"""


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit status is the answer."""
    if arguments[:1] == ["verify"] and not {"-h", "--help"} & set(arguments):
        return verify.main(arguments[1:])
    asked = bool({"-h", "--help"} & set(arguments))
    (sys.stdout if asked else sys.stderr).write(_HELP)
    return 0 if asked else 2
