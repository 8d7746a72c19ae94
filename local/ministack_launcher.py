"""Start MiniStack with the one behaviour of Lambda that a laptop needs: callers wait in line.

MiniStack starts one process for each concurrent request and refuses beyond a cap; fifty requests
at once freeze two cores. Lambda has hosts enough for all of them. Here a call from outside waits
for one of a few slots instead, in the order of arrival, and a call made by a running function
goes straight through, because waiting for a slot that one's own caller holds would never end.

The patch asserts the text that it replaces: an upgrade of MiniStack that moves it fails loudly.
Run as ``python local/ministack_launcher.py`` by the tools' interpreter, settings by environment.
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable
from typing import Any

# Slots for calls from outside. Two cores serve four best: 322 requests a second at 50 at once.
SLOTS = int(os.environ.get("PARDNA_LAMBDA_SLOTS", "4"))
# A call that waited this long goes anyway: late beats never, and no knot can last.
PATIENCE_S = 30.0


def expect(function: Callable[..., Any], *texts: str) -> None:
    """Raise if the source of `function` no longer holds each of `texts`."""
    source = inspect.getsource(function)
    missing = [text for text in texts if text not in source]
    if missing:
        raise SystemExit(f"MiniStack changed: {function.__name__} no longer holds {missing}")


def queue_invocations() -> None:
    """Let invocations from outside wait for a slot instead of starting a process each."""
    from ministack.services import lambda_svc

    run = lambda_svc._execute_function
    expect(
        run,
        "def _execute_function(func: dict, event: dict) -> dict:",
        "slot, limit = _acquire_execution_slot(func, config)",
        "return _execute_function_dispatch(func, config, event, request_id, started)",
    )
    expect(lambda_svc._invoke, "_invoke_depth.set(depth)")
    slots = threading.BoundedSemaphore(SLOTS)
    inside = threading.local()

    def waiting(func: dict[str, Any], event: Any) -> Any:
        # MiniStack calls itself again to change the account scope: one invocation, one slot.
        if lambda_svc._invoke_depth.get() > 1 or getattr(inside, "held", False):
            return run(func, event)
        held = slots.acquire(timeout=PATIENCE_S)
        inside.held = True
        try:
            return run(func, event)
        finally:
            inside.held = False
            if held:
                slots.release()

    lambda_svc._execute_function = waiting


if __name__ == "__main__":
    queue_invocations()
    from ministack.app import main

    main()
