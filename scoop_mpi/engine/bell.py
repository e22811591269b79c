"""The bell: has the program do its rank's duties, when it next submits a task or asks for a result.

The hot path asks nobody whether something is wanted of it. It puts tasks into `ready`, and takes
them out. That is the queue itself or, once somebody has rung, a `Doorbell` before it.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident

from scoop_mpi.current import HotPath
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.tasks.span import Task

# Seconds within which a program that does little but submit tasks comes by.
_SOON = 5e-4


class Doorbell(dict[Task, None]):
    """Stands before the queue of tasks, and rings when the program puts one in or takes one out.

    Args:
        bell: knows which queue it is by then: that may have changed since.
    """

    __slots__ = ("_bell",)

    def __init__(self, bell: Bell) -> None:
        super().__init__()
        self._bell = bell

    def __setitem__(self, task: Task, value: None) -> None:
        self._bell.put(task)
        self._bell.hear()

    def __delitem__(self, task: Task) -> None:
        self._bell.hear()
        del self._bell.queue[task]


class Entrance(dict[Task, None]):
    """Stands before the queue where somebody wants to know of each call that the program submits.

    Those of its tasks pass by.

    Args:
        bell: knows which queue it is by then, and who wants to know.
        path: tells how deep the program's stack is in tasks.
    """

    __slots__ = ("_bell", "_path")

    def __init__(self, bell: Bell, path: HotPath) -> None:
        super().__init__()
        self._bell = bell
        self._path = path

    def __setitem__(self, task: Task, value: None) -> None:
        if self._path.depth:
            self._bell.queue[task] = value
        else:
            self._bell.put(task)

    def __delitem__(self, task: Task) -> None:
        del self._bell.queue[task]


class Bell:
    """Rings for the program of one rank.

    Args:
        path: it has the `ready` before which the bell hangs.
        runtime: does the duties.
        queue: the tasks of the main thread.
        attend: called after the duties, in the main thread.

    Attributes:
        queue: see above.
        has_futures: whether the program has ever submitted a call by itself: from then on maps look
            for futures.
        on_submit: called with each future that is submitted; says whether it is done, and so need
            not wait in the queue. None: nobody wants to know, and the hot path asks nobody.
    """

    __slots__ = (
        "_answers_soon",
        "_attend",
        "_is_needed",
        "_path",
        "_quiet",
        "_rung_at",
        "_runtime",
        "has_futures",
        "on_submit",
        "queue",
    )

    def __init__(
        self,
        path: HotPath,
        runtime: Runtime,
        queue: dict[Task, None],
        attend: Callable[[], object],
    ) -> None:
        self.has_futures = False
        self.on_submit: Callable[[Task], bool] | None = None
        self._path = path
        self._runtime = runtime
        self._attend = attend
        self._is_needed = False  # by who has rung: whatever task there is
        self._answers_soon = False  # whether the program did when it was last rung for
        self._rung_at = 0.0
        self.hang_before(queue)

    def hang_before(self, queue: dict[Task, None]) -> None:
        """Take another queue for that of the main thread."""
        self.queue = queue
        self._quiet: dict[Task, None]
        # What `ready` is while nobody has rung. It rings all the same for the first future.
        if self.on_submit is not None:
            self.has_futures = True
            self._quiet = Entrance(self, self._path)
        else:
            self._quiet = queue if self.has_futures else Doorbell(self)
        self._path.ready = self._quiet

    def put(self, task: Task) -> None:
        """Put a task that is submitted into the queue, unless who wants to know keeps it out."""
        if self.on_submit is None or not self.on_submit(task):
            self.queue[task] = None

    def ask(self) -> None:
        """Ring, as the program is needed: there is something that its thread alone may do.

        Tasks are to be sealed for thieves, for one, or the handler of a signal waits.
        """
        self._is_needed = True
        self._ring()

    def leave_to_program(self) -> bool:
        """Ring for the pump; return whether the program will come by soon, as far as can be told.

        Then the pump need not do the duties: a program in pure Python keeps the GIL for 5 ms each
        time that the pump, in a call of MPI's, has let go of it.
        """
        if self._has_rung or self._runtime.size == 1:
            return False  # it has not come by since; or there is nobody to be served
        self._ring()
        return self._answers_soon

    @property
    def _has_rung(self) -> bool:
        return self._path.ready is not self._quiet

    def _ring(self) -> None:
        if not self._has_rung:
            self._rung_at = self._runtime.clock()
        self._path.ready = Doorbell(self)

    def hear(self) -> None:
        """The program comes by. If nobody has rung for it, this is the first future."""
        has_rung = self._has_rung
        self.has_futures = True
        if self.on_submit is None:
            self._quiet = self.queue
        if has_rung:
            self.answer()
        else:
            self._path.ready = self._quiet

    def answer(self) -> None:
        """Do the rank's duties, if somebody has rung and this is the program's main thread."""
        path = self._path
        if path.ready is self._quiet or get_ident() != path.thread:
            return
        path.ready = self._quiet
        # Unless every task is needed, the one that rings is not given away: its result is, as a
        # rule, what the program waits for next.
        keep, self._is_needed = int(not self._is_needed), False
        self._runtime.step(keep=keep)
        self._answers_soon = self._runtime.last_step - self._rung_at < _SOON
        self._attend()
