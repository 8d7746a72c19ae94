"""The canonical transaction: one money movement as one side reports it, and its store."""
