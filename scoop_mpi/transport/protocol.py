"""How frames get from one rank to another: what a transport has to do.

A transport moves messages, each a list of frames (`messages`), and knows nothing of what they
mean. No call of it ever blocks, but for the collective ones, which are for the time before a job
and after it. Between two ranks small messages arrive in the order in which they were sent; a
message of several frames, or a large one, may be overtaken. What arrives is the receiver's own.

`tests/transports.py` is this contract as tests, for whatever transport.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from scoop_mpi.transport.frames import Frames


class Messenger(Protocol):
    """What a rank needs to exchange messages with others. One thread at a time may call it.

    Attributes:
        rank: this rank.
        size: the number of ranks.
        host: the name of this rank's host.
        leaders: for each rank the lowest rank of its node.
        is_thread_safe: whether it may be called while another thread is in the library that it
            uses, as the program may be.
    """

    rank: int
    size: int
    host: str
    leaders: Sequence[int]
    is_thread_safe: bool

    @property
    def is_sending(self) -> bool:
        """Whether a message has not left yet, as far as the last call has seen."""
        ...

    @property
    def is_receiving(self) -> bool:
        """Whether a message has come in part, as far as the last call has seen."""
        ...

    @property
    def bytes_pending(self) -> int:
        """The size of the messages that have not left yet, as far as the last call has seen."""
        ...

    def send(self, destination: int, frames: Frames) -> None:
        """Begin to send a message. The frames must not change until it has left."""
        ...

    def receive(self) -> tuple[int, Frames] | None:
        """Return a message that has arrived, and its source; None if there is none."""
        ...

    def progress(self) -> None:
        """Let go of the sends that have ended."""
        ...

    def abort(self, status: int) -> None:
        """End the whole job at once, with this exit status."""
        ...


class Transport(Messenger, Protocol):
    """A messenger, and what a job needs besides as it begins and ends.

    Attributes:
        ranks_per_core: how many ranks of this node share one of the cores they may use.
        hashes_agree: whether `hash` of a text is the same on all ranks.
    """

    ranks_per_core: float
    hashes_agree: bool

    def barrier(self) -> None:
        """Wait until all ranks have come here. Collective, and only before or after a job."""
        ...

    def gather(self, fact: object) -> list[Any]:
        """Return what each rank has given, on rank 0; nothing elsewhere.

        Collective, and only before or after a job.
        """
        ...

    def share(self, thing: Any) -> Any:
        """Return what rank 0 has given. Collective, and only before or after a job."""
        ...
