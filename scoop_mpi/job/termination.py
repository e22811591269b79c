"""What the signals do that ask a job to end.

             on the root                       on a worker
    SIGINT   KeyboardInterrupt in the program  nothing: the root ends the job
    SIGTERM  `Terminated` in the program       nothing, unless the job outlasts its grace
    SIGUSR1  likewise                          nothing
    SIGUSR2  likewise                          nothing

Launchers and schedulers send them to all ranks at once. A worker that ended at once would take the
job along, and all that the program could still save. A handler that is there already, of who has
started Python so, stays.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Collection
from types import FrameType

from scoop_mpi.engine.signals import Gate

TERMINATED = 128 + signal.SIGTERM
_ENDING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def handle(
    gate: Gate,
    interrupt: Callable[[], None],
    terminate: Callable[[int], None],
    *,
    is_root: bool,
) -> None:
    """Set the handlers of this rank.

    Args:
        gate: what handlers go through that raise something.
        interrupt: called for SIGINT, on the root.
        terminate: called with the number of any other. On the root it may raise something.
        is_root: whether this rank runs the program.
    """

    def end(number: int, _: FrameType | None) -> None:
        terminate(number)

    if is_root:
        gate.install()
    ours = [number for number in _ENDING if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
        if not is_root:  # for C code that waits it is as if nothing had come
            signal.siginterrupt(number, False)
    if not is_root:
        gate.install()
    signal.signal(signal.SIGINT, (lambda *_: interrupt()) if is_root else signal.SIG_IGN)
    _leave_to_children(ours, end)


def _leave_to_children(numbers: Collection[int], handler: Callable[..., None]) -> None:
    """Have these signals end a forked child as they would any other process.

    Args:
        numbers: of the signals.
        handler: of this rank, for as long as the program sets none.
    """
    masks = threading.local()

    # One that comes to the child before it is ready would be lost: Python drops it.
    def block() -> None:
        masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def reset() -> None:
        for number in numbers:
            if signal.getsignal(number) == handler:
                signal.signal(number, signal.SIG_DFL)
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=reset)
