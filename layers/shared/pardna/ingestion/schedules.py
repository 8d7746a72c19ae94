"""When a source is visited: a schedule of its own for each channel that is visited at all. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pardna.ingestion.model import SourceProfile
from pardna.runtime.errors import InvalidInput

#: Channels that somebody must visit; webhooks and uploads come by themselves.
VISITED = ("poll", "sftp", "email")
#: More often than this would wear out the patience, and the rate limits, of whoever is visited.
MINUTES_MIN = 5
#: A visit may start this much later, so that sources do not all start in one second.
WINDOW_MINUTES_MAX = 15

_RATE = re.compile(r"rate\(([0-9]{1,4}) (minutes?|hours?|days?)\)")
_CRON = re.compile(r"cron\((\S{1,40}) (\S{1,80}) (\S{1,80}) (\S{1,60}) (\S{1,60}) (\S{1,40})\)")
_FIELD = re.compile(r"[0-9A-Z*?,/#LW-]+")
_MINUTES = {"minute": 1, "hour": 60, "day": 1_440}


@dataclass(frozen=True, slots=True)
class Schedule:
    """One channel of one source; `expression` as EventBridge Scheduler has it, in UTC."""

    tenant_id: str
    source_id: str
    channel: str
    expression: str
    enabled: bool = True

    @property
    def name(self) -> str:
        """At most 64 characters, one for each channel of each source."""
        whole = "\x1f".join((self.tenant_id, self.source_id, self.channel))
        digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
        return f"{self.tenant_id[:18]}.{self.source_id[:18]}.{self.channel}.{digest}"

    @property
    def window_minutes(self) -> int:
        """How late it may start: half its interval at most."""
        return min(WINDOW_MINUTES_MAX, interval_minutes(self.expression) // 2)


def of(profile: SourceProfile, expressions: Mapping[str, str], enabled: bool) -> list[Schedule]:
    """A source's schedules; raises InvalidInput ``source.schedule`` for one that cannot be."""
    found = []
    for channel, expression in sorted(expressions.items()):
        if channel not in VISITED or channel not in profile.channels:
            raise InvalidInput("source.schedule", f"this source is not visited by {channel}")
        interval_minutes(expression)
        found.append(
            Schedule(profile.tenant_id, profile.source_id, channel, expression, enabled=enabled)
        )
    return found


def interval_minutes(expression: str) -> int:
    """The shortest time between two visits; raises InvalidInput ``source.schedule``."""
    rate = _RATE.fullmatch(expression)
    cron = _CRON.fullmatch(expression)
    if rate is not None:
        number, unit = int(rate[1]), rate[2]
        if number < 1 or (number == 1) == unit.endswith("s"):
            raise InvalidInput("source.schedule", "rate(1 hour), rate(2 hours)")
        minutes = number * _MINUTES[unit.rstrip("s")]
    elif cron is not None and all(_FIELD.fullmatch(field) for field in cron.groups()):
        if (cron[3] == "?") == (cron[5] == "?"):
            raise InvalidInput("source.schedule", "of day and weekday exactly one is ?")
        minutes = _between(cron[1])
    else:
        raise InvalidInput("source.schedule", "rate(15 minutes) or cron(0 6 * * ? *), in UTC")
    if minutes < MINUTES_MIN:
        raise InvalidInput("source.schedule", f"at most every {MINUTES_MIN} minutes")
    return minutes


def _between(field: str) -> int:
    """The shortest gap that a cron's minutes leave, of ``0``, ``0,30``, ``*/15`` or ``5/20``."""
    every = re.fullmatch(r"(\*|[0-9]{1,2})/([0-9]{1,2})", field)
    if every is not None:
        first, step = 0 if every[1] == "*" else int(every[1]), int(every[2])
        listed = list(range(first, 60, step)) if step else []
    elif re.fullmatch(r"[0-9]{1,2}(,[0-9]{1,2})*", field):
        listed = sorted({int(one) for one in field.split(",")})
    else:
        listed = []
    if not listed or listed[-1] > 59:
        raise InvalidInput("source.schedule", "minutes: 0, 0,30 or */15")
    return min(b - a for a, b in zip(listed, [*listed[1:], listed[0] + 60], strict=True))
