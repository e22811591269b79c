"""Stolen calls: single calls of other ranks, as tasks of their own.

Several calls of one function come as a span. One by itself needs no window to be claimed from.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

from scoop_mpi.errors import BY_SIGNAL
from scoop_mpi.tasks.future import Future, outcome_of
from scoop_mpi.tasks.outcomes import Outbox, Outcomes, ReturnedValues
from scoop_mpi.wire.columns import Batch
from scoop_mpi.wire.functions import (
    Functions,
    OwnFunction,
    SealedFunction,
    on_wire,
    passed_on,
)
from scoop_mpi.wire.messages import Call, Parcel
from scoop_mpi.wire.serializer import PLAIN, EncodedError
from scoop_mpi.wire.values import Sealer, column_of


class StolenCall(Future):
    """A single call of another rank's, as a task of its own: it needs no window.

    To a further thief it goes on as the parcel that it came in.
    """

    __slots__ = ("_functions", "_outbox", "_parcel", "_sealed", "_sealer")

    _functions: Functions
    _outbox: Outbox
    _parcel: Parcel
    _sealed: SealedFunction
    _sealer: Sealer

    def __init__(self, functions: Functions, sealer: Sealer, outbox: Outbox) -> None:
        self._function = _sealed_call
        self._arguments = ()
        self._context = None
        self._watchers = None
        self._functions = functions
        self._sealer = sealer
        self._outbox = outbox

    @classmethod
    def of_parcel(
        cls,
        parcel: Parcel,
        function: SealedFunction,
        functions: Functions,
        sealer: Sealer,
        outbox: Outbox,
        context: Context | None = None,
    ) -> StolenCall:
        """Return a new task.

        Args:
            parcel: the call.
            function: what the parcel tells of its function.
            functions: opens it.
            sealer: seals the outcome.
            outbox: where that goes.
            context: the one to make the call in, if it has come home; None: that in which `run` is.
        """
        call = cls(functions, sealer, outbox)
        call._context = context
        call._parcel = parcel
        call._sealed = function
        return call

    def __repr__(self) -> str:
        owner, key, start = self.name
        state = "has ended" if self.is_done else "not done"
        return f"<StolenCall {start} of span {key} of rank {owner}, {state}>"

    @property
    def known_function(self) -> Callable[..., Any] | None:
        """See `Future`: it is sealed, but for calls that have come home."""
        return self._sealed.function if isinstance(self._sealed, OwnFunction) else None

    @property
    def name(self) -> tuple[int, int, int]:
        """Which call it is: the owner, the owner's name for the span, and the call's number."""
        owner, key, start, *_ = self._parcel
        return owner, key, start

    @property
    def parcel(self) -> Parcel:
        """The call as it is sent on."""
        owner, key, start, _, reduction, length, columns, star = self._parcel
        sealed_reduction = None if reduction is None else passed_on(reduction)
        return owner, key, start, on_wire(self._sealed), sealed_reduction, length, columns, star

    def run(self) -> None:
        """Make the call, and put its outcome into the outbox. The caller has claimed it."""
        owner, key, start, _, _, length, columns, star = self._parcel
        failures: dict[int, BaseException | EncodedError] = {}
        value = interrupt = None
        try:
            self._function = function = self._functions.open(self._sealed)
            arguments = Batch(length, columns, star).open_call(function)
            if self._context is None:
                value = function(*arguments)
            else:
                value = self._context.run(function, *arguments)
            holder, value = [outcome_of(value)], None
            value = self._sealer.take(holder)
        except BaseException as error:
            value = None  # it may be a future that has failed
            failures = {0: self._sealer.failure(error)}
            if isinstance(error, BY_SIGNAL):
                interrupt = error
        self._context = self._function = None
        # Of a reduction, too, the partial value of one call is what it returned.
        self._outbox.append((owner, key, Outcomes(start, 1, column_of([value]), failures)))
        if interrupt is not None:
            raise interrupt


class LoneCall(StolenCall):
    """A stolen call that came in a message of its own, a `Call`."""

    __slots__ = ("_call", "_returned")

    _call: Call
    _returned: ReturnedValues

    @classmethod
    def of_call(
        cls,
        call: Call,
        functions: Functions,
        sealer: Sealer,
        outbox: Outbox,
        returned: ReturnedValues,
    ) -> LoneCall:
        """Return a new task.

        Args:
            call: the message.
            functions: opens its function.
            sealer: seals the outcome.
            outbox: where that goes, unless it is
            returned: a plain value, which goes here.
        """
        task = cls(functions, sealer, outbox)
        task._call = call
        task._returned = returned
        return task

    @property
    def known_function(self) -> Callable[..., Any] | None:
        """See `Future`: it is sealed."""
        return None

    @property
    def name(self) -> tuple[int, int, int]:
        """See `StolenCall`."""
        return self._call.owner, self._call.key, 0

    @property
    def parcel(self) -> Parcel:
        """The call as it is sent on."""
        _, owner, key, function, arguments = self._call
        return owner, key, 0, (function, ()), None, 1, tuple([thing] for thing in arguments), True

    def run(self) -> None:
        """See `StolenCall`."""
        _, owner, key, sealed, arguments = self._call
        try:
            self._function = function = self._functions.codec.open((sealed, ()))
            value = function(*arguments)
            if type(value) not in PLAIN:
                holder, value = [outcome_of(value)], None
                value = self._sealer.take(holder)
        except BaseException as error:
            failure = self._sealer.failure(error)
            self._outbox.append((owner, key, Outcomes(0, 1, [None], {0: failure})))
            if isinstance(error, BY_SIGNAL):
                raise
        else:
            if type(value) in PLAIN:
                self._returned.append((owner, key, value))
            else:
                self._outbox.append((owner, key, Outcomes(0, 1, column_of([value]), {})))
        finally:
            self._function = None


def _sealed_call() -> None:
    """Stand for the function of a call that has not been opened yet."""
