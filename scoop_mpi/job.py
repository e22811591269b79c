"""A rank's life: from the start, through the program, to an orderly end.

    root     connect   run the program   Stop to all ...  all have Stopped   Leave to all   end
    worker   connect   import it, serve  Stop: finish what runs, Stopped     Leave          end

Between `Stopped` and `Leave` a rank still takes in what others sent it, so at the end no message
is under way, and MPI can be finalised. Where the program failed, ranks get a few seconds for that;
then the job is aborted. Whatever happens, it ends.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from scoop_mpi import (
    cores,
    current,
    ending,
    hash_seed,
    launch,
    log,
    profiling,
    scoop_alias,
    shared_segments,
    standard_streams,
    threads,
)
from scoop_mpi.config import Config
from scoop_mpi.errors import (
    NotStartedProperly,
    StartError,
    describe_callable,
    format_exception,
)
from scoop_mpi.future import Future
from scoop_mpi.hub import Hub, Idle
from scoop_mpi.idle import Backoff
from scoop_mpi.messages import ImportFailed, Leave, Stop, Stopped
from scoop_mpi.node_memory import NodeMemory
from scoop_mpi.program import Program, ProgramError
from scoop_mpi.pump import Pump
from scoop_mpi.runtime import ROOT_RANK, Runtime
from scoop_mpi.transport import Transport

if TYPE_CHECKING:
    from scoop_mpi.mpi import MPITransport

_SECONDS_TO_FAIL = 3.0  # that tasks get to end once the program has failed
_SECONDS_TO_REPORT = 5.0  # after which a rank says which tasks the job's end waits for


def connect() -> MPITransport:
    """Join the other ranks. Collective.

    Raises:
        StartError: the launcher has started several processes, but MPI knows of one only.
    """
    from scoop_mpi.mpi import MPITransport, library_description, world_size

    problem = launch.mismatch(os.environ, world_size(), library_description())
    if problem is not None:
        raise StartError(problem)
    transport = MPITransport()
    if transport.leaders[transport.rank] == transport.rank:
        shared_segments.remove_names()
    return transport


def run(config: Config) -> int:
    """Do this process's part of the job; return the exit status.

    Raises:
        StartError: see `connect`.
    """
    transport = connect()
    logger = log.configure(transport.rank, transport.host, config.log_level)
    ranks_per_core = transport.ranks_per_core
    os.environ.update(
        threads.settings(config.threads, len(cores.usable()), ranks_per_core, os.environ)
    )
    if not transport.hashes_agree and transport.rank == ROOT_RANK:
        hash_seed.report_disagreement(logger)
    if config.without_effect and transport.rank == ROOT_RANK:
        logger.warning(
            "No effect: %s. The ranks, %d of them, were started by a launcher already.",
            ", ".join(config.without_effect),
            transport.size,
        )
    idle = Backoff(ranks_per_core)
    if config.has_scoop_alias:
        scoop_alias.install()
    program = config.program
    if program.is_standard_input:
        text = standard_streams.read_program(logger) if transport.rank == ROOT_RANK else b""
        program = program._replace(text=transport.share(text))
    if transport.rank != ROOT_RANK:
        standard_streams.leave_input_to_root()
    if config.is_interactive:
        from scoop_mpi import console

        program = console.with_prompt(program)
    rank = Rank(program, transport, idle, time.perf_counter, logger)
    current.hub = rank.hub
    rank.hub.is_debug = config.is_debug
    _handle_interrupts(rank)
    if sys.stderr is not None and not faulthandler.is_enabled():
        faulthandler.enable()  # a crash in C code: show where
    pump = start_pump(rank, logger)
    try:
        with profiling.profiled(config.profile_folder, transport.rank):
            return rank.run()
    except StartError as error:
        standard_streams.write_error(f"scoop_mpi: {error}\n")
        transport.abort(2)
        raise
    except BaseException:  # a fault of ours: no other rank will hear of it otherwise
        traceback.print_exc()
        transport.abort(1)
        raise
    finally:
        if pump is not None:
            pump.stop()


def start_pump(rank: Rank, logger: logging.Logger) -> Pump | None:
    """Start the thread that does the rank's duties while user code runs, if MPI allows one."""
    if not rank.hub.runtime.transport.is_thread_safe:
        if rank.is_root:
            logger.warning(
                "This MPI was started without support for threads (MPI_THREAD_FUNNELED): while a "
                "rank computes, its messages wait."
            )
        return None
    rank.hub.pump = pump = Pump(
        rank.duties, rank.is_transferring, lambda: rank.hub.is_in_charge, rank.fail
    )
    pump.start()
    return pump


