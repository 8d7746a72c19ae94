"""Reports: what happened, for people (HTML) and for spreadsheets (CSV)."""
