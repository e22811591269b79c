"""How Python ends a program: it waits for threads, calls exit functions, and then is gone.

    program returns or raises
    functions of threading._register_atexit   the pools of concurrent.futures, loky and others end
    threads that are no daemons               are waited for
    functions of atexit                       are called, the latest first
    the interpreter is taken down

All but the last of these may use futures, so they belong to the program, and the job goes on until
they are over. That is why they are done here, by the very functions that Python calls as it ends:
it then finds nothing left to do. It must not know what a rank does meanwhile, nor any library by
name.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from scoop_mpi.system import streams

_threading: Any = threading  # of which more is used here than is public


def start_to_end_threads() -> Callable[[], bool]:
    """Begin to end the threads of the program; return what tells whether all of them have ended.

    Python does it in the main thread. But while a thread is waited for, it may wait for futures,
    and for tasks that only the main thread can go on with. So another thread waits.
    """
    waiting = threading.Thread(target=_end_threads_elsewhere, name="scoop_mpi-end", daemon=True)
    try:
        waiting.start()
    except RuntimeError:  # there can't be another thread; messages move all the same, by the pump
        _end_threads()
        return lambda: True
    return lambda: not waiting.is_alive()


def _end_threads_elsewhere() -> None:
    if sys.version_info < (3, 13):
        # In another thread than the main one `_shutdown` leaves out this one step, which is to come
        # after the registered functions. They are called in reverse.
        _threading._threading_atexits.insert(0, _mark_main_thread_from_another)
    _end_threads()


def _end_threads() -> None:
    try:
        _threading._shutdown()
    except BaseException as error:  # of a registered function: Python reports it, and goes on
        failed = (type(error), error, error.__traceback__, threading.current_thread())
        threading.excepthook(threading.ExceptHookArgs(failed))
        _mark_main_thread()  # it was not its turn, and Python would begin all over


def _mark_main_thread_from_another() -> None:
    if threading.current_thread() is not threading.main_thread():  # as in a forked child
        _mark_main_thread()


def _mark_main_thread() -> None:
    """Have the main thread count as ended: others may wait for just that."""
    main: Any = threading.main_thread()
    if sys.version_info >= (3, 13):
        main._handle._set_done()
    elif main._tstate_lock is not None:
        main._tstate_lock.release()
        main._stop()


def call_exit_functions() -> None:
    """Call the functions of `atexit`. What they raise is reported, as Python does."""
    atexit._run_exitfuncs()


def leave_process(status: int, *, ends_threads: bool) -> NoReturn:
    """End this process as Python would, without taking down what it has in common with others.

    For a forked child: Python's own end would finalize MPI there, and unwind other tasks.

    Args:
        status: the exit status.
        ends_threads: whether its threads are to be ended. What was forked by a thread has that one
            alone.
    """
    if ends_threads:
        _end_threads()
    call_exit_functions()
    streams.flush()
    os._exit(status & 0xFF)
