"""What the hub holds on to."""

from __future__ import annotations

import logging
import weakref

import pytest

from scoop_mpi.hub import Hub
from scoop_mpi.messages import Work, encode
from scoop_mpi.node_memory import NodeMemory
from scoop_mpi.runtime import Runtime
from scoop_mpi.serializer import FunctionCodec, seal_calls
from scoop_mpi.transport import Fabric
from scoop_mpi.worker_state import Task


class NoIdling:
    """Doesn't pause."""

    def reset(self) -> None: ...

    def pause(self, limit: float | None) -> None: ...


class WatchedQueue(dict[Task, None]):
    """A queue that knows which of the tasks that it has ever held are still there."""

    def __init__(self) -> None:
        self.seen: list[weakref.ref[Task]] = []

    def __setitem__(self, task: Task, value: None) -> None:
        self.seen.append(weakref.ref(task))
        super().__setitem__(task, value)


@pytest.mark.parametrize("calls", [1, 3])
def test_a_rank_without_work_keeps_nothing_of_the_last_task(calls: int) -> None:
    logger = logging.getLogger(__name__)
    root, thief = Fabric(2).endpoints
    hub = Hub(Runtime(thief, lambda: 0.0, print, NodeMemory(logger)), NoIdling(), logger)
    hub.open_queues()
    queue = hub.ready = hub.runtime.worker.ready = WatchedQueue()
    batch = seal_calls([(-1,)] * calls, star=True)
    parcel = (0, 1, 0, FunctionCodec().seal(abs), None, *batch)
    root.send(1, encode(Work(0, [parcel])))
    hub.serve_until(lambda: root.has_mail)
    assert [reference() for reference in queue.seen] == [None]
