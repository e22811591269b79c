"""Frames: what a message consists of while it travels."""

from __future__ import annotations

import pickle
from typing import Any

Frame = Any  # bytes, bytearray, memoryview or pickle.PickleBuffer: whatever exports its bytes
Frames = list[Frame]


def bytes_of(frame: Frame) -> memoryview:
    """Return a frame's memory as a flat view of bytes, also that of a Fortran-ordered array."""
    if isinstance(frame, pickle.PickleBuffer):
        return frame.raw()
    return memoryview(frame).cast("B")