def _handle_interrupts(rank: Rank) -> None:
    """Leave Ctrl-C to the root, which raises it in the program, and ends the job."""
    if rank.is_root:
        signal.signal(signal.SIGINT, lambda *_: rank.interrupt())
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class Rank:
    """This process, as a part of the job.

    Args:
        program: what the root runs and the workers import.
        transport: reaches the other ranks.
        idle: how the hub pauses.
        clock: tells the time, in seconds.
        logger: where failures and warnings go.
    """

    def __init__(
        self,
        program: Program,
        transport: Transport,
        idle: Idle,
        clock: Callable[[], float],
        logger: logging.Logger,
    ) -> None:
        self._program = program
        self._transport = transport
        self._logger = logger
        self._runtime = Runtime(transport, clock, self._import_failed, NodeMemory(logger))
        self.hub = Hub(self._runtime, idle, logger)
        self.is_root = transport.rank == ROOT_RANK
        self._status = 0
        self._may_report = threading.Lock()  # taken by who reports why the job failed, once
        self._has_ended = False  # on the root: the program
        self._deadline: float | None = None  # for the end of a job that has failed
        self._stopping_since: float | None = None
        self._has_reported = False

    def run(self) -> int:
        """Live; return the exit status."""
        self._logger.info(
            "process %d of %d ranks, Python %s", os.getpid(), self._transport.size, sys.version
        )
        if self.is_root:
            return self._run_root()
        self._run_worker()
        return 0

    # ------------------------------------------------------------ the root

    def _run_root(self) -> int:
        hub, runtime = self.hub, self._runtime
        hub.open_queues()
        status = self._run_program()
        self._has_ended = True
        hub.end_program()
        self._end_soon(status)
        self._status = status or self._status  # its own, whatever a worker has met meanwhile
        _flush_output()
        runtime.stop()
        for rank in range(1, runtime.size):
            runtime.post(rank, Stop())
        hub.cancel_parked()
        hub.serve_until(self._all_have_stopped)
        for rank in range(1, runtime.size):
            runtime.post(rank, Leave())
        runtime.step()
        hub.serve_until(lambda: not self._transport.is_sending)
        return self._status

    def _end_soon(self, status: int) -> None:
        """If the job has failed, tasks that run get little time to end."""
        if status and self._deadline is None:
            self._status = status
            self._deadline = self._runtime.clock() + _SECONDS_TO_FAIL

    def interrupt(self) -> None:
        """Ctrl-C: it is the program's, or if that has ended, nobody waits any longer."""
        if not self._has_ended:
            self.hub.interrupt()
        else:
            self._status = self._status or ending.INTERRUPTED
            self._deadline = self._runtime.clock()

    def _all_have_stopped(self) -> bool:
        self._report_running()
        self._abort_if_late()
        return self.hub.is_at_rest and self._runtime.stopped_ranks == self._runtime.size - 1

    def _abort_if_late(self) -> None:
        if self._deadline is not None and self._runtime.clock() > self._deadline:
            self._transport.abort(self._status)

    def _run_program(self) -> int:
        """Run the user's program; return its exit status, as Python would."""
        try:
            self._program.run()
            self.hub.serve_until(_no_other_threads)
        except BaseException as raised:
            error = raised
        else:
            return 0
        # Told here, where it isn't being handled any more: the context of what a hook raises.
        if isinstance(error, SystemExit) or self._may_report.acquire(blocking=False):
            return ending.report(error)
        return ending.status_of(error)

    def _import_failed(self, report: str) -> None:
        """A worker could not import the program: say so, once, and end the job."""
        if not self._may_report.acquire(blocking=False):
            return  # the root has failed as well, or another worker has been faster
        standard_streams.write_error(report)
        self._end_soon(1)
        self.hub.raise_in_main(SystemExit(1))

    # ------------------------------------------------------------ a worker

    def _run_worker(self) -> None:
        hub, runtime = self.hub, self._runtime
        if self._import_program():
            hub.open_queues()
        hub.serve_until(lambda: runtime.is_stopping)
        hub.cancel_parked()
        hub.serve_until(lambda: hub.is_at_rest)
        runtime.drop_outcomes()
        hub.serve_until(lambda: not self._transport.is_sending)
        _flush_output()
        runtime.post(ROOT_RANK, Stopped())
        hub.serve_until(lambda: runtime.may_leave)

    def _import_program(self) -> bool:
        """Import the program; if that fails, tell the root, and return False."""
        try:
            self._program.import_()
        except BaseException as error:
            self._runtime.post(ROOT_RANK, ImportFailed(self._import_report(error)))
            return False
        return True

    def _import_report(self, error: BaseException) -> str:
        if isinstance(error, ProgramError):
            return f"scoop_mpi: {error}\n"
        text = format_exception(error)
        if isinstance(error, SyntaxError) and error.__traceback__ is None:
            return text  # of the program itself: the same on every rank
        what = "could not import the program"
        if isinstance(error, EOFError) and error.args == ("EOF when reading a line",):
            what = "asked for input outside the main guard; standard input is the root's alone"
        elif isinstance(error, NotStartedProperly):
            what = "met futures outside the main guard"
        elif isinstance(error, SystemExit):
            what = "met sys.exit() outside the main guard while it imported the program"
        return f"{text}scoop_mpi: rank {self._transport.rank} ({self._transport.host}) {what}.\n"

    # ------------------------------------------------------------ both

    def duties(self) -> bool:
        """What the pump does while user code runs; return whether anything moved."""
        moved = False
        if self._runtime.is_step_due(self._runtime.clock()):  # or the program polls by itself
            moved = self._runtime.step(is_low=self.hub.should_ask_ahead(), is_pump=True)
        if self._runtime.is_stopping:
            self._report_running()
        self._abort_if_late()
        return moved

    def is_transferring(self) -> bool:
        """Say whether a message is on its way out or in, and moves on as MPI is called."""
        return self._transport.is_receiving or self._transport.is_sending

    def _report_running(self) -> None:
        """Once the end has waited for a while, say for which tasks of this rank."""
        now = self._runtime.clock()
        if self._stopping_since is None:
            self._stopping_since = now
        if self._has_reported or now - self._stopping_since < _SECONDS_TO_REPORT:
            return
        names = [_name_of(task) for task in list(self.hub.running.values())]
        if names:
            self._has_reported = True
            self._logger.warning(
                "The program has ended, and the job waits for what still runs here: %s.",
                ", ".join(names),
            )

    def fail(self, error: BaseException) -> None:
        """End the job for a fault of ours."""
        traceback.print_exception(type(error), error, error.__traceback__)
        self._transport.abort(1)


def _name_of(task: object) -> str:
    function = task.call[0] if isinstance(task, Future) and not task.is_done else None
    return describe_callable(function or getattr(task, "function", None) or task)


def _no_other_threads() -> bool:
    """Whether the program's own threads have ended, for which Python would wait as well.

    Those of a ThreadPoolExecutor don't count: they idle until Python tells them, later, to end.
    """
    executors = sys.modules.get("concurrent.futures.thread")
    pooled = getattr(executors, "_threads_queues", {})
    return not any(
        thread is not threading.main_thread() and not thread.daemon and thread not in pooled
        for thread in threading.enumerate()
    )


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
