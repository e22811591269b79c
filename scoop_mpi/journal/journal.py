"""A job's journal: takes what calls of the program return, and knows what they returned before.

A call is known by its function and its arguments (see `identity`), and equal calls by their number,
in the order in which the program submits them. What failed is not kept, and so is made again.

    the program submits a call   `call_of`: which one is it, and is its result known?
    it has returned              `keep`: into the file, at once
    the job ends                 `close`

The system has each result when `keep` returns, so that it outlives this process. A thread has it
put on the disk now and then, so that it outlives the host, shows others that the journal is in use,
and keeps what comes in while the program is busy.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

import cloudpickle

from scoop_mpi.errors import describe_callable, raise_interrupt
from scoop_mpi.journal import identity
from scoop_mpi.journal.identity import Identity, Unidentified
from scoop_mpi.journal.lock import SECONDS_OF_A_TOUCH, Lock
from scoop_mpi.journal.records import Contents, Function, JournalError, Place, Writer, read

_SECONDS_OF_A_LOOK = 0.1
_NUMBER_SIZE = 4  # bytes of the number of a call among equal ones


class Call(NamedTuple):
    """A call of the program's.

    Attributes:
        owner: the number of its function in the journal.
        key: by which the call is known.
        place: where its result stands; None: it is not known.
    """

    owner: int
    key: bytes
    place: Place | None


class Lost(Exception):
    """A result that stands in the journal can't be had any more: the call is to be made again."""


