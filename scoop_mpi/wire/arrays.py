"""Arrays and memoryviews: what lies in memory of its own, on its way.

Both arrive as they were, in memory that is theirs alone. An array arrives writable, even if it was
not: what arrives belongs to who gets it. A memoryview may be written to if it could be before.

Responsible for how they are reduced and restored; that their memory stays out of the stream if it
is large is pickle's own doing (protocol 5).
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

Content = Any  # bytes, or a view of the memory in which they came


def reduce_array(thing: Any) -> Any:
    """Reduce an array so that it arrives writable, as pickle does with all but read-only ones.

    What is no array of numpy's goes its usual way. (Subclasses of it have their own.)
    """
    kind = type(thing)
    if kind.__name__ != "ndarray" or kind.__module__ != "numpy":
        return NotImplemented
    array = thing
    if array.flags.writeable or array.dtype.hasobject:
        return NotImplemented
    # The axes from the one with the largest steps to the one with the smallest: so it lies in
    # memory, unless it has gaps. Of one with gaps numpy sends a copy.
    axes = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    straight = array.transpose(axes)
    if not straight.flags.c_contiguous:
        return NotImplemented
    content: Any = b""
    if array.nbytes:
        content = pickle.PickleBuffer(straight.reshape(-1).view("u1"))
    places = () if axes == [*range(array.ndim)] else tuple(axes)
    return restore_array, (content, array.dtype, straight.shape, places)


def is_array_type(kind: type) -> bool:
    """Say whether a type is that of numpy's arrays, or derived from it."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.ndarray)


def restore_array(
    content: Content, dtype: Any, shape: tuple[int, ...], axes: tuple[int, ...]
) -> Any:
    """Return the array of `reduce_array`.

    Args:
        content: its bytes, or a read-only view of the memory in which they came. Where that is
            part of something larger, as with a constant in shared memory, it is to stay read-only.
        dtype: what the bytes mean.
        shape: the array's, its axes in the order in which they lie in memory.
        axes: where these belong; empty: where they are.
    """
    import numpy

    if not len(content):  # nothing to refer to, also where there are items, of no bytes
        straight: Any = numpy.empty(shape, dtype)
    else:
        straight = numpy.frombuffer(_own_memory(content), dtype).reshape(shape)
    return straight.transpose(numpy.argsort(axes)) if axes else straight


def reduce_view(view: Any) -> Any:
    """Reduce a memoryview.

    Raises:
        PicklingError: of its items' format no memoryview can be made.
    """
    item_format, shape = view.format, view.shape
    if not _can_be_made(view):
        raise pickle.PicklingError(
            f"a memoryview of format {item_format!r} and shape {shape} can't be sent; "
            "send its tobytes()"
        )
    flat = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
    return restore_view, (pickle.PickleBuffer(flat), item_format, shape, view.readonly)


def _can_be_made(view: Any) -> bool:
    """Say whether Python can make such a memoryview from bytes: few formats, and no empty plane."""
    try:
        memoryview(bytes(view.itemsize)).cast(view.format)
    except (TypeError, ValueError):
        return False
    return 0 not in view.shape or view.ndim == 1


def restore_view(
    content: Content, item_format: str, shape: tuple[int, ...], is_readonly: bool
) -> memoryview:
    """Return the memoryview of `reduce_view`.

    Args:
        content: its bytes.
        item_format: that of its items, as in `struct`.
        shape: its shape.
        is_readonly: whether it is not to be written to.
    """
    flat: Any = memoryview(_own_memory(content)).cast("B")
    view: memoryview = flat.cast(item_format) if len(shape) == 1 else flat.cast(item_format, shape)
    return view.toreadonly() if is_readonly else view


def _own_memory(content: Content) -> Any:
    """Return the memory in which `content` came, or writable memory of its own."""
    if isinstance(content, memoryview):
        return content.obj if memoryview(content.obj).nbytes == content.nbytes else content
    return bytearray(content)
