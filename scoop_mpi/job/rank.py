"""A rank's life: from the start, through the program, to an orderly end.

    root     connect   run the program   Stop to all ...  all have Stopped   Leave to all   end
    worker   connect   import it, serve  Stop: finish what runs, Stopped     Leave          end

Between `Stopped` and `Leave` a rank still takes in what others sent it, so at the end no message
is under way, and MPI can be finalised. Where the program failed, ranks get a few seconds for that;
then the job is aborted. Whatever happens, it ends.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from scoop_mpi import current
from scoop_mpi.engine import first_thread
from scoop_mpi.engine.hub import Hub
from scoop_mpi.engine.idle import Backoff
from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.engine.pump import Pump
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.engine.standstill import Standstill
from scoop_mpi.engine.time_limits import Idle
from scoop_mpi.errors import (
    DRAINED,
    Draining,
    Interrupt,
    NotStartedProperly,
    StartError,
    Terminated,
    Termination,
    describe_callable,
    format_exception,
    place_in_program,
    task_of_exit,
)
from scoop_mpi.job import (
    ending,
    numerical_threads,
    process,
    scoop_alias,
    standard_streams,
    termination,
    uncaught,
)
from scoop_mpi.job.config import GRACE, Config
from scoop_mpi.job.program import Program, ProgramError
from scoop_mpi.launch import hash_seed, launchers
from scoop_mpi.launch.line_to_parent import Line
from scoop_mpi.observe import log, profiling
from scoop_mpi.observe.event_log import EventLog
from scoop_mpi.state.policy import RootsPart
from scoop_mpi.state.routing import ROOT_RANK
from scoop_mpi.system import cores, garbage, streams
from scoop_mpi.system.interpreter import Invocation
from scoop_mpi.tasks.future import Future
from scoop_mpi.transport import shared_segments
from scoop_mpi.transport.protocol import Messenger, Transport
from scoop_mpi.wire.messages import ImportFailed, Leave, Stop, Stopped

if TYPE_CHECKING:
    from scoop_mpi.engine.isolation import Isolation
    from scoop_mpi.job.resuming import Resuming

_SECONDS_TO_FAIL = 3.0  # that tasks get to end once the program has failed
_SECONDS_TO_SHOW = 10.0  # that the ranks have to show their event logs
_CHECK_INTERVAL = 0.1
_SECONDS_OF_ONE = 5.0  # in which signals of one number are taken as one: see `terminate`
_SECONDS_BEHIND_ROOT = 2.0  # that a worker gives the root, to end the job
_SECONDS_TO_REPORT = 5.0  # after which a rank says what the job's end waits for


_leave_at_once = os._exit  # before `process.guard_exit` has it end the job


def connect() -> Transport:
    """Join the other ranks. Collective.

    Raises:
        StartError: the launcher has started several processes, but MPI knows of one only.
    """
    from scoop_mpi.transport.mpi import (
        MPITransport,
        keep_until_the_end,
        library_description,
        world_size,
    )

    keep_until_the_end()
    problem = launchers.mismatch(os.environ, world_size(), library_description())
    if problem is not None:
        raise StartError(problem)
    transport = MPITransport()
    if transport.leaders[transport.rank] == transport.rank:
        shared_segments.remove_names()
    return transport


def run(config: Config, line: Line) -> int:
    """Do this process's part of the job; return the exit status.

    Args:
        config: what to do.
        line: to the process that has started the launcher, if that was one of ours.

    Raises:
        StartError: see `connect`.
    """
    transport = connect()
    try:
        logger = log.configure(transport.rank, transport.host, config.log_level)
        rank = _prepare(config, transport, logger)
        rank.tell_end = line.tell_end
        line.announce()
        with profiling.profiled(config.profile_folder, transport.rank), _pumping(rank, logger):
            try:
                status = rank.run()
            except StartError:
                raise
            except BaseException:
                rank.show_logs()
                raise
        line.tell_end(status)
        return status
    except StartError as error:
        streams.write_error(f"scoop_mpi: {error}\n")
        transport.abort(2)
        raise
    except BaseException:  # a fault of ours: no other rank will hear of it otherwise
        streams.write_error(traceback.format_exc())
        line.tell_end(1)
        transport.abort(1)
        raise


def _prepare(config: Config, transport: Transport, logger: logging.Logger) -> Rank:
    """Make this process a rank as `config` says."""
    streams.buffer_lines()
    ranks_per_core = transport.ranks_per_core
    os.environ.update(
        numerical_threads.settings(config.threads, len(cores.usable()), ranks_per_core, os.environ)
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
    if config.has_mpi4py_alias:
        from scoop_mpi.fronts import mpi4py_futures  # not above: few want it

        mpi4py_futures.install()
    program = config.program
    if program.is_standard_input:
        text = standard_streams.read_program(logger) if transport.rank == ROOT_RANK else b""
        program = program._replace(text=transport.share(text))
    if transport.rank != ROOT_RANK:
        standard_streams.leave_input_to_root()
    if config.is_interactive:
        from scoop_mpi.job import console

        program = console.with_prompt(program)
    if config.root == "serves" and transport.size == 1:
        raise StartError(
            "with --root serves rank 0 runs no tasks, and there is no other rank. Start more (-n), "
            "or leave it out."
        )
    rank = Rank(program, transport, idle, time.perf_counter, logger, config.root, config.grace)
    current.hub = rank.hub
    rank.hub.is_debug, rank.hub.is_strict = config.is_debug, config.is_strict
    rank.hub.runtime.on_fault = rank.fail
    if rank.is_root and config.is_to_be_resumed:
        from scoop_mpi.job.resuming import Resuming  # not above: few want it

        rank.be_resumable(Resuming(rank.hub, config, logger, os.environ))
    rank.hub.special_calls.make_isolation = lambda: _isolation_of(
        rank.hub, program, transport, config
    )
    if config.is_debug:
        rank.keep_log()
    termination.handle(rank.hub.gate, rank.interrupt, rank.terminate, is_root=rank.is_root)
    process.guard_forks(rank.hub, uncaught.report)
    if transport.size > 1:
        process.guard_exit(f"rank {transport.rank} ({transport.host})", transport.abort)
    if sys.stderr is not None and not faulthandler.is_enabled():
        faulthandler.enable()  # a crash in C code: show where
    garbage.resume()
    return rank


def _isolation_of(hub: Hub, program: Program, transport: Transport, config: Config) -> Isolation:
    """Return what makes isolated calls for this rank."""
    # Not above: few want it, and it takes modules of Python's that nobody else does.
    from scoop_mpi.engine.isolation import Isolation
    from scoop_mpi.job import isolated
    from scoop_mpi.shared import getConst

    def attend() -> None:
        if threading.get_ident() == hub.thread:
            hub.gate.attend()

    return Isolation(
        isolated.command_line(Invocation(sys.orig_argv[1:]).options),
        isolated.FirstWord(
            program,
            list(sys.path),
            transport.rank,
            transport.host,
            list(transport.leaders),
            config.is_debug,
        ),
        hub.here,
        getConst,
        attend,
    )


@contextlib.contextmanager
def _pumping(rank: Rank, logger: logging.Logger) -> Iterator[None]:
    pump = start_pump(rank, logger)
    # At import, or by what starts Python, there may have been others besides ours.
    if threading.active_count() == 1 + (pump is not None) + rank.own_threads:
        first_thread.expect(rank.hub)
    try:
        yield
    finally:
        if pump is not None:
            pump.stop()


def start_pump(rank: Rank, logger: logging.Logger) -> Pump | None:
    """Start the thread that does the rank's duties while user code runs, if MPI allows one.

    Raises:
        StartError: this process can't have another thread.
    """
    transport = rank.hub.runtime.transport
    if not transport.is_thread_safe:
        if rank.is_root:
            logger.warning(
                "This MPI was started without MPI_THREAD_MULTIPLE, so no thread may call it while "
                "the program might: while a rank computes, its messages wait."
            )
        return None
    pump = Pump(rank.duties, rank.is_transferring, lambda: rank.hub.is_in_charge, rank.fail)
    try:
        pump.start()
    except RuntimeError as error:
        raise StartError(
            f"rank {transport.rank} ({transport.host}) can't start the thread that moves its "
            f"messages: {error}. Allow more of them (ulimit -u), or start fewer ranks on this host."
        ) from error
    rank.hub.pump = pump
    return pump


class Rank:
    """This process, as a part of the job.

    Args:
        program: what the root runs and the workers import.
        transport: reaches the other ranks.
        idle: how the hub pauses.
        clock: tells the time, in seconds.
        logger: where failures and warnings go.
        root: what rank 0 does; see `policy.only_serves`.
        grace: seconds that the job may go on after SIGTERM.
    """

    def __init__(
        self,
        program: Program,
        transport: Messenger,
        idle: Idle,
        clock: Callable[[], float],
        logger: logging.Logger,
        root: RootsPart = "auto",
        grace: float = GRACE,
    ) -> None:
        self._program = program
        self._transport = transport
        self._logger = logger
        self._runtime = Runtime(transport, clock, self._import_failed, NodeMemory(logger), root)
        self.hub = Hub(self._runtime, idle, logger)
        self.tell_end: Callable[[int], object] = lambda _: None  # whoever has started the job
        self._standstill = Standstill(self.hub, logger)
        self.is_root = transport.rank == ROOT_RANK
        self._status = 0
        self._may_report = threading.Lock()  # taken by who reports why the job failed, once
        self._has_ended = False  # on the root: the program
        self._deadline: float | None = None  # for the end of a job that has failed
        self._grace = grace
        self._grace_ends: float | None = None  # once SIGTERM has come
        self._signalled_at: dict[int, float] = {}  # by the number of the signal
        self._stopping_since: float | None = None
        self._check_at = 0.0
        self._has_shown_log = False
        self._has_reported = False
        self._is_importing = False
        self._resuming: Resuming | None = None

    def run(self) -> int:
        """Live; return the exit status."""
        self._logger.info(
            "process %d of %d ranks, Python %s", os.getpid(), self._transport.size, sys.version
        )
        if self.is_root:
            try:
                self._run_root()
            finally:
                if self._resuming is not None:
                    self._resuming.end()
        else:
            self._run_worker()
        self.hub.special_calls.close()
        self._runtime.close()
        self.hub.gate.open()
        return self._status

    # ------------------------------------------------------------ the root

    def be_resumable(self, resuming: Resuming) -> None:
        """Have the job go on where it ended early. For the root, before its program runs."""
        self._resuming = resuming

    @property
    def own_threads(self) -> int:
        """How many threads of this rank's are ours, besides the pump's."""
        return 0 if self._resuming is None else self._resuming.threads

    def _run_root(self) -> None:
        hub, runtime = self.hub, self._runtime
        hub.open_queues()
        status = self._run_program()
        self._has_ended = True
        hub.end_program()
        self._end_soon(status)
        self._status = status or self._status  # its own, whatever a worker has met meanwhile
        streams.flush()
        for rank in range(runtime.size):  # this one too: so it stops within a step
            runtime.post(rank, Stop())
        hub.serve_until(self._all_have_stopped)
        for rank in range(1, runtime.size):
            runtime.post(rank, Leave())
        runtime.step()
        hub.serve_until(lambda: not self._transport.is_sending)

    def _end_soon(self, status: int) -> None:
        """If the job has failed, tasks that run get little time to end."""
        if status and self._deadline is None:
            self._status = status
            self._deadline = self._runtime.clock() + _SECONDS_TO_FAIL

    def interrupt(self) -> None:
        """Ctrl-C: it is the program's, or if that has ended, nobody waits any longer."""
        if not self._has_ended:
            self.hub.interrupt(Interrupt)
        else:
            self._stop_waiting(uncaught.INTERRUPTED)

    def terminate(self, signum: int) -> None:
        """A signal asks the job to end: that is the program's to do, within a time if SIGTERM."""
        if self._resuming is not None and signum == self._resuming.drain_signal:
            if not self._has_ended:
                self._resuming.drain()
            return
        now = self._runtime.clock()
        before = self._signalled_at.get(signum)
        if before is not None and now - before < _SECONDS_OF_ONE:
            return  # launcher and scheduler may both have sent it
        self._signalled_at[signum] = now
        if signum == signal.SIGTERM:
            if self._grace_ends is not None:
                return  # it is being followed
            self._grace_ends = now + self._grace
            if not self.is_root:
                self._grace_ends += _SECONDS_BEHIND_ROOT
        if not self.is_root:
            return
        if not self._has_ended:
            self.hub.interrupt(lambda: Termination(signum))
        elif signum == signal.SIGTERM:
            self._stop_waiting(termination.TERMINATED)

    def _stop_waiting(self, status: int) -> None:
        self._status = self._status or status
        self._deadline = self._runtime.clock()

    def _all_have_stopped(self) -> bool:
        self._report_running()
        self._abort_if_late()
        runtime = self._runtime
        has_stopped = runtime.is_stopping and self.hub.is_at_rest
        return has_stopped and len(runtime.stopped) == runtime.size - 1

    def _abort_if_late(self) -> None:
        if self._deadline is not None and self._runtime.clock() > self._deadline:
            self.tell_end(self._status)
            self._transport.abort(self._status)
        if self._grace_ends is not None and self._runtime.clock() > self._grace_ends:
            self._leave_late()

    def _leave_late(self) -> None:
        """Leave the job, which has not ended after SIGTERM; no rank is to outlive it.

        A worker comes to that if SIGTERM has reached it alone, or if the root and the launcher are
        gone. Then there is nobody whom MPI could tell.
        """
        rank, host = self._transport.rank, self._transport.host
        streams.write_error(
            f"scoop_mpi: rank {rank} ({host}) got SIGTERM, and the job has not ended within "
            f"{self._grace:g} s (--grace). This rank ends now, and the job by it.\n"
        )
        if self.is_root:
            self.tell_end(termination.TERMINATED)
            self._transport.abort(termination.TERMINATED)
        _leave_at_once(termination.TERMINATED)

    def _run_program(self) -> int:
        """Run the user's program to the end that Python gives it; return the exit status."""
        status = self._guarded(self._program.run)
        if self._program.is_all:
            status = self._guarded(self._wait_for_threads) or status
        if not status:
            status = self._guarded(self._wait_for_callbacks)
        if self._program.is_all:
            ending.call_exit_functions()
        if not status and self._resuming is not None and self._resuming.calls_left:
            return DRAINED
        return status

    def _wait_for_threads(self) -> None:
        self.hub.serve_until(ending.start_to_end_threads())

    def _wait_for_callbacks(self) -> None:
        hub = self.hub
        hub.callbacks.run_due()
        hub.serve_until(lambda: hub.callbacks.have_run)

    def _guarded(self, run: Callable[[], None]) -> int:
        """Run the program, or what belongs to it; return the exit status that Python would give."""
        error: BaseException | None = None
        try:
            run()
        except BaseException as raised:
            error = raised
        # Told here, where it isn't being handled any more: the context of what a hook raises.
        status = 0 if error is None else self._tell_end(error)
        if process.is_forked():  # a copy of the root has left the copy of the program
            ending.leave_process(status, ends_threads=True)
        return status

    def _tell_end(self, error: BaseException) -> int:
        """Print what Python prints of what has ended the program; return the exit status."""
        if isinstance(error, Terminated):
            streams.write_error(f"scoop_mpi: the program ends by {error.signum.name}.\n")
        elif isinstance(error, Draining) and self._resuming is not None:
            streams.write_error(
                f"scoop_mpi: the job has drained: {self._resuming.calls_left:,} calls of the "
                "program's have not been made.\n"
            )
        elif isinstance(error, SystemExit):
            task = task_of_exit(error)
            if task is not None:
                streams.write_error(
                    f"scoop_mpi: a task called sys.exit({error.code!r}), and the program ends by "
                    f"it.\n{task.strip()}\n"
                )
        elif not (process.is_forked() or self._may_report.acquire(blocking=False)):
            return uncaught.status_of(error)
        return uncaught.report(error)

    def _import_failed(self, report: str) -> None:
        """A worker could not import the program: say so, once, and end the job."""
        if not self._may_report.acquire(blocking=False):
            return  # the root has failed as well, or another worker has been faster
        streams.write_error(report)
        self._end_soon(1)
        self.hub.raise_in_main(SystemExit(1))

    # ------------------------------------------------------------ a worker

    def _run_worker(self) -> None:
        hub, runtime = self.hub, self._runtime
        if self._import_program():
            hub.open_queues()
        hub.serve_until(self._may_stop)
        runtime.drop_outcomes()
        hub.serve_until(lambda: not self._transport.is_sending)
        streams.flush()
        runtime.post(ROOT_RANK, Stopped())
        hub.serve_until(lambda: runtime.may_leave)

    def _may_stop(self) -> bool:
        self._abort_if_late()
        return self._runtime.is_stopping and self.hub.is_at_rest

    def _import_program(self) -> bool:
        """Import the program; if that fails, tell the root, and return False."""
        failure = None
        self._is_importing = True
        try:
            self._program.import_()
        except BaseException as error:
            failure = error
        self._is_importing = False
        if process.is_forked():  # a copy of this rank has left the copy of the program
            status = 0 if failure is None else uncaught.report(failure)
            ending.leave_process(status, ends_threads=True)
        if failure is not None:
            self._runtime.post(ROOT_RANK, ImportFailed(self._import_report(failure)))
        return failure is None

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
            is_low = self.hub.should_ask_ahead()
            if not is_low and self.hub.bell.leave_to_program():
                moved = True
            else:
                moved = self._runtime.step(is_low=is_low, is_pump=True)
        self.hub.gate.knock()
        self.hub.threads.call_helpers()
        if self._runtime.is_stopping:
            self._report_running()
        self._abort_if_late()
        self._standstill.look(self._runtime.last_step)
        return moved

    def is_transferring(self) -> bool:
        """Say whether a message is on its way out or in, and moves on as MPI is called."""
        return self._transport.is_receiving or self._transport.is_sending

    def _report_running(self) -> None:
        """Once the end has waited for a while, say for what of this rank."""
        now = self._runtime.clock()
        if self._stopping_since is None:
            self._stopping_since = now
        if self._has_reported or now - self._stopping_since < _SECONDS_TO_REPORT:
            return
        if self._is_importing:
            self._has_reported = True
            self._logger.warning(
                "The program has ended, and the job waits for this rank, which still imports it, "
                "at %s",
                place_in_program(sys._current_frames()[self.hub.thread]),
            )
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
        streams.write_error("".join(traceback.format_exception(error)))
        self.show_logs()
        self.tell_end(1)
        self._transport.abort(1)

    def keep_log(self) -> None:
        """Keep an event log, show it if the job dies of a fault of ours, and look for faults."""
        runtime = self._runtime
        runtime.events = EventLog(runtime.clock)
        runtime.show_log = self._show_log
        runtime.after_message = self._check

    def show_logs(self) -> None:
        """Show the event logs of all ranks, if they are kept."""
        if self._runtime.events is not None:
            self._show_log()
            self._runtime.have_logs_shown(_SECONDS_TO_SHOW)

    def _show_log(self) -> None:
        if self._has_shown_log:
            return
        self._has_shown_log = True
        rank, host = self._transport.rank, self._transport.host
        streams.write_error(
            f"scoop_mpi: rank {rank} ({host}), {self._runtime.worker!r}. Its last events:\n"
            f"{self._runtime.events}\n"
        )

    def _check(self) -> None:
        """Now and then, see that what must always hold does. It may be amid a change just now."""
        now = self._runtime.clock()
        if now < self._check_at or threading.get_ident() != self.hub.thread:
            return
        self._check_at = now + _CHECK_INTERVAL
        if self.hub.waiting_threads or self._runtime.worker.queues.elsewhere:
            return  # another thread may be amid a change
        self._runtime.check()


def _name_of(task: object) -> str:
    function = task.call[0] if isinstance(task, Future) and not task.is_done else None
    return describe_callable(function or getattr(task, "function", None) or task)
