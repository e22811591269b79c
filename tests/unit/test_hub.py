"""What the hub holds on to."""

from __future__ import annotations

import gc
import logging

from scoop_mpi.hub import Hub
from scoop_mpi.messages import Work, encode
from scoop_mpi.node_memory import NodeMemory
from scoop_mpi.runtime import Runtime
from scoop_mpi.serializer import FunctionCodec, seal_call
from scoop_mpi.span import StolenCall
from scoop_mpi.transport import Fabric


class NoIdling:
    """Doesn't pause."""

    def reset(self) -> None: ...

    def pause(self, limit: float | None) -> None: ...


def test_a_rank_without_work_keeps_nothing_of_the_last_task() -> None:
    logger = logging.getLogger(__name__)
    root, thief = Fabric(2).endpoints
    hub = Hub(Runtime(thief, lambda: 0.0, print, NodeMemory(logger)), NoIdling(), logger)
    hub.open_queues()
    call = (0, 1, 0, FunctionCodec().seal(abs), None, *seal_call((-1,)))
    root.send(1, encode(Work(0, [call])))
    hub.serve_until(lambda: root.has_mail)
    assert not any(type(thing) is StolenCall for thing in gc.get_objects())
