"""Strict calls: made on this rank, but as if they had gone to another one.

For tests (``--strict``). A call that stays on its rank gets the very objects that it was given, and
returns its own; one that goes elsewhere gets copies, and returns one. What works strictly on one
rank works on many.
"""

from __future__ import annotations

import pickle
from typing import Any

from scoop_mpi.errors import BY_SIGNAL, CallableWrapper
from scoop_mpi.tasks.future import Future, KeywordCall, outcome_of
from scoop_mpi.tasks.span import Span, Task
from scoop_mpi.wire.columns import Batch, pack_calls
from scoop_mpi.wire.serializer import FunctionCodec, decode_error
from scoop_mpi.wire.values import Sealer, column_of, open_values


class StrictQueue(dict[Task, None]):
    """A queue of tasks whose calls are made strictly, also on this rank.

    Args:
        sealer: this rank's.
    """

    def __init__(self, sealer: Sealer) -> None:
        super().__init__()
        self._sealer = sealer

    def __setitem__(self, task: Task, value: None) -> None:
        if isinstance(task, Span):
            if not task.is_stolen:
                task.function = self._strict(task.function)
                task.reduction = self._strict(task.reduction)
        elif type(task) is Future and not task.is_done:
            function, _ = task.call
            task.replace_function(self._strict(function))
        super().__setitem__(task, value)

    def _strict(self, function: Any) -> Any:
        if function is None or isinstance(function, StrictCall):
            return function
        if type(function) is KeywordCall:
            return KeywordCall(self._strict(function.func), **function.keywords)
        return StrictCall(function, self._sealer)


class StrictCall(CallableWrapper):
    """A function whose arguments and results travel, though its calls stay here.

    Args:
        func: the function.
        sealer: seals what it returns or raises.
    """

    __slots__ = ("_sealer",)

    def __init__(self, func: Any, sealer: Sealer) -> None:
        super().__init__(func)
        self._sealer = sealer

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self.func,)  # on other ranks it is what it was

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        codec = FunctionCodec()
        function = codec.open(_travelled(codec.seal(self.func)))
        calls = pack_calls([(keywords, *arguments)], star=True)
        batch = _travelled(Batch(1, (calls,), star=True))
        keywords, *arguments_there = batch.open_call(function)
        del arguments, batch
        failure = None
        value = None
        try:
            value = self._sealer.take([outcome_of(function(*arguments_there, **keywords))])
        except BY_SIGNAL:
            raise
        except BaseException as error:
            failure = _travelled(self._sealer.failure(error))
        if failure is not None:
            raise decode_error(failure)
        values, failures = open_values(_travelled(column_of([value])))
        if failures:
            raise failures[0]
        return values[0]


def _travelled(thing: Any) -> Any:
    """Return what arrives on another rank when this is sent."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(thing, 5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytearray(buffer.raw()) for buffer in buffers])


def _itself(function: Any) -> Any:
    return function
