"""Matching: which records of two sides are the same money, why, and why not."""
