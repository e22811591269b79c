"""The first thread: until the program starts one, whoever submits a task is the main thread.

To ask which thread it is takes a nested task some tenth of its time. So as long as the program has
no other threads, nobody asks. Python has no hook for it: `threading.Thread.start`, and what it
stands on, are replaced until the first thread starts. A thread that C code has made by itself, and
that calls Python, is taken for the main one until then.
"""

from __future__ import annotations

import _thread
import threading
from typing import Any

from scoop_mpi.current import HotPath


def expect(hub: HotPath) -> None:
    """Have `hub` be alone until the program starts a thread. To be called once ours run."""
    start, start_new_thread = threading.Thread.start, _thread.start_new_thread

    def note() -> None:
        hub.is_alone = False
        if vars(threading.Thread)["start"] is start_and_note:  # nobody else has replaced it since
            threading.Thread.start = start  # type: ignore[method-assign]
        if _thread.start_new_thread is start_new_and_note:
            _thread.start_new_thread = start_new_thread

    def start_and_note(self: threading.Thread) -> None:
        note()
        start(self)

    def start_new_and_note(*arguments: Any) -> int:
        note()
        return start_new_thread(*arguments)

    threading.Thread.start = start_and_note  # type: ignore[method-assign]
    _thread.start_new_thread = start_new_and_note
    hub.is_alone = True
