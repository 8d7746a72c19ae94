"""``pardna ledger verify | export | receipt``: proofs of the ledger, made and checked."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from pardna.ledger import verify
from pardna.runtime.errors import PardnaError

_HELP = f"""{verify.USAGE}       pardna ledger export TENANT
       pardna ledger receipt TENANT JOURNAL_ID [HEIGHT]

verify: FILE is an export (JSON lines) or a single receipt (JSON). HASH is a block's hash that was kept
elsewhere, ANCHOR_FILE an anchor (JSON) as it is written each day: the export must hold that block,
the receipt must be proved by it. Prints `holds`, or the first block or journal that does not. Needs
neither database nor network.

export, receipt: print all sealed journals of a tenant, or one with its proof, on to block HEIGHT (an
anchored one). They read the database that DATABASE_URL names.

Exit status: 0 holds or printed, 1 does not hold or refused, 2 cannot be read.
"""


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit status is the answer."""
    word, rest = (arguments[0] if arguments else ""), list(arguments[1:])
    asked = bool({"-h", "--help"} & set(arguments))
    if word == "verify" and not asked:
        return verify.main(rest)
    if not asked and (
        (word == "export" and len(rest) == 1) or (word == "receipt" and 2 <= len(rest) <= 3)
    ):
        try:
            _print(word, *rest)
        except (PardnaError, ValueError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
        return 0
    (sys.stdout if asked else sys.stderr).write(_HELP)
    return 0 if asked else 2


def _print(word: str, tenant_id: str, journal_id: str = "", height: str = "0") -> None:
    from pardna.database.session import from_settings
    from pardna.ledger import export
    from pardna.runtime.settings import settings

    up_to = int(height)
    database = from_settings(settings())
    try:
        with database.transaction(tenant_id, "system:ledger") as connection:
            if word == "export":
                for line in export.export_lines(connection, tenant_id):
                    sys.stdout.write(f"{line}\n")
            else:
                sys.stdout.write(json.dumps(export.receipt(connection, journal_id, up_to)) + "\n")
    finally:
        database.close()
