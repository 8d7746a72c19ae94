"""Messages to people by e-mail and SMS; templates are data."""
