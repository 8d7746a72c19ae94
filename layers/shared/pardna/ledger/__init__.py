"""The ledger: double entry in integer minor units, append-only, one tenant at a time."""
