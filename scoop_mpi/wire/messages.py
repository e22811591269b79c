"""What one rank says to another: small typed messages, and their form as frames of bytes.

A message is a named tuple. It knows nothing of MPI and nothing of the user's objects: these
travel inside as sealed columns and payloads (see `serializer`), which only the rank that needs
them opens. On the wire a message is a list of frames:

    frame 0      the tuple (code, fields...), pickled or, of the short forms, marshalled; small
    frame 1...   the large buffers that it refers to, each as it lies in memory

           worker                     broker                     victim
             |  WorkWanted              |                          |
             |------------------------->|        Steal(thieves)    |
             |                          |------------------------->|
             |                          |        StealFailed       |
             |                          |<-------------------------|  (nothing left)
             |  Work(parcels, followers)                           |
             |<----------------------------------------------------|  (otherwise)
             |  Results(segments), to the owner of the span        |
             |---------------------------------------------------->|

A lone call of plain arguments, and its plain value, take a short form: `Call` and `Returned`.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from scoop_mpi.transport.frames import Frame, Frames

if TYPE_CHECKING:
    from scoop_mpi.transport.node_memory import Place
    from scoop_mpi.wire.columns import Column
    from scoop_mpi.wire.functions import FunctionOnWire
    from scoop_mpi.wire.holds import Keeper
    from scoop_mpi.wire.serializer import EncodedError, Payload


class WorkWanted(NamedTuple):
    """Worker to broker: I am about to run dry."""


class WorkOffered(NamedTuple):
    """Worker to broker: I have calls to spare. Believed until a steal from this rank fails."""


class Reserved(NamedTuple):
    """Worker to broker: I must be ready by some time, and so begin only what ends before.

    `has_calls`: there are calls here that I don't begin. `is_reserved`: or else, no longer.
    """

    has_calls: bool
    is_reserved: bool


class Begin(NamedTuple):
    """Broker to worker: all ranks are reserved. Begin a call all the same, or nothing goes on."""


class Steal(NamedTuple):
    """Broker to victim: share your oldest work with these ranks."""

    thieves: tuple[int, ...]


class StealFailed(NamedTuple):
    """Victim to broker: there was nothing for these ranks, and I no longer have work to spare."""

    thieves: tuple[int, ...]


# Some consecutive calls of one span, given away: the owner's rank, the key of the span there, the
# number of the first call in it, the sealed function or its name, likewise the reduction function
# of a mapReduce or None, and the three fields of the `Batch` of arguments. What there may be many
# of in a message is a plain tuple: a named one takes pickle five times as long.
Parcel = tuple[
    int, int, int, "FunctionOnWire", "FunctionOnWire | None", int, tuple["Column", ...], bool
]

# The outcomes of some consecutive calls of the owner's span: its key there, the number of the first
# call, how many calls ended, their values (of a reduction: the partial values), with a None where a
# call failed, and how it failed, by its offset from the first. There are no values if these calls
# were dropped, as nobody wanted them any more.
Segment = tuple[int, int, int, "Column", dict[int, "EncodedError"]]


class Work(NamedTuple):
    """Victim to thief: these calls are yours now, and your followers'.

    `version`: see `constants`. `followers` are thieves too: share the calls with them at once.
    `is_errand`: nobody has asked for them; make them yourself, before all others.
    """

    version: int
    parcels: list[Parcel]
    followers: tuple[int, ...] = ()
    is_errand: bool = False


class Results(NamedTuple):
    """Executor to owner: the outcomes of calls that were given away.

    `wants_work`: the executor is about to run dry. So it says to an owner that is the broker, too,
    instead of with a `WorkWanted` of its own, unless it has offered work: results may come late.
    """

    version: int
    segments: list[Segment]
    wants_work: bool = False


class Call(NamedTuple):
    """Victim to thief: this call is yours now. The short form of `Work`, for a task on its own.

    Its function is sealed without large buffers, and its arguments are plain (see `serializer`).
    `key` is the name of its future at the owner.
    """

    version: int
    owner: int
    key: int
    function: bytes
    arguments: tuple[Any, ...]


class Returned(NamedTuple):
    """Executor to owner: a `Call` returned this plain value. The short form of `Results`."""

    version: int
    key: int
    value: Any
    wants_work: bool


class FunctionWanted(NamedTuple):
    """Thief to owner: I have calls of your large function `number`, but not the function."""

    number: int


class FunctionSent(NamedTuple):
    """Owner to thief: this is the large function of mine that you have asked for."""

    number: int
    payload: Payload


class CalledOff(NamedTuple):
    """Owner to all, by way of one another: nobody wants the rest of the calls of this span.

    Whoever has some of them that have not begun drops these, and reports it: as a segment without
    values. Tell your followers.
    """

    owner: int
    key: int
    followers: tuple[int, ...]


class ConstantsProposed(NamedTuple):
    """Any rank to rank 0: publish these constants, if none of the names has another value.

    `are_counted`: they are to go when nobody refers to them any more (see `holds`).
    """

    ticket: int
    values: dict[str, Payload]
    are_counted: bool = False


class ConstantsRefused(NamedTuple):
    """Rank 0 to the proposer: `name` is taken already, and has another value."""

    ticket: int
    name: str


class ConstantsKept(NamedTuple):
    """Rank 0 to the proposer: all of these constants are there already, with these very values.

    `news`: see `constants`. The version that has brought them is among those that it tells of.
    """

    ticket: int
    news: int


class ConstantsDeleted(NamedTuple):
    """Any rank to rank 0: remove these constants, each if it is still of the version told."""

    versions: dict[str, int]


class ConstantsPublished(NamedTuple):
    """From rank 0 to all, by way of the nodes' leaders: what makes up a version.

    That is constants that are new, or the names of those that are no more. `erased` is the newest
    version, up to this one, that has removed a constant whose name may be taken again.
    """

    version: int
    origin: int
    ticket: int
    values: dict[str, Payload]
    removed: tuple[str, ...] = ()
    erased: int = 0


class ConstantsPlaced(NamedTuple):
    """A node's leader to its ranks: the constants of version `version` lie in the node's memory.

    `head` is the first frame of their `ConstantsPublished`; at `place` lie the others. `keepers`
    are those of each payload (see `holds`): they are counted for each rank that gets this.
    """

    version: int
    head: bytes
    place: Place
    keepers: dict[str, tuple[Keeper, ...]]


class ConstantsMapped(NamedTuple):
    """A rank to its node's leader: I have mapped what you placed. If not, `problem` says why."""

    version: int
    problem: str | None


