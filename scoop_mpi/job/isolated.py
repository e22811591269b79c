"""What runs in the process of an isolated call: see `engine.isolation`.

It imports the program as a worker does, and makes one call after the other until the rank closes
the connection, or is gone.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, NoReturn

from scoop_mpi import current
from scoop_mpi.errors import ISOLATED, NotStartedProperly, SerializationError
from scoop_mpi.job.program import Program
from scoop_mpi.launch import nesting
from scoop_mpi.system import streams
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.serializer import decode, encode, encode_error

# What starts it: from anywhere, as the program may have gone to another folder.
COMMAND = (
    "import sys; sys.path.insert(0, {root!r}); "
    "from scoop_mpi.job.isolated import main; main(*map(int, sys.argv[1:]))"
)
_SIGNAL_OF_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG
_SECONDS_OF_A_LOOK = 0.5


class FirstWord(NamedTuple):
    """What the process is told first.

    Attributes:
        program: to be imported.
        search_path: where to look for modules.
        rank: whose process it is.
        host: the rank's.
        leaders: the lowest rank of each rank's node.
        is_debug: whether ``--debug`` was given.
    """

    program: Program
    search_path: list[str]
    rank: int
    host: str
    leaders: list[int]
    is_debug: bool


def command_line(options: list[str]) -> list[str]:
    """Return the command that starts such a process, but for three numbers: see `engine.isolation`.

    Args:
        options: Python's.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [sys.executable, *options, "-c", COMMAND.format(root=root)]


def main(connection_number: int, stacks_number: int, is_of_main: int) -> None:
    """Live.

    Args:
        connection_number: of the connection to the rank.
        stacks_number: of the file in which the stacks are to be found if this process crashes.
        is_of_main: whether the rank's main thread has started this process.
    """
    faulthandler.enable(stacks_number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the rank ends this process
    if is_of_main and sys.platform == "linux":
        # Whatever it does then. It goes by the thread of the rank's that has started this.
        ctypes.CDLL(None).prctl(_SIGNAL_OF_PARENTS_DEATH, int(signal.SIGKILL), 0, 0, 0)
    else:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    nesting.leave_outer_job(os.environ)
    connection = Connection(connection_number)
    _, first = pickle.loads(connection.recv_bytes())
    sys.path[:] = first.search_path
    streams.buffer_lines()
    hub: Any = _NoHub(first)
    current.hub = hub
    calls = _Calls(connection, first)
    _serve_constants(calls)
    calls.make(first.program)


def _end_with(parent: int) -> NoReturn:
    """Leave this process once the rank is gone: a thread."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_OF_A_LOOK)
    os._exit(1)


class _Calls:
    """The calls that the rank has made here.

    Args:
        connection: to the rank.
        first: what it has said first.
    """

    def __init__(self, connection: Connection, first: FirstWord) -> None:
        self._connection = connection
        self._rank, self._host = first.rank, first.host

    def make(self, program: Program) -> None:
        """Import the program, and make calls until there are to be no more."""
        try:
            program.import_()
        except BaseException as error:
            failure: BaseException | None = error
        else:
            failure = None
        self._tell("ready", None)
        while True:
            try:
                _, payload = pickle.loads(self._connection.recv_bytes())
            except (EOFError, OSError):
                return
            if failure is None:
                self._tell(*self._outcome(payload))
            else:
                self._tell("error", encode_error(failure, self._rank, self._host))
            streams.flush()

    def _outcome(self, payload: Any) -> tuple[str, Any]:
        try:
            function, arguments, keywords = decode(payload)
            data, buffers = encode(function(*arguments, **keywords))
            packed = bytes(bytes_of(data)), [bytearray(bytes_of(each)) for each in buffers]
        except BaseException as error:
            return "error", encode_error(error, self._rank, self._host)
        return "value", packed

    def _tell(self, word: str, content: Any) -> None:
        message = pickle.dumps((word, content), protocol=pickle.HIGHEST_PROTOCOL)
        self._connection.send_bytes(message)

    def constant(self, name: str, timeout: float | None) -> Any:
        """Return the value of a constant, from the rank."""
        self._tell("constant", (name, timeout))
        _, (is_there, found) = pickle.loads(self._connection.recv_bytes())
        if not is_there:
            raise SerializationError(found)
        return decode(found)


def _serve_constants(calls: _Calls) -> None:
    """Have `getConst` ask the rank. All else of the API finds that this is no rank."""
    from scoop_mpi import shared

    def getConst(name: str, timeout: float | None = 0.1) -> Any:
        return calls.constant(name, timeout)

    vars(shared)["getConst"] = getConst


class _NoHub:
    """What the API finds in place of the hub."""

    def __init__(self, first: FirstWord) -> None:
        self.here = current.RankInfo(first.rank, first.host)
        self.is_debug = first.is_debug
        self.runtime = _NoRuntime(first)

    def __getattr__(self, name: str) -> NoReturn:
        raise NotStartedProperly(ISOLATED)


class _NoRuntime:
    """What tells of the job."""

    def __init__(self, first: FirstWord) -> None:
        self.transport = self
        self.rank, self.host, self.leaders = first.rank, first.host, first.leaders
        self.size = len(first.leaders)
        self.is_stopping = False
