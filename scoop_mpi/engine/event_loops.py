"""Event loops: the running one of asyncio's is a task's, not that of all who share its thread.

asyncio keeps for each thread which loop runs there. Tasks that take turns on one thread, or run on
another one's stack, would find the loop of the other.
"""

from __future__ import annotations

import sys
from typing import Any


def take_away() -> Any:
    """Return the loop that runs in this thread, which from now on runs none; None: none does."""
    events = sys.modules.get("asyncio.events")
    if events is None:
        return None
    loop = events._get_running_loop()
    if loop is not None:
        events._set_running_loop(None)
    return loop


def put_back(loop: Any) -> None:
    """Have this thread run the loop that was taken away, if there was one."""
    if loop is not None:
        sys.modules["asyncio.events"]._set_running_loop(loop)
