"""Pardna: a payments reconciliation platform, and rotating savings circles on top of it."""

__version__ = "0.1.0"
