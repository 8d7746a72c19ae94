"""Try again, with growing pauses and jitter, a bounded number of times."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pardna.runtime.errors import PardnaError
from pardna.runtime.observability import logger

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retry:
    """At most `attempts` tries; before try n a pause of up to ``base * 2**n`` (full jitter)."""

    attempts: int = 4
    base_seconds: float = 0.5
    pause_seconds_max: float = 20.0
    sleep: Callable[[float], None] = time.sleep
    # Not cryptographic: it spreads retries, nothing more.
    fraction: Callable[[], float] = random.random

    def run(self, what: str, action: Callable[[], T]) -> T:
        """The action's result; raises its last error. Errors that are not retryable pass at once."""
        for attempt in range(1, self.attempts):
            try:
                return action()
            except PardnaError as error:
                if not error.retryable:
                    raise
                ceiling = min(self.base_seconds * 2**attempt, self.pause_seconds_max)
                logger.info("Trying again", what=what, error_code=error.code, attempt=attempt)
                self.sleep(ceiling * self.fraction())
        return action()
