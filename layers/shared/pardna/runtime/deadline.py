"""How long a function may still run: what it cannot finish, it continues the next time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

#: Seconds that are left; falls as time goes by.
SecondsLeft = Callable[[], float]


def seconds_left(context: Any) -> SecondsLeft:
    """Of a Lambda context."""
    return lambda: float(context.get_remaining_time_in_millis()) / 1000


def for_ever() -> float:
    """Of a process that nobody ends."""
    return math.inf