class HoldReleased(NamedTuple):
    """To who has sent it: a copy of a hold on this constant is no more (see `holds`)."""

    name: str


class ImportFailed(NamedTuple):
    """Worker to root: I could not import the program."""

    report: str


class Stop(NamedTuple):
    """Root to worker: the program has ended. Drop what is queued, let finish what runs."""


class Stopped(NamedTuple):
    """Worker to root: nothing runs here any more, and all that I sent has arrived."""


class Leave(NamedTuple):
    """Root to worker: every rank has stopped. Nothing follows."""


class ShowLog(NamedTuple):
    """Any to all, with ``--debug``: a fault of mine ends the job; show your event log.

    And back, as the answer: I have.
    """

    is_answer: bool


Message = (
    WorkWanted
    | WorkOffered
    | Reserved
    | Begin
    | Steal
    | StealFailed
    | Work
    | Results
    | Call
    | Returned
    | FunctionWanted
    | FunctionSent
    | CalledOff
    | ConstantsProposed
    | ConstantsRefused
    | ConstantsKept
    | ConstantsDeleted
    | ConstantsPublished
    | ConstantsPlaced
    | ConstantsMapped
    | HoldReleased
    | ImportFailed
    | Stop
    | Stopped
    | Leave
    | ShowLog
)


class Send(NamedTuple):
    """What a state machine wants done: send `message` to rank `destination`."""

    destination: int
    message: Message


KINDS: tuple[type[Message], ...] = get_args(Message)
# Who alone may say what; all else any rank may say to any other.
BY_ROOT: frozenset[type[Message]] = frozenset(
    {Begin, Steal, ConstantsRefused, ConstantsKept, Stop, Leave}
)
TO_ROOT: frozenset[type[Message]] = frozenset(
    {
        WorkWanted,
        WorkOffered,
        Reserved,
        StealFailed,
        ConstantsProposed,
        ConstantsDeleted,
        ImportFailed,
        Stopped,
    }
)
_CODES: dict[type[Message], int] = {kind: code for code, kind in enumerate(KINDS)}


# What a marshalled tuple begins with. A pickle begins with 0x80.
_MARSHALLED = ord("(")
# Makes a named tuple of a type and its fields, in half the time that the type itself takes.
make = tuple.__new__


def encode(message: Message) -> Frames:
    """Return the frames of `message`. Its large buffers are referred to, not copied.

    The short forms hold plain objects alone. These are marshalled, in half the time of pickling.
    """
    kind = type(message)
    fields = (_CODES[kind], *message)
    if kind is Call or kind is Returned:
        try:
            return [marshal.dumps(fields, 2)]
        except ValueError:  # text or bytes of 2 GiB and more
            return [pickle.dumps(fields, 5)]
    buffers: Frames = []
    stream = pickle.dumps(fields, 5, buffer_callback=buffers.append)
    return [stream, *buffers]


def decode(frames: Sequence[Frame]) -> Message:
    """Return the message that `encode` turned into `frames`.

    Raises:
        ValueError: it is of no kind that there is.
    """
    stream = frames[0]
    if stream[0] == _MARSHALLED:
        fields = marshal.loads(stream)
    else:
        fields = pickle.loads(stream, buffers=frames[1:])
    try:
        kind = KINDS[fields[0]]
    except IndexError as error:
        raise ValueError(f"it is of an unknown kind, {fields[0]}") from error
    message: Message = make(kind, fields[1:])
    return message
