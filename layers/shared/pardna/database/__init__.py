"""PostgreSQL: tenant sessions, the migration runner and the migrations themselves."""
