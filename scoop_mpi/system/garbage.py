"""Python's cycle collector rests while a rank starts.

Imports make many objects and next to no garbage, and each of the collector's looks goes over all
objects there are: without it a rank is up with a twentieth less of its processor's time.
"""

from __future__ import annotations

import gc

_is_resting = False


def rest() -> None:
    """Have the collector rest until `resume`, unless it does already."""
    global _is_resting
    _is_resting = gc.isenabled()
    gc.disable()


def resume() -> None:
    """The program is about to begin: have the collector work as it did before `rest`."""
    global _is_resting
    if _is_resting:
        _is_resting = False
        gc.enable()
