"""The process of a rank, and what a program can do to it behind MPI's back: leave it, or fork it.

**os._exit** ends a rank without a word to MPI. MPICH's `mpiexec` then kills the other ranks and
passes on the status of the first that ended, be it 0. So on a rank `os._exit` first says who has
called it, and aborts the job.

**A forked child** is a copy of the rank, with its tasks, but it is no rank. When it leaves the task
that has forked it, the copied runtime must not go on in MPI's name. So whatever waits there for the
task's outcome is replaced, in the child alone, by something that ends the child as Python ends a
program. It costs the rank nothing, and the child may fork and leave as it likes. In the child the
API finds a hub that is none, and says so.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, NamedTuple, NoReturn

from scoop_mpi import current
from scoop_mpi.engine.hub import Hub
from scoop_mpi.errors import FORKED, NotStartedProperly
from scoop_mpi.job import ending
from scoop_mpi.system import streams
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.span import Window
from scoop_mpi.tasks.stolen import LoneCall, StolenCall

_Report = Callable[[BaseException], int]
_Leave = Callable[[BaseException | None], NoReturn]


def guard_exit(name: str, abort: Callable[[int], object]) -> None:
    """Have `os._exit`, called in this process, end the whole job as a failure.

    Args:
        name: what to call this rank.
        abort: ends the job with an exit status.
    """
    rank = os.getpid()
    really_exit = os._exit

    def end_job(status: int) -> NoReturn:
        if os.getpid() == rank:
            caller = sys._getframe(1)
            streams.write_error(
                f"scoop_mpi: {name} was left by os._exit({status}), in {_place(caller)}. The job "
                "can't go on without it. A task fails by an exception, and the program ends by "
                "sys.exit().\n"
            )
            abort(status & 0xFF or 1)
        really_exit(status)

    vars(os)["_exit"] = end_job


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_name} ({code.co_filename}, line {frame.f_lineno})"


# ---------------------------------------------------------------- forked children


def guard_forks(hub: Hub, report: _Report) -> None:
    """See to it that no child forked from this process goes on as a rank.

    Args:
        hub: the rank's.
        report: prints what Python prints of an exception that ends a program; returns the exit
            status.
    """
    os.register_at_fork(after_in_child=lambda: _become_a_child(hub, report))


def is_forked() -> bool:
    """Say whether this process was forked from a rank."""
    return isinstance(current.hub, _NoHub)


class _NoHub:
    """What the API finds in a forked child, in place of the hub."""

    def __init__(self, hub: Hub, leave: _Leave) -> None:
        self.runtime = hub.runtime  # which rank it was
        self.here = hub.here
        self.is_debug = hub.is_debug
        self.logger = _CallbackFailure(leave)

    def __getattr__(self, name: str) -> Any:
        raise NotStartedProperly(FORKED)


def _become_a_child(hub: Hub, report: _Report) -> None:
    """Take this process, a copy of a rank, out of the job."""
    is_thread = get_ident() != hub.thread  # of the program's, and none that Python ends with

    def leave(error: BaseException | None) -> NoReturn:
        status = 0 if error is None else report(error)
        ending.leave_process(status, ends_threads=not is_thread)

    no_hub: Any = _NoHub(hub, leave)
    current.hub = no_hub
    runtime = hub.runtime
    runtime.ended = FORKED
    runtime.is_stopping = True  # for who has held on to the hub, as an iterator of results
    # Whatever leads to the hub, or to the pump's duties, has left the user's code.
    runtime.replace_steps(partial(leave, None))
    hub.forget_all()
    task = _task_around(sys._getframe())
    sealer: Any = _Sealer(leave)
    if isinstance(task, Window):
        _end_with_window(task, sealer)
    elif isinstance(task, StolenCall):
        task._sealer = sealer
    elif isinstance(task, Future):
        task._watchers = [_Watcher(task, leave)]
        task._callbacks = []


# Where the runtime calls a function of the user's.
_CALLS: dict[CodeType, Any] = {
    function.__code__: function
    for function in (Future.result, Future.run, StolenCall.run, LoneCall.run, Window.run)
}


def _task_around(frame: FrameType | None) -> Future | Window | None:
    """Return the innermost task whose call is on this stack; None: it is the program's own."""
    while frame is not None:
        if frame.f_code in _CALLS:
            task: Future | Window = frame.f_locals["self"]
            return task
        frame = frame.f_back
    return None


def _end_with_window(window: Window, sealer: Any) -> None:
    span = window.span
    span.lock = threading.Lock()  # the pump may have held it at that moment
    span.sealer = sealer
    span.reduction = None
    span.outlet = lambda *_: sealer.take(None)
    window.reported = len(window.values)
    window.given += len(window.pending)  # so that the window takes itself for done after this call
    window.pending.clear()


class _Sealer(NamedTuple):
    """Stands for what seals the outcome of the call that has forked."""

    leave: _Leave

    def take(self, _: object) -> NoReturn:
        self.leave(None)

    def failure(self, error: BaseException) -> NoReturn:
        self.leave(error)


class _CallbackFailure(NamedTuple):
    """Stands for the log, where the failure of a callback goes."""

    leave: _Leave

    def exception(self, *_: object) -> NoReturn:
        self.leave(sys.exc_info()[1])


class _Watcher(NamedTuple):
    """Waits for the future whose call has forked."""

    future: Future
    leave: _Leave

    def notify(self) -> NoReturn:
        self.leave(self.future.failure)
