"""Shared constants: objects set once, by any rank, that every rank can read.

Meaning and names as in SCOOP. How they get everywhere: `constants`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

from scoop_mpi import current
from scoop_mpi.constants import Proposal, seal
from scoop_mpi.errors import UNGUARDED, NotStartedProperly, SerializationError, describe_callable
from scoop_mpi.future import check_timeout
from scoop_mpi.hub import Hub
from scoop_mpi.worker_state import ImportGuard

__all__ = ["SharedElementEncapsulation", "getConst", "setConst"]


def setConst(**kwargs: Any) -> None:
    """Set constants that every rank can read with `getConst`.

    Returns once they are set: a task submitted after that finds them, wherever it runs. Anything
    that can be sent to another rank can be a constant, also functions, lambdas and methods. A
    constant is a copy of what it was when it was set; nobody should change it.

    The arrays in constants of 1 MiB and more are in each node's memory once, shared by its ranks.

    Args:
        kwargs: the constants by name.

    Raises:
        NotStartedProperly: the program was not started with ``-m scoop_mpi``.
        TypeError: a constant of that name exists already, set by whichever rank; none is set then.
        SerializationError: a value can't be sent to other ranks.
    """
    hub = _hub()
    if not kwargs:
        return
    values = {}
    for name, value in kwargs.items():
        try:
            values[name] = seal(value)
        except SerializationError as error:
            raise SerializationError(f"the constant {name}: {error}") from error
    waiter = hub.waiter()
    proposal = Proposal(waiter.notify)
    hub.runtime.propose_constants(values, proposal)
    while not proposal.is_answered:
        hub.runtime.step()
        if not proposal.is_answered:
            waiter.wait(None)
    if proposal.refused is not None:
        raise TypeError(f"This constant already exists: {proposal.refused}.")


def getConst(name: str, timeout: float | None = 0.1) -> Any:
    """Return the constant `name`, waiting for it if need be.

    A constant that was set before this task was submitted is always found, however long it takes
    to get here.

    Args:
        name: the name that `setConst` got.
        timeout: seconds to wait for one that nobody is known to have set; None or infinity: no
            limit.

    Returns:
        The constant, the same object for all tasks on this rank; None if there was none in time.
        Its contiguous numpy arrays are read-only views of memory that other ranks may share: make
        a ``copy`` to change one.

    Raises:
        NotStartedProperly: the program was not started with ``-m scoop_mpi``.
        SerializationError: the constant can't be unpickled on this rank.
        ValueError: `timeout` is nan.
    """
    check_timeout(timeout)
    hub = _hub()
    constants = hub.runtime.constants
    if constants.has(name):
        return constants.get(name)
    hub.runtime.step()
    if not constants.has(name):
        _wait_for(hub, name, timeout)
    return constants.get(name) if constants.has(name) else None


def _wait_for(hub: Hub, name: str, timeout: float | None) -> None:
    constants = hub.runtime.constants
    waiter = hub.waiter()
    constants.on_change.append(waiter.notify)
    try:
        while constants.is_behind and not constants.has(name):
            waiter.wait(None)
        deadline = hub.deadline(timeout)
        while not constants.has(name) and waiter.wait(deadline):
            pass
    finally:
        constants.on_change.remove(waiter.notify)


def _hub() -> Hub:
    hub = current.running_hub()
    if isinstance(hub.ready, ImportGuard):
        raise NotStartedProperly(f"shared: {UNGUARDED}")
    return hub


class SharedElementEncapsulation:
    """A function, method or other callable that is a constant, and thus sent to each rank once.

    An instance is small however much the callable refers to, and calling it calls the callable;
    so it can be handed to `futures.map` again and again.

    Args:
        element: what to share. Of a bound method the object is shared.
    """

    def __init__(self, element: Callable[..., Any]) -> None:
        hub = _hub()
        self._name = hub.runtime.constants.new_name(describe_callable(element))
        self._method: str | None = None
        shared: Any = element
        if isinstance(element, MethodType):
            self._method = element.__func__.__name__
            shared = element.__self__
        setConst(**{self._name: shared})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the shared callable."""
        shared = getConst(self._name, timeout=None)
        function = shared if self._method is None else getattr(shared, self._method)
        return function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<SharedElementEncapsulation {self._name}>"
