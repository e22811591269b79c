"""Resuming: how a job that ends early loses nothing, and the next goes on from there.

    journal     what the program's calls return is kept, and known in the next run
    draining    at a signal, or some time before the allocation ends, no further call begins; once
                those that run have ended, the program gets `Draining`

For the root alone. Signals come in its main thread; threads of ours send them to this very process.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping

from scoop_mpi.engine.draining import Draining, Watch
from scoop_mpi.engine.hub import Hub
from scoop_mpi.engine.program_calls import ProgramCalls
from scoop_mpi.errors import Drained, StartError
from scoop_mpi.job.config import NO_SIGNAL, Config
from scoop_mpi.journal.journal import Journal
from scoop_mpi.journal.records import JournalError
from scoop_mpi.launch import time_limit
from scoop_mpi.system import streams

_DRAIN_SIGNAL = "USR1"


class Resuming:
    """A job's journal, and how it drains, as far as it has and does.

    Args:
        hub: the root's.
        config: what the command line asks for.
        logger: where warnings go.
        environment: the process's environment variables.

    Attributes:
        drain_signal: the number of the signal that asks the job to drain; None: there is none.
        threads: how many have been started.

    Raises:
        StartError: the journal can't be used, or it is not known when the allocation ends.
    """

    def __init__(
        self, hub: Hub, config: Config, logger: logging.Logger, environment: Mapping[str, str]
    ) -> None:
        self.drain_signal = _drain_signal(config)
        self.threads = 0
        self._hub = hub
        self._logger = logger
        self._grace = config.grace
        self._journal: Journal | None = None
        self._draining: Draining | None = None
        self._watch: Watch | None = None
        self._has_told = False
        if config.journal is not None:
            self._open_journal(config.journal, config.program.name, environment)
        if self.drain_signal is not None:
            self._be_drainable(self.drain_signal, config.stop_before, environment)
        self._calls = ProgramCalls(hub, self._journal, self._draining, config.isolates)
        hub.watch_program(self._calls)
        if self._journal is not None:
            self._journal.keep_arrived = self._calls.keep_arrived

    def _open_journal(self, path: str, program: str, environment: Mapping[str, str]) -> None:
        try:
            self._journal = Journal(path, program, self._logger, environment, _tell)
        except JournalError as error:
            raise StartError(str(error)) from error
        self.threads += 1

    def _be_drainable(
        self, number: int, stop_before: float | None, environment: Mapping[str, str]
    ) -> None:
        self._draining = Draining(self._hub, self._hub.runtime, self._grace)
        self._watch = Watch(self._draining, self._signal_drained)
        self._watch.start()
        self.threads += 1
        if stop_before is not None:
            end = time_limit.end_of_allocation(environment)
            seconds = max(end - stop_before - time.time(), 0.0)
            timer = threading.Timer(seconds, os.kill, (os.getpid(), number))
            timer.daemon = True
            timer.start()
            self.threads += 1

    def drain(self) -> None:
        """The signal has come: the job is to drain; or it has, and the program is to hear of it."""
        draining = self._draining
        if draining is None:
            return
        if not draining.has_begun:
            self._logger.warning(
                "No further call of the program's is begun; those that run may go on for %g s.",
                self._grace,
            )
            draining.begin()
        elif draining.is_over and not self._has_told:
            self._has_told = True
            self._hub.interrupt(Drained)

    def _signal_drained(self) -> None:
        """The job has drained: have the program hear of it, in its own thread."""
        if self.calls_left and self.drain_signal is not None:
            os.kill(os.getpid(), self.drain_signal)

    @property
    def calls_left(self) -> int:
        """How many calls of the program's have not been made, if the job drains; or else 0."""
        draining = self._draining
        return draining.left if draining is not None and draining.has_begun else 0

    def end(self) -> None:
        """The job has ended: leave the journal to others, and say what came of it."""
        if self._watch is not None:
            self._watch.end()
        if self._journal is not None:
            self._calls.keep_arrived()
            self._journal.close()
            if self._logger.isEnabledFor(logging.WARNING):
                _tell(f"{self._journal.summary()}.")


def _drain_signal(config: Config) -> int | None:
    """Return the signal that asks the job to drain, as the command line has it."""
    name = config.drain_signal
    if name is None and (config.journal is not None or config.stop_before is not None):
        name = _DRAIN_SIGNAL
    if name is None or name == NO_SIGNAL:
        return None
    return signal.Signals[f"SIG{name}"]


def _tell(text: str) -> None:
    streams.write_error(f"scoop_mpi: {text}\n")
