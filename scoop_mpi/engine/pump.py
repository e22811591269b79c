"""The pump: the thread that keeps a rank's messages moving while the user's code runs.

While the hub is in charge the pump sleeps, at no cost. Once user code runs, it wakes about every
millisecond and does the rank's duties: gives work to thieves, takes in results, sends off what
has ended. On rank 0 it is the broker meanwhile, too.

The pump never runs the user's code: callbacks and everything else of the kind waits for the hub.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_SHORTEST_PAUSE = 1e-3  # seconds
_LONGEST_PAUSE = 8e-3


class Pump:
    """Calls `duties` now and then while user code runs.

    Args:
        duties: what to do; returns whether anything moved.
        is_transferring: tells whether a message is half-way, and the pump to come again soon.
        hub_is_in_charge: tells whether the hub does the duties itself.
        fail: called with the error if `duties` raises.
    """

    def __init__(
        self,
        duties: Callable[[], bool],
        is_transferring: Callable[[], bool],
        hub_is_in_charge: Callable[[], bool],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.is_asleep = False
        self._duties = duties
        self._is_transferring = is_transferring
        self._hub_is_in_charge = hub_is_in_charge
        self._fail = fail
        self._is_ending = False
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scoop_mpi-pump", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """User code is about to run. Needed only if `is_asleep`."""
        self._awake.set()

    def stop(self) -> None:
        """End, and wait until the thread has."""
        self._is_ending = True
        self._awake.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._is_ending:
            if self._hub_is_in_charge():
                self._sleep()
                pause = _SHORTEST_PAUSE
            time.sleep(pause)
            if self._is_ending or self._hub_is_in_charge():
                continue
            try:
                moved = self._duties()
            except BaseException as error:
                self._fail(error)
                return
            is_soon_due = moved or self._is_transferring()
            pause = _SHORTEST_PAUSE if is_soon_due else min(1.5 * pause, _LONGEST_PAUSE)

    def _sleep(self) -> None:
        """Sleep until woken.

        The order matters: who wants to wake the pump looks at `is_asleep` after it has taken
        charge from the hub, so one of the two always sees the other.
        """
        self._awake.clear()
        self.is_asleep = True
        if self._hub_is_in_charge() and not self._is_ending:
            self._awake.wait()
        self.is_asleep = False
