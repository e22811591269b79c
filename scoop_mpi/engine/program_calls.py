"""Program calls: what is done about each call that the program submits outside of tasks.

Of a job with a journal: it is done at once if its result is known, and else its result is kept once
it is there. Of one that can be drained: it is known as long as it is not done, and after that has
begun it is kept out of the queues. Calls of tasks are parts of these, and nobody asks about them.

    program:  submit ---> take: is it done, or kept out? ---> queue ---> ... ---> done: kept
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from scoop_mpi.engine.callbacks import taken_from
from scoop_mpi.engine.draining import Draining
from scoop_mpi.engine.greenlets import Greenlets
from scoop_mpi.errors import Drained
from scoop_mpi.journal.journal import Call, Journal, Lost
from scoop_mpi.tasks.future import Future, Unopened
from scoop_mpi.tasks.span import Span, Task
from scoop_mpi.tasks.terms import isolated
from scoop_mpi.wire.serializer import PLAIN


class Keeping(Protocol):
    """A map whose results are to be kept."""

    def keep_arrived(self) -> None:
        """Keep what has come in. Any thread may."""
        ...


class ProgramCalls:
    """The calls of the root's program.

    Args:
        hub: the root's.
        journal: the job's; None: it has none.
        draining: how the job drains; None: it never does.

        isolates: whether all of them are to be isolated.

    Attributes:
        journal: see above.
        draining: see above.
    """

    def __init__(
        self,
        hub: Greenlets,
        journal: Journal | None,
        draining: Draining | None,
        isolates: bool = False,
    ) -> None:
        self.journal = journal
        self.draining = draining
        self._isolates = isolates
        self._hub = hub
        self._deferred: weakref.WeakSet[Future] = weakref.WeakSet()  # those that wait for futures
        self._arrived: deque[_Keeper] = deque()
        self._maps: weakref.WeakSet[Keeping] = weakref.WeakSet()

    def take(self, task: Task) -> bool:
        """A task is submitted; say whether it is done, or to be kept out of the queues."""
        if not isinstance(task, Future) or self._hub.is_in_task:
            return False
        if self._make_ready(task):
            return True
        return self.draining is not None and self.draining.take(task)

    def defer(self, future: Future) -> bool:
        """A call is submitted that waits for others; say whether it is to be kept out."""
        if self._hub.is_in_task:
            return False
        self._deferred.add(future)  # the rest is done once its arguments are there
        return self.draining is not None and self.draining.take(future)

    def take_ready(self, future: Future) -> bool:
        """A call that has waited for others is ready; say whether it is done."""
        if future not in self._deferred:
            return False
        self._deferred.discard(future)
        return self._make_ready(future)

    def _make_ready(self, future: Future) -> bool:
        """Have a call of the program's made as it is to be; say whether it is done."""
        if self._isolates:
            future.replace_function(isolated(future.call[0]))
        return self.journal is not None and self._take_result(self.journal, future)

    def prepared(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function of a map that is submitted, as it is to be called."""
        return isolated(function) if self._isolates and not self._hub.is_in_task else function

    def take_map(self, span: Span) -> bool:
        """A map is submitted; say whether it is to be kept out of the queues."""
        if self.draining is None or self._hub.is_in_task:
            return False
        return self.draining.take_map(span)

    def calls_of(
        self, function: Callable[..., Any], calls: Iterable[Any], star: bool
    ) -> list[Call | None] | None:
        """Return what the journal knows of the calls of a map; None: it has no part in them.

        Args:
            function: what is called.
            calls: one argument for each call or, with `star`, one tuple of them.
            star: whether `calls` holds tuples of arguments.
        """
        if self.journal is None or self._hub.is_in_task:
            return None
        return self.journal.calls_of(function, calls if star else ((call,) for call in calls))

    def check(self) -> None:
        """Somebody is about to wait.

        Raises:
            Drained: nothing will come of it, as the job has drained.
        """
        if self.draining is not None and self.draining.is_over and not self._hub.is_in_task:
            raise Drained

    def watch_map(self, submitted: Keeping) -> None:
        """Have what comes in of a map kept, whether the program takes it or not."""
        self._maps.add(submitted)

    def keep_arrived(self) -> None:
        """Keep results that have come in, also while the program is busy. Any thread may."""
        for submitted in list(self._maps):
            submitted.keep_arrived()
        while (keeper := taken_from(self._arrived)) is not None:
            keeper.keep_if_safe()

    def _take_result(self, journal: Journal, future: Future) -> bool:
        """Complete a future whose result is known; say whether it was."""
        function, arguments = future.call
        call = journal.call_of(function, arguments)
        if call is None:
            return False
        if call.place is not None:
            try:
                future.complete(journal.result(call), None)
            except Lost:
                pass  # so it is made again
            else:
                return True
        keeper = _Keeper(journal, future, call, self._arrived)
        future.add_done_callback(keeper)
        future.watch(keeper, self._hub)
        return False


class _Keeper:
    """Has the result of a future's call kept, before anybody could change it.

    It is one of the future's callbacks, for calls that were made here; and it watches the future,
    for those that come from other ranks: the program's threads may be busy for long.

    Args:
        journal: the job's.
        future: that of the call.
        call: the call.
        arrived: gets this when the future is done.
    """

    __slots__ = ("_arrived", "_call", "_function", "_future", "_is_kept", "_journal", "_lock")

    def __init__(
        self, journal: Journal, future: Future, call: Call, arrived: deque[_Keeper]
    ) -> None:
        self._journal = journal
        self._future: Future | None = future
        self._function = future.call[0]
        self._call = call
        self._arrived = arrived
        self._is_kept = False
        self._lock = threading.RLock()

    def notify(self) -> None:
        """See `Watcher`."""
        if self._future is not None:
            self._future.wrap_unopened(self._wrap)
            self._arrived.append(self)

    def _wrap(self, outcome: Unopened) -> Unopened:
        return _KeptAsOpened(outcome, self)

    def __call__(self, future: Future) -> None:
        """See `Future.add_done_callback`."""
        self._future = None
        if future.failure is None:
            self.keep(future.value)

    def keep_if_safe(self) -> None:
        """Keep the result, unless somebody may have got it, and change it. Any thread may."""
        future, self._future = self._future, None
        if future is None:
            return  # it is kept
        if isinstance(future.unopened, _KeptAsOpened):
            future.unopened.open()
        elif future.unopened is None and future.failure is None and type(future.value) in PLAIN:
            self.keep(future.value)

    def keep(self, value: Any) -> None:
        """Keep the result."""
        with self._lock:
            if not self._is_kept:
                self._is_kept = True
                self._journal.keep(self._function, [(self._call, value)])


class _KeptAsOpened(Unopened):
    """An outcome whose value is kept as it is opened, by whichever thread comes first.

    Args:
        outcome: the outcome.
        keeper: keeps it.
    """

    __slots__ = ("_keeper", "_lock", "_opened", "_outcome")

    def __init__(self, outcome: Unopened, keeper: _Keeper) -> None:
        self._outcome = outcome
        self._keeper = keeper
        self._lock = threading.RLock()
        self._opened: tuple[Any, BaseException | None] | None = None

    def open(self) -> tuple[Any, BaseException | None]:
        """See `Unopened`."""
        with self._lock:
            if self._opened is None:
                value, error = self._outcome.open()
                if error is None:
                    self._keeper.keep(value)
                self._opened = value, error
            return self._opened
