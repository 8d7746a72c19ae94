"""What a machine may not decide alone: a second person's yes or no, and waits for the outside."""
