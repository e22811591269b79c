"""Where fronts block the program's thread: Ctrl-C, and any handler that raises, may end these.

Nothing else is done here, so nothing is left half-done. See `engine.signals`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable


def join(threads: Iterable[threading.Thread]) -> None:
    """Wait until threads have ended."""
    for thread in threads:
        thread.join()


def wait(event: threading.Event, timeout: float | None) -> bool:
    """Wait until an event is set; return False if `timeout` seconds were over before."""
    return event.wait(timeout)
