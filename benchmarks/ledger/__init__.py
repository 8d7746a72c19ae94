"""How fast the ledger posts and reads, beside the limits of the same PostgreSQL."""
