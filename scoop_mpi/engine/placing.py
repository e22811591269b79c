"""Large constants in memory that the ranks of a node share.

Who places constants for whom is decided in `constants`.

    the node's leader                                    each rank of the node, the leader too
      place(message): a file in memory, without a name     open(placed): /proc/PID/fd/N, mapped
      PID, N ----------------- ConstantsPlaced --------------->
      release: its descriptor  <-------------- ConstantsMapped
"""

from __future__ import annotations

import logging
import weakref
from typing import Any

from scoop_mpi.errors import describe_error
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.transport.node_memory import Segment, map_place
from scoop_mpi.wire import messages
from scoop_mpi.wire.holds import Keeper
from scoop_mpi.wire.messages import ConstantsPlaced, ConstantsPublished

# A mapping keeps a file descriptor, of which a process may often have 1,024 in all.
MOST_SEGMENTS = 128


class NodeMemory:
    """What one rank has placed in its node's memory.

    Args:
        logger: told, once, if constants can't be shared.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._segments: dict[int, Segment] = {}  # by version: those that not all ranks have mapped
        self._mappings: weakref.WeakSet[Any] = weakref.WeakSet()  # those that something here uses
        self._has_told = False

    def place(self, message: ConstantsPublished) -> ConstantsPlaced | None:
        """Copy the large buffers of `message` to where all ranks of the node can map them.

        Returns:
            What to tell the ranks of the node; None if there is no such memory to be had.
        """
        bare, keepers = _without_keepers(message)
        head, *buffers = messages.encode(bare)
        try:
            if len(self._segments) + len(self._mappings) >= MOST_SEGMENTS:
                raise OSError(f"there are {MOST_SEGMENTS} segments of them already")
            segment = Segment([bytes_of(buffer) for buffer in buffers])
        except OSError as error:
            self.tell("large constants are copied to each rank", describe_error(error))
            return None
        self._segments[message.version] = segment
        return ConstantsPlaced(message.version, head, segment.place, keepers)

    def open(self, placed: ConstantsPlaced) -> ConstantsPublished:
        """Return the message that was placed; its large buffers are read-only, and shared.

        Raises:
            OSError: this process can't map them.
        """
        views = map_place(placed.place)
        self._mappings.add(views[0].obj)
        message = messages.decode([placed.head, *views])
        assert isinstance(message, ConstantsPublished)
        values = dict(message.values)
        for name, keepers in placed.keepers.items():
            data, buffers = values[name]
            values[name] = data, (*buffers, *keepers)
        return message._replace(values=values)

    def release(self, version: int) -> None:
        """All ranks of the node have answered: they keep what they have mapped."""
        self._segments.pop(version).close()

    def tell(self, what: str, reason: str) -> None:
        """Log that sharing has failed, the first time it does."""
        if not self._has_told:
            self._has_told = True
            self._logger.info("No memory to share on this node: %s (%s).", what, reason)


def _without_keepers(
    message: ConstantsPublished,
) -> tuple[ConstantsPublished, dict[str, tuple[Keeper, ...]]]:
    """Return `message` as it can be encoded once for many, and the keepers in it by name."""
    values, keepers = {}, {}
    for name, (data, buffers) in message.values.items():
        values[name] = data, tuple(buffer for buffer in buffers if type(buffer) is not Keeper)
        if found := tuple(buffer for buffer in buffers if type(buffer) is Keeper):
            keepers[name] = found
    return message._replace(values=values), keepers
