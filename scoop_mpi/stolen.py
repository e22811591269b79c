"""Stolen calls: single calls of other ranks, as tasks of their own.

Several calls of one function come as a span. One by itself needs no window to be claimed from.
"""

from __future__ import annotations

from scoop_mpi.columns import Batch
from scoop_mpi.future import Future
from scoop_mpi.messages import Call, Parcel
from scoop_mpi.outcomes import Outbox, Outcomes, ReturnedValues
from scoop_mpi.serializer import PLAIN, EncodedError, FunctionCodec, forwarded


class StolenCall(Future):
    """A single call of another rank's, as a task of its own: it needs no window.

    To a further thief it goes on as the parcel that it came in.
    """

    __slots__ = ("_codec", "_outbox", "_parcel")

    _codec: FunctionCodec
    _outbox: Outbox
    _parcel: Parcel

    def __init__(self, codec: FunctionCodec, outbox: Outbox) -> None:
        self._function = _sealed_call
        self._arguments = ()
        self._watchers = None
        self._codec = codec
        self._outbox = outbox

    @classmethod
    def of_parcel(cls, parcel: Parcel, codec: FunctionCodec, outbox: Outbox) -> StolenCall:
        """Return a new task.

        Args:
            parcel: the call.
            codec: opens its function.
            outbox: where its outcome goes.
        """
        call = cls(codec, outbox)
        call._parcel = parcel
        return call

    def __repr__(self) -> str:
        owner, key, start, *_ = self.parcel
        state = "has ended" if self.is_done else "not done"
        return f"<StolenCall {start} of span {key} of rank {owner}, {state}>"

    @property
    def parcel(self) -> Parcel:
        """The call as it is sent on."""
        owner, key, start, function, reduction, length, columns, star = self._parcel
        batch = Batch(length, columns, star).trimmed()
        sealed_reduction = None if reduction is None else forwarded(reduction)
        return owner, key, start, forwarded(function), sealed_reduction, *batch

    def run(self) -> None:
        """Make the call, and put its outcome into the outbox. The caller has claimed it."""
        owner, key, start, sealed, _, length, columns, star = self._parcel
        failures: dict[int, BaseException | EncodedError] = {}
        value = None
        try:
            self._function = function = self._codec.open(sealed)
            arguments = Batch(length, columns, star).open_call(function)
            value = function(*arguments)
        except BaseException as error:
            failures = {0: error}
        self._function = None
        # Of a reduction, too, the partial value of one call is what it returned.
        self._outbox.append((owner, key, Outcomes(start, 1, [value], failures)))
        if failures and isinstance(failures[0], KeyboardInterrupt):
            raise failures[0]


class LoneCall(StolenCall):
    """A stolen call that came in a message of its own, a `Call`."""

    __slots__ = ("_call", "_returned")

    _call: Call
    _returned: ReturnedValues

    @classmethod
    def of_call(
        cls, call: Call, codec: FunctionCodec, outbox: Outbox, returned: ReturnedValues
    ) -> LoneCall:
        """Return a new task.

        Args:
            call: the message.
            codec: opens its function.
            outbox: where its outcome goes, unless it is
            returned: a plain value, which goes here.
        """
        task = cls(codec, outbox)
        task._call = call
        task._returned = returned
        return task

    @property
    def parcel(self) -> Parcel:
        """The call as it is sent on."""
        _, owner, key, function, arguments = self._call
        return owner, key, 0, (function, ()), None, 1, tuple([thing] for thing in arguments), True

    def run(self) -> None:
        """See `StolenCall`."""
        _, owner, key, sealed, arguments = self._call
        try:
            self._function = function = self._codec.open((sealed, ()))
            value = function(*arguments)
        except BaseException as error:
            self._outbox.append((owner, key, Outcomes(0, 1, [None], {0: error})))
            if isinstance(error, KeyboardInterrupt):
                raise
        else:
            if type(value) in PLAIN:
                self._returned.append((owner, key, value))
            else:
                self._outbox.append((owner, key, Outcomes(0, 1, [value], {})))
        finally:
            self._function = None


def _sealed_call() -> None:
    """Stand for the function of a call that has not been opened yet."""
