"""What one rank says to another: small typed messages, and their form as frames of bytes.

A message is a named tuple. It knows nothing of MPI and nothing of the user's objects: these
travel inside as sealed columns and payloads (see `serializer`), which only the rank that needs
them opens. On the wire a message is a list of frames:

    frame 0      the pickled tuple (code, fields...), small
    frame 1...   the large buffers that it refers to, each as it lies in memory

           worker                     broker                     victim
             |  WorkWanted              |                          |
             |------------------------->|        Steal(thieves)    |
             |                          |------------------------->|
             |                          |        StealFailed       |
             |                          |<-------------------------|  (nothing left)
             |  Work(parcels)                                      |
             |<----------------------------------------------------|  (otherwise)
             |  Results(segments), to the owner of the span        |
             |---------------------------------------------------->|
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from scoop_mpi.serializer import Batch, Column, EncodedError, Payload

Frame = Any  # bytes, bytearray, memoryview or pickle.PickleBuffer: whatever exports its bytes
Frames = list[Frame]


class WorkWanted(NamedTuple):
    """Worker to broker: I am about to run dry."""


class WorkOffered(NamedTuple):
    """Worker to broker: I have calls to spare. Believed until a steal from this rank fails."""


class Steal(NamedTuple):
    """Broker to victim: share your oldest work with these ranks.

    `are_all`: whether no further rank is hungry. If some are, and the victim has still work to
    spare, it says so again.
    """

    thieves: tuple[int, ...]
    are_all: bool = True


class StealFailed(NamedTuple):
    """Victim to broker: there was nothing for these ranks, and I no longer have work to spare."""

    thieves: tuple[int, ...]


class Parcel(NamedTuple):
    """Some consecutive calls of one span, given away.

    `start` counts from the first call of the span `key` of rank `owner`; `reduction` is the
    sealed reduction function of a mapReduce, or None.
    """

    owner: int
    key: int
    start: int
    function: Payload
    batch: Batch
    reduction: Payload | None


class Work(NamedTuple):
    """Victim to thief: these calls are yours now. `version`: see `constants`."""

    version: int
    parcels: list[Parcel]


class Segment(NamedTuple):
    """The outcomes of the calls from `start` on of the owner's span `key`.

    `length` calls ended; `values` holds their values (of a reduction: the partial values), with
    a None where a call failed, and `failures` says how, by the offset from `start`.
    """

    key: int
    start: int
    length: int
    values: Column
    failures: dict[int, EncodedError]


class Results(NamedTuple):
    """Executor to owner: the outcomes of calls that were given away."""

    version: int
    segments: list[Segment]


class ConstantsProposed(NamedTuple):
    """Any rank to rank 0: publish these constants, if none of the names is taken."""

    ticket: int
    values: dict[str, Payload]


class ConstantsRefused(NamedTuple):
    """Rank 0 to the proposer: `name` is taken already."""

    ticket: int
    name: str


class ConstantsPublished(NamedTuple):
    """From rank 0 to all, by way of the nodes' leaders: the constants that make up a version."""

    version: int
    origin: int
    ticket: int
    values: dict[str, Payload]


class Place(NamedTuple):
    """Where in a node's memory some buffers lie (see `node_memory`).

    `process` has them in the file open there as `descriptor`, which `identity` (of device and
    inode) tells from any other; `lengths` are those of the buffers, in bytes.
    """

    process: int
    descriptor: int
    identity: tuple[int, int]
    lengths: tuple[int, ...]


class ConstantsPlaced(NamedTuple):
    """A node's leader to its ranks: the constants of version `version` lie in the node's memory.

    `head` is the first frame of their `ConstantsPublished`; at `place` lie the others.
    """

    version: int
    head: bytes
    place: Place


class ConstantsMapped(NamedTuple):
    """A rank to its node's leader: I have mapped what you placed. If not, `problem` says why."""

    version: int
    problem: str | None


class ImportFailed(NamedTuple):
    """Worker to root: I could not import the program."""

    report: str


class Stop(NamedTuple):
    """Root to worker: the program has ended. Drop what is queued, let finish what runs."""


class Stopped(NamedTuple):
    """Worker to root: nothing runs here any more, and all that I sent has arrived."""


class Leave(NamedTuple):
    """Root to worker: every rank has stopped. Nothing follows."""


Message = (
    WorkWanted
    | WorkOffered
    | Steal
    | StealFailed
    | Work
    | Results
    | ConstantsProposed
    | ConstantsRefused
    | ConstantsPublished
    | ConstantsPlaced
    | ConstantsMapped
    | ImportFailed
    | Stop
    | Stopped
    | Leave
)


class Send(NamedTuple):
    """What a state machine wants done: send `message` to rank `destination`."""

    destination: int
    message: Message


_TYPES: tuple[type[Message], ...] = (
    WorkWanted,
    WorkOffered,
    Steal,
    StealFailed,
    Work,
    Results,
    ConstantsProposed,
    ConstantsRefused,
    ConstantsPublished,
    ConstantsPlaced,
    ConstantsMapped,
    ImportFailed,
    Stop,
    Stopped,
    Leave,
)
_CODES: dict[type[Message], int] = {kind: code for code, kind in enumerate(_TYPES)}


def encode(message: Message) -> Frames:
    """Return the frames of `message`. Its large buffers are referred to, not copied."""
    frames: Frames = [b""]
    frames[0] = pickle.dumps(
        (_CODES[type(message)], tuple(message)), protocol=5, buffer_callback=frames.append
    )
    return frames


def decode(frames: Sequence[Frame]) -> Message:
    """Return the message that `encode` turned into `frames`."""
    code, fields = pickle.loads(frames[0], buffers=frames[1:])
    message: Message = _TYPES[code](*fields)
    return message


def bytes_of(frame: Frame) -> memoryview:
    """Return a frame's memory as a flat view of bytes, also that of a Fortran-ordered array."""
    if isinstance(frame, pickle.PickleBuffer):
        return frame.raw()
    return memoryview(frame).cast("B")
