"""What goes wrong on demand.

| name             | what happens                                                          | options     |
|------------------|-----------------------------------------------------------------------|-------------|
| refuse           | nothing listens on the port, open connections break                   |             |
| changed_host_key | the server shows another host key                                     |             |
| hold_payments    | payment files stay in `in/`, unanswered, until the fault is cleared   |             |
| locked_out       | no client key is accepted                                             |             |
| cut_download     | the connection breaks after so many bytes of a file                   | after_bytes |
| cut_upload       | the connection breaks after so many bytes; what arrived stays         | after_bytes |
| disk_full        | writing fails                                                         |             |
| drop_reply       | an upload is completed and processed, then the connection breaks      |             |
| slow             | each read and write waits                                             | delay_ms    |

A fault holds until it is cleared, or for so many `times`; with `bank`, for one bank's user only (the
first three concern the whole server).
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass

from local.bank.model import Refused

WHOLE_SERVER = frozenset({"refuse", "changed_host_key", "hold_payments"})
NAMES = WHOLE_SERVER | {
    "locked_out",
    "cut_download",
    "cut_upload",
    "disk_full",
    "drop_reply",
    "slow",
}


@dataclass
class Fault:
    """One planned fault. `times` None means until cleared."""

    name: str
    bank: str | None = None
    times: int | None = None
    after_bytes: int = 0
    delay_ms: int = 0


class Faults:
    """All planned faults. Asked from the SFTP server, changed from the control port."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._lock = threading.Lock()

    def plan(self, fault: Fault) -> None:
        """Add a fault. Raises `Refused` for an unknown name."""
        if fault.name not in NAMES:
            raise Refused(f"name must be one of {', '.join(sorted(NAMES))}")
        with self._lock:
            self._planned.append(fault)

    def clear(self) -> None:
        """Everything works again."""
        with self._lock:
            self._planned.clear()

    def active(self, name: str) -> bool:
        """Whether a fault of this name is planned, without using it up."""
        with self._lock:
            return any(one.name == name for one in self._planned)

    def find(self, name: str, bank: str) -> Fault | None:
        """The fault that would hit this bank, without using it up."""
        with self._lock:
            return self._first(name, bank)

    def take(self, name: str, bank: str) -> Fault | None:
        """The fault that hits this bank now; one of its times is used up."""
        with self._lock:
            fault = self._first(name, bank)
            if fault is not None and fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._planned.remove(fault)
            return fault

    def listed(self) -> list[dict[str, object]]:
        """What is planned, for the control port."""
        with self._lock:
            return [asdict(one) for one in self._planned]

    def _first(self, name: str, bank: str) -> Fault | None:
        for fault in self._planned:
            if fault.name == name and fault.bank in (None, bank):
                return fault
        return None
