"""Savings circles (pardna): members throw a hand each round, and one of them takes the draw."""
