"""The agenda: which task a rank begins next, and when it asks for more.

Pure decisions, by what lies in the queues; who acts on them is the hub, or a simulated one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from scoop_mpi.state.experience import Experience
from scoop_mpi.state.policy import BRISK, MOST_BYTES_PENDING, MOST_SUSPENDED, SHORT
from scoop_mpi.state.queues import Queues
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.span import Span, Task
from scoop_mpi.tasks.stolen import StolenCall


class Agenda:
    """What a rank does next.

    Args:
        queues: the rank's.
        experience: the rank's.
        size: the number of ranks.
        runs_tasks: whether this rank runs any.
    """

    __slots__ = ("_asked_in", "_experience", "_queues", "_runs_tasks", "_size")

    def __init__(self, queues: Queues, experience: Experience, size: int, runs_tasks: bool) -> None:
        self._queues = queues
        self._experience = experience
        self._size = size
        self._runs_tasks = runs_tasks
        self._asked_in = 0  # the number of the job, for work to follow it

    def next_task(self) -> Task | None:
        """Return the newest ready task, without claiming it, if this rank is to run any."""
        queues = self._queues
        while self._runs_tasks and queues.ready:
            try:
                task = next(reversed(queues.ready))
            except (StopIteration, RuntimeError):
                continue  # another thread was changing the queue
            if isinstance(task, Future) or task.unclaimed:
                return task
            queues.forget(task)
        return None

    def oldest_stolen(self) -> Task | None:
        """Return the oldest ready task that came from another rank, without claiming it."""
        if not self._runs_tasks:
            return None
        for task in list(self._queues.ready):
            if isinstance(task, Span):
                if task.is_stolen and task.unclaimed:
                    return task
            elif isinstance(task, StolenCall):
                return task
        return None

    def is_low(self, suspended: int, job_seconds: float) -> bool:
        """Say whether to ask for more work before the last ready task begins, or if there is none.

        If tasks end within microseconds the answer would come too late all the same, so the request
        can go with the results. A call of a span that is long is asked for when the last window of
        the span begins; if the last task takes long against expectation, by the pump.

        Args:
            suspended: how many tasks have begun here and wait.
            job_seconds: about how long the last job took until it ended, or waited.
        """
        ready = self._queues.ready
        if len(ready) > 1 or suspended >= MOST_SUSPENDED:
            return False
        return not ready or not (job_seconds < BRISK or isinstance(self.next_task(), Span))

    def should_ask_ahead(self, suspended: int, job: int) -> bool:
        """Say whether what runs is the last that there is to run here, once a task. For the pump.

        If it were said again, two ranks that are busy could go on stealing the same call from each
        other: the one that has it offers it, and the other has none to follow.

        Args:
            suspended: see `is_low`.
            job: the number of the job that runs.
        """
        if self._asked_in == job or suspended >= MOST_SUSPENDED or self.next_task() is not None:
            return False
        self._asked_in = job
        return True

    # ------------------------------------------------------------ who must be ready by some time

    def may_begin(self, task: Task, seconds: float) -> bool:
        """Say whether to begin a call of a task, as it surely ends in time.

        On one rank nobody else could make it. The next window of a span gets as many calls as there
        is time for.

        Args:
            task: which one.
            seconds: until this rank must be ready.
        """
        if self._size == 1:
            return True
        calls = self._calls_before(task, seconds)
        if calls and isinstance(task, Span):
            task.window_size = min(task.window_size, calls)
        return calls > 0

    def may_take_more(self, seconds: float) -> bool:
        """Say whether to ask for work, as whatever comes surely ends in time.

        Args:
            seconds: see `may_begin`.
        """
        longest = self._experience.longest
        return longest > 0 and self._experience.calls_at(longest, seconds) > 0

    def are_ready(self, tasks: Iterable[Task]) -> bool:
        """Say whether there are calls of these that nobody has begun."""
        return any(map(self._is_ready, tasks))

    def may_take_long(self, tasks: Iterable[Task]) -> bool:
        """Say whether there are calls of these that nobody has begun, and that might take long."""
        return any(self._is_ready(task) and not self._calls_before(task, SHORT) for task in tasks)

    def _is_ready(self, task: Task) -> bool:
        return bool(task.unclaimed) if isinstance(task, Span) else self._queues.is_ready(task)

    def _calls_before(self, task: Task, seconds: float) -> int:
        """Return how many calls of a task surely end within some seconds, one by one."""
        if isinstance(task, Span) and math.isfinite(task.pace):
            return self._experience.calls_at(task.pace, seconds)
        return self._experience.calls_before(task.known_function, seconds)

    # ------------------------------------------------------------ where too much waits

    @staticmethod
    def is_congested(bytes_pending: int) -> bool:
        """Say whether so much waits to be sent that nothing should be begun that makes more of it.

        Somebody takes its time to receive. Who waits for a task of this rank's still gets its
        result: messages move on meanwhile, and who is in a task may begin others inline.
        """
        return bytes_pending > MOST_BYTES_PENDING
