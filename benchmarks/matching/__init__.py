"""Matching, measured: a generator with an answer key, the floor, the engine, the scores."""
