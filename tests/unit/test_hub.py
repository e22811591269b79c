"""What the hub holds on to, and what it does first."""

from __future__ import annotations

import logging
import weakref
from collections import deque

import pytest

from scoop_mpi.engine.hub import Hub
from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.errors import NotStartedProperly
from scoop_mpi.results.submitted import SubmittedMap
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.span import Task
from scoop_mpi.transport.fabric import Endpoint, Fabric
from scoop_mpi.wire.columns import seal_calls
from scoop_mpi.wire.messages import Call, Message, Returned, Work, WorkWanted, decode, encode
from scoop_mpi.wire.serializer import FunctionCodec


class NoIdling:
    """Doesn't pause."""

    looks = 1

    def reset(self) -> None: ...

    def pause(self, limit: float | None) -> None: ...


class WatchedQueue(dict[Task, None]):
    """A queue that knows which of the tasks that it has ever held are still there."""

    def __init__(self) -> None:
        self.seen: list[weakref.ref[Task]] = []

    def __setitem__(self, task: Task, value: None) -> None:
        self.seen.append(weakref.ref(task))
        super().__setitem__(task, value)


@pytest.fixture
def ends() -> list[Endpoint]:
    return Fabric(2).endpoints


@pytest.fixture
def hub(ends: list[Endpoint]) -> Hub:
    """The hub of rank 1, without work."""
    logger = logging.getLogger(__name__)
    made = Hub(Runtime(ends[1], lambda: 0.0, print, NodeMemory(logger)), NoIdling(), logger)
    made.open_queues()
    return made


def some_calls(count: int) -> Work:
    batch = seal_calls([(-1,)] * count, star=True)
    return Work(0, [(0, 1, 0, FunctionCodec().seal(abs), None, *batch)])


def lone_call() -> Call:
    data, _ = FunctionCodec().seal(abs)
    return Call(0, 0, 1, data, (-1,))


@pytest.mark.parametrize("message", [lone_call(), some_calls(1), some_calls(3)])
def test_a_rank_without_work_keeps_nothing_of_the_last_task(
    message: Message, hub: Hub, ends: list[Endpoint]
) -> None:
    queue = hub.queue = hub.ready = hub.runtime.worker.queues.ready = WatchedQueue()
    ends[0].send(1, encode(message))
    hub.serve_until(lambda: ends[0].has_mail)
    assert [reference() for reference in queue.seen] == [None]


def test_the_value_of_a_lone_call_is_sent_before_all_else(hub: Hub, ends: list[Endpoint]) -> None:
    root, _ = ends
    root.send(1, encode(lone_call()))
    hub.serve_until(lambda: root.has_mail)
    said = [decode(frames) for _, frames in iter(root.receive, None)]
    assert said == [WorkWanted(), Returned(0, 1, 1, wants_work=True)]


def test_queues_are_compacted_after_a_burst(hub: Hub) -> None:
    tasks = [Future.of(abs, (number,)) for number in range(10_000)]
    hub.queue.update(dict.fromkeys(tasks))
    for task in tasks[:-1]:
        assert hub.claim(task)
    hub.runtime.step()
    assert hub.queue.__sizeof__() < 1000
    assert list(hub.queue) == tasks[-1:]


def test_whoever_maps_while_importing_hears_so_also_if_the_program_has_ended(
    ends: list[Endpoint],
) -> None:
    logger = logging.getLogger(__name__)
    importing = Hub(Runtime(ends[1], lambda: 0.0, print, NodeMemory(logger)), NoIdling(), logger)
    importing.runtime.stop()
    with pytest.raises(NotStartedProperly, match="rank 0 runs it"):
        SubmittedMap(importing, abs, [1], star=False)


class TakenMeanwhile(deque[Future]):
    """What another thread empties between the look whether there is something, and the taking."""

    def __bool__(self) -> bool:
        return True


@pytest.mark.parametrize("name", ["callbacks_due", "_urgent"])
def test_what_another_thread_takes_meanwhile_is_no_fault(name: str, hub: Hub) -> None:
    setattr(hub, name, TakenMeanwhile())
    hub._serve_next_due()  # raises nothing
