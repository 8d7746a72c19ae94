"""A rate limit: a bucket of tokens that refills with time. The clock is given, so tests own it."""

from __future__ import annotations

import threading
from collections.abc import Callable

_NANOSECONDS = 1_000_000_000


class Throttle:
    """At most `per_second` requests a second, after a burst of as many."""

    def __init__(self, per_second: int, clock_ns: Callable[[], int]) -> None:
        self._per_second = per_second
        self._clock_ns = clock_ns
        self._capacity = per_second * _NANOSECONDS
        self._tokens = self._capacity
        self._seen = clock_ns()
        self._lock = threading.Lock()

    def admit(self) -> bool:
        """Whether one more request may pass now."""
        with self._lock:
            now = self._clock_ns()
            # One token is worth a second of nanoseconds, so that refilling needs no fraction.
            self._tokens = min(self._capacity, self._tokens + (now - self._seen) * self._per_second)
            self._seen = now
            if self._tokens < _NANOSECONDS:
                return False
            self._tokens -= _NANOSECONDS
            return True