class Journal:
    """A job's journal, open.

    Any thread may use it.

    Args:
        path: of the file. It need not be there.
        program: the name of the program.
        logger: where warnings go.
        environment: the process's environment variables.
        tell: called with a text if it takes a while to open it.

    Attributes:
        taken: how many results have been taken from the journal.
        kept: how many have been added to it.
        keep_arrived: called every now and then by the journal's thread, to keep what has come in
            while the program is busy.

    Raises:
        JournalError: it can't be used.
    """

    def __init__(
        self,
        path: str,
        program: str,
        logger: logging.Logger,
        environment: Mapping[str, str],
        tell: Callable[[str], object],
    ) -> None:
        self.path = path
        self.keep_arrived: Callable[[], object] = _do_nothing
        self.taken = 0
        self.kept = 0
        self._logger = logger
        self._lock = threading.RLock()  # a finalizer may come by here amid this
        self._told: set[tuple[str, str]] = set()  # what has been said, of which function
        self._numbers: dict[bytes, int] = {}  # of equal calls, how many there were in this job
        # The last function that encloses nothing, and so stays what it is.
        self._last: tuple[FunctionType, tuple[int, bytes]] | None = None
        self._closing = threading.Event()
        try:
            self._holder = Lock(path, environment, tell)
            try:
                self._open(program)
            except BaseException:
                self._holder.release()
                raise
        except OSError as error:
            raise JournalError(f"can't open the journal {path}: {error.strerror}") from error
        self._thread = threading.Thread(target=self._look_after, name="journal", daemon=True)
        self._thread.start()

    def _open(self, program: str) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._file = os.fdopen(descriptor, "rb")
        try:
            contents = Contents(self._file, self.path)
            if contents.program not in (None, program):
                raise JournalError(
                    f"the journal {self.path} is of the program {contents.program}, not of "
                    f"{program}: name another file. If it is the same program under a new name: "
                    f"python -m scoop_mpi.journal {self.path} --program {program}"
                )
            self._places: dict[bytes, Place] = {}
            for results in contents.results:
                self._places.update(results.places)
            self._functions = {function: n for n, function in enumerate(contents.functions)}
            self._writer: Writer | None = Writer(descriptor, contents.end)
            if contents.program is None:
                self._writer.program(program)
        except BaseException:
            self._file.close()
            raise
        if contents.size > contents.end > 0:
            self._logger.info(
                "The last %d bytes of the journal %s were no whole record, and are gone.",
                contents.size - contents.end,
                self.path,
            )

    def __len__(self) -> int:
        """Return how many results stand in the journal."""
        return len(self._places)

    # ------------------------------------------------------------ calls

    def owner_of(self, function: Callable[..., Any]) -> tuple[int, bytes] | None:
        """Return the number of a function in the journal, and its digest.

        Returns:
            None: its calls are not journalled, as the program says so, or as it can't be known
            again: that is logged, once.
        """
        key = identity.key_of(function)
        if key is False:
            return None
        bare = identity.unwrapped(function)
        last = self._last
        if last is not None and last[0] is bare and key is True:
            return last[1]
        name = key if isinstance(key, str) else None
        found = self._guarded(function, lambda: identity.of_function(bare, name))
        if found is None:
            return None
        with self._lock:
            owner = self._number_of(found), found.digest
            if key is True and type(bare) is FunctionType and bare.__closure__ is None:
                self._last = bare, owner
        return owner

    def _number_of(self, found: Identity) -> int:
        function = Function(found.name, found.digest.hex())
        number = self._functions.get(function)
        if number is None:
            if any(known.name == function.name for known in self._functions):
                self._tell_once(
                    "changed",
                    function.name,
                    "The journal %s has results of %s as it was before: it has changed since, or "
                    "what it uses, or Python. Its calls are made again.",
                )
            number = self._functions[function] = len(self._functions)
            self._write(lambda writer: writer.function(function))
        return number

    def call_of(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        owner: tuple[int, bytes] | None = None,
    ) -> Call | None:
        """Return a call that the program submits now.

        Args:
            function: its function.
            arguments: its arguments.
            owner: what `owner_of` has said of the function, if it was asked.

        Returns:
            None: the call is not journalled.
        """
        if owner is None:
            owner = self.owner_of(function)
            if owner is None:
                return None
        digest = self._guarded(function, lambda: identity.of_arguments(function, arguments))
        if digest is None:
            return None
        number, function_digest = owner
        name = identity.of_call(function_digest, digest)
        with self._lock:
            place = self._numbers.get(name, 0)
            self._numbers[name] = place + 1
        key = name + place.to_bytes(_NUMBER_SIZE, "little")
        return Call(number, key, self._places.get(key))

    def calls_of(
        self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]
    ) -> list[Call | None] | None:
        """Return the calls of a map that the program submits now; None: none is journalled."""
        owner = self.owner_of(function)
        if owner is None:
            return None
        return [self.call_of(function, arguments, owner) for arguments in calls]

    def result(self, call: Call) -> Any:
        """Return the result of a call that is known.

        Raises:
            Lost: it is damaged, or can't be unpickled any more, which is logged.
        """
        assert call.place is not None
        with self._lock:
            pickled = read(self._file, call.place)
        if pickled is None:
            self._logger.warning(
                "A result in the journal %s is damaged: the call is made again.", self.path
            )
            raise Lost
        try:
            value = pickle.loads(pickled)
        except BaseException as error:
            raise_interrupt(error)
            self._logger.warning(
                "A result in the journal %s can't be unpickled (%s: %s): the call is made again.",
                self.path,
                type(error).__name__,
                error,
            )
            raise Lost from error
        self.taken += 1
        return value

    def keep(self, function: Callable[..., Any], results: Iterable[tuple[Call, Any]]) -> None:
        """Add results of calls of one function to the journal.

        Args:
            function: for messages.
            results: the calls, and what they returned.
        """
        owner = -1
        pickled = []
        for call, value in results:
            data = self._guarded(function, partial(_pickled, value), "results")
            if data is not None:
                owner = call.owner
                pickled.append((call.key, data))
        if pickled:
            with self._lock:
                if self._write(lambda writer: writer.results(owner, pickled)):
                    self.kept += len(pickled)

    def _write(self, write: Callable[[Writer], object]) -> bool:
        """Write to the file; say whether that could be done. The lock is held, or none needed."""
        if self._writer is None:
            return False
        try:
            write(self._writer)
        except OSError as error:
            self._writer = None
            self._logger.error(
                "The journal %s can't be written any more: %s. The job goes on; what it computes "
                "from now on is not kept. What was kept is there.",
                self.path,
                error.strerror,
            )
            return False
        return True

    def _guarded(
        self, function: Callable[..., Any], make: Callable[[], Any], what: str = "calls"
    ) -> Any:
        """Return what `make` returns; None, said once, if code of the user's fails in it."""
        try:
            return make()
        except BaseException as error:
            raise_interrupt(error)
            reason = str(error) if isinstance(error, Unidentified) else type(error).__name__
            try:
                name = describe_callable(function)
            finally:
                del error
        self._tell_once(
            what,
            name,
            f"The journal %s keeps no {what} of %s that can't be pickled ({reason}): they are made "
            "again.",
        )
        return None

    def _tell_once(self, what: str, name: str, text: str) -> None:
        if (what, name) not in self._told:
            self._told.add((what, name))
            self._logger.warning(text, self.path, name)

    # ------------------------------------------------------------ the file

    def _look_after(self) -> None:
        looks = 0
        while not self._closing.wait(_SECONDS_OF_A_LOOK):
            try:
                self.keep_arrived()
            except Exception:
                self._logger.exception("The journal %s keeps nothing more by itself.", self.path)
                self.keep_arrived = _do_nothing
            looks += 1
            if looks % round(SECONDS_OF_A_TOUCH / _SECONDS_OF_A_LOOK):
                continue
            with contextlib.suppress(OSError):  # who writes will meet it, too
                os.fsync(self._file.fileno())
                self._holder.touch()

    def close(self) -> None:
        """Leave the journal to others."""
        self._closing.set()
        if self._thread.ident == threading.get_ident() or self._file.closed:
            return
        self._thread.join()
        with self._lock, contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
            self._file.close()
            self._holder.release()

    def summary(self) -> str:
        """Return a sentence on what came of it."""
        return (
            f"{self.taken:,} results were taken from the journal {self.path}, and "
            f"{self.kept:,} were added"
        )


def _do_nothing() -> None:
    """Stand for a function where there is none."""


def _pickled(value: Any) -> bytes:
    """Return the pickle of a result, by itself: by cloudpickle what pickle can't."""
    try:
        return pickle.dumps(value, protocol=5)
    except Exception:
        return cloudpickle.dumps(value, protocol=5)  # type: ignore[no-any-return]
