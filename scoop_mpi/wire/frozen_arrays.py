"""Numpy arrays in constants: how they travel so that every rank gets them read-only.

The memory of a large constant may be shared by all ranks of a node, so nobody may write to its
arrays. To make that one rule, it holds for all arrays in constants: small ones too, those that
aren't contiguous, of objects, of times, of subclasses.

    array                                            its content travels
    of plain items, also of times and records        as a buffer, which can lie in shared memory
      ... of a subclass that pickles as an array       likewise: matrix, memmap, recarray
      ... masked                                       likewise, its data and its mask
    of objects, or of a subclass with its own way    in the stream: each rank has a copy

Must not know what constants are, nor who pickles them: `serializer` calls `reduce_frozen`.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

# What a subclass has to define to be pickled in a way of its own.
_HOOKS = ("__reduce__", "__reduce_ex__", "__setstate__")


def reduce_frozen(thing: Any) -> Any:
    """Return how to restore an array read-only, for `pickle.Pickler.reducer_override`.

    What is no array goes its usual way.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(thing, numpy.ndarray):
        return NotImplemented
    kind = type(thing)
    masked = sys.modules.get("numpy.ma")
    if masked is not None and kind is masked.MaskedArray:
        mask = None if thing.mask is masked.nomask else thing.mask
        return _restore_masked, (thing.data, mask, thing._fill_value, thing.hardmask)
    has_own_way = any(getattr(kind, hook) is not getattr(numpy.ndarray, hook) for hook in _HOOKS)
    if thing.dtype.hasobject or has_own_way:
        return _reduce_in_its_own_way(thing)
    order = "F" if thing.flags.fnc else "C"
    content: Any = b""
    if thing.nbytes:
        content = pickle.PickleBuffer(numpy.asarray(thing).ravel(order).view("u1"))
    return _restore, (kind, content, thing.dtype, thing.shape, order)


def _restore(kind: type[Any], content: Any, dtype: Any, shape: tuple[int, ...], order: Any) -> Any:
    """Return an array on the memory of `content`.

    Args:
        kind: the array's type.
        content: its bytes, as a buffer.
        dtype: what they mean.
        shape: the array's.
        order: how its elements lie in memory, "C" or "F".
    """
    import numpy

    array: Any
    if len(content):
        array = numpy.frombuffer(content, dtype).reshape(shape, order=order)
    else:
        array = numpy.empty(shape, dtype, order)
    if kind is not numpy.ndarray:
        array = array.view(kind)
    array.flags.writeable = False
    return array


def _restore_masked(data: Any, mask: Any, fill_value: Any, is_hard: bool) -> Any:
    import numpy

    if mask is None:
        mask = numpy.ma.nomask
    array = numpy.ma.MaskedArray(data, mask, fill_value=fill_value, hard_mask=is_hard)
    array.flags.writeable = False
    return array


def _reduce_in_its_own_way(thing: Any) -> Any:
    reduced = thing.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    if not isinstance(reduced, tuple) or len(reduced) > 3:
        return reduced  # a name, or a way with parts that no array has
    make, arguments, *state = reduced
    # Its state is set once it can be referred to: an array of objects may hold itself.
    return make, arguments, state, None, None, _set_state_and_freeze


def _set_state_and_freeze(thing: Any, state: list[Any]) -> None:
    import numpy

    if state and state[0] is not None:
        thing.__setstate__(state[0])
    if isinstance(thing, numpy.ndarray):
        thing.flags.writeable = False
