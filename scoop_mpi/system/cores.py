"""Which cores of its host this process may use."""

from __future__ import annotations

import os


def usable() -> frozenset[int]:
    """Return the numbers of these cores. Where the system doesn't tell, as macOS: of all."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))
