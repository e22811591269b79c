"""Isolation: calls in a process of their own, so that a crash is the failure of that call alone.

A rank has such a *child* as soon as a call asks for one, and gives it one call after the other. The
child is a fresh Python that has imported the program, as a worker does; it knows nothing of MPI. If
it dies, or is killed as a call takes too long, the next call gets a new one.

    rank   start: the program        ->   child   imports it
           <-   ready
           call: function, arguments ->           makes it
           <-   constant: its name
           its value                 ->
           <-   value, or error

The rank waits meanwhile, as if it made the call itself: its pump does its duties.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import IO, Any

from scoop_mpi.current import RankInfo
from scoop_mpi.errors import (
    SerializationError,
    TaskCrashed,
    TaskTimeLimit,
    describe_callable,
)
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.holds import Keeper
from scoop_mpi.wire.serializer import Payload, decode, decode_error, encode

_SECONDS_OF_A_LOOK = 0.05  # after which the handlers of signals get their turn
_SECONDS_TO_END = 2.0  # that an idle child has, once it is told to
_LONGEST_STACK = 4000  # characters of what a crashed child was doing


class Isolation:
    """The children of one rank, and the calls in them.

    Args:
        command: starts one. Three numbers are added to it: those of two open files, of the
            connection and of where it is to write its stacks if it crashes; and 1 if it is started
            by the rank's main thread, which lasts as long as the rank.
        first_word: what it is told first.
        here: this rank.
        constant: returns the value of a constant; None: there is none. It gets its name, and the
            seconds to wait for it.
        attend: runs the handlers of signals that wait, in the main thread; what they raise, it
            raises.
    """

    def __init__(
        self,
        command: list[str],
        first_word: object,
        here: RankInfo,
        constant: Callable[[str, float | None], Any],
        attend: Callable[[], object],
    ) -> None:
        self._command = command
        self._first_word = first_word
        self._here = here
        self._constant = constant
        self._attend = attend
        self._idle: list[_Child] = []

    def call(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        time_limit: float | None,
    ) -> Any:
        """Make a call in a child, and return what it returns.

        Args:
            function: what to call.
            arguments: its positional arguments.
            keywords: its keyword arguments.
            time_limit: seconds that it may take; None: as many as it likes.

        Raises:
            SerializationError: it can't be sent there.
            TaskCrashed: the process has ended.
            TaskTimeLimit: it was not done in time.
            BaseException: what the call raised.
        """
        payload = _without_holds(encode((function, arguments, keywords)))
        child = self._take()
        try:
            child.send(("call", payload))
            outcome = self._outcome(child, function, time_limit)
        except BaseException:
            child.kill()
            raise
        self._idle.append(child)
        kind, found = outcome
        if kind == "value":
            return decode(found)
        error = decode_error(found)
        try:
            raise error
        finally:
            del error

    def _take(self) -> _Child:
        while self._idle:
            with contextlib.suppress(IndexError):  # another thread was faster
                child = self._idle.pop()
                if child.is_alive:
                    return child
                child.kill()
        return _Child(self._command, self._first_word)

    def _outcome(
        self, child: _Child, function: Callable[..., Any], time_limit: float | None
    ) -> tuple[str, Any]:
        """Return how a call ended: a word and what belongs to it; and serve the child meanwhile."""
        name = describe_callable(function)
        deadline: float | None = None  # from when the child is ready
        while True:
            if deadline is None and time_limit is not None and child.is_ready:
                deadline = time.monotonic() + time_limit
            if deadline is not None and time.monotonic() > deadline:
                raise TaskTimeLimit(f"{name} has not ended within {time_limit:g} s")
            self._attend()
            try:
                if not child.connection.poll(_SECONDS_OF_A_LOOK):
                    continue
                word, content = child.receive()
            except (EOFError, OSError):
                raise child.crash(name, self._here) from None
            if word == "ready":
                child.is_ready = True
                continue
            if word != "constant":
                return word, content
            child.send(("constant", self._constant_for_child(*content)))

    def _constant_for_child(self, name: str, timeout: float | None) -> tuple[bool, Any]:
        try:
            return True, _without_holds(encode(self._constant(name, timeout)))
        except SerializationError as error:
            return False, str(error)

    def close(self) -> None:
        """End the children: the job has ended."""
        children, self._idle = self._idle, []
        for child in children:
            child.end()


class _Child:
    """One process that makes calls.

    Args:
        command: see `Isolation`.
        first_word: likewise.

    Attributes:
        connection: to it.
        is_ready: whether it has imported the program.
    """

    def __init__(self, command: list[str], first_word: object) -> None:
        ours, its = socket.socketpair()
        self._stacks: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 # as long as this
        files = (its.fileno(), self._stacks.fileno())
        # What ends a process with its parent goes by the thread that has started it.
        is_of_main = threading.current_thread() is threading.main_thread()
        try:
            self._process = subprocess.Popen(
                [*command, *map(str, files), str(int(is_of_main))],
                stdin=subprocess.DEVNULL,
                pass_fds=files,
            )
        except OSError:
            ours.close()
            raise
        finally:
            its.close()
        self.connection: Connection = Connection(ours.detach())
        self.is_ready = False
        self.send(("start", first_word))

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def send(self, message: object) -> None:
        """Send it something. If it has ended, that shows when its answer is asked for."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))

    def receive(self) -> tuple[str, Any]:
        """Return what it sends next.

        Raises:
            EOFError: it has ended.
        """
        message: tuple[str, Any] = pickle.loads(self.connection.recv_bytes())
        return message

    def crash(self, name: str, here: RankInfo) -> TaskCrashed:
        """Return the error of the call in which the process has ended.

        Args:
            name: of the function.
            here: the rank.
        """
        status = self._process.wait()
        self._stacks.seek(0)
        told = self._stacks.read().decode(errors="replace").partition("\nExtension modules:")[0]
        stack = told.strip()[:_LONGEST_STACK]
        if status < 0:
            how = f"was ended by {_name_of_signal(-status)}"
        else:
            how = f"has left Python with the status {status}"
        text = f"the process of {name} {how}, for rank {here.rank} on {here.host}"
        return TaskCrashed(text, status, stack)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        self.connection.close()
        self._stacks.close()

    def end(self) -> None:
        """Let the process end."""
        self.connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        if self.is_alive:
            self._process.kill()
            self._process.wait()
        self._stacks.close()


def _name_of_signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    hint = " (as the system does where memory runs out)" if number == signal.SIGKILL else ""
    return name + hint


def _without_holds(payload: Payload) -> tuple[bytes, list[bytes]]:
    """Return a payload as it goes through a pipe.

    Raises:
        SerializationError: it holds what only ranks can have.
    """
    data, buffers = payload
    if any(type(buffer) is Keeper for buffer in buffers):
        raise SerializationError(
            "a SharedElementEncapsulation can't go to an isolated call: set its callable as a "
            "constant, and use getConst there"
        )
    return bytes(bytes_of(data)), [bytearray(bytes_of(buffer)) for buffer in buffers]  # type: ignore[misc]
