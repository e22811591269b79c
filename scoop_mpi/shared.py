"""Shared constants: objects set by any rank that every rank can read.

Meaning and names as in SCOOP. How they get everywhere, and when they go: `constants`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import MethodType
from typing import Any, NamedTuple

from scoop_mpi import current
from scoop_mpi.current import RankInfo
from scoop_mpi.engine.hub import Hub, running
from scoop_mpi.errors import UNGUARDED, NotStartedProperly, SerializationError, describe_callable
from scoop_mpi.state.constants import REGISTRAR_RANK, Proposal
from scoop_mpi.state.queues import ImportGuard
from scoop_mpi.tasks.future import check_timeout
from scoop_mpi.wire.constant_values import Constant, seal
from scoop_mpi.wire.holds import Hold
from scoop_mpi.wire.messages import ConstantsDeleted

__all__ = ["SharedElementEncapsulation", "delConst", "elements", "getConst", "setConst"]


def __dir__() -> list[str]:
    """Return the public names, which tab completion shows."""
    return list(__all__)


def setConst(**kwargs: Any) -> None:
    """Set constants that every rank can read with `getConst`.

    Returns once they are set: a task submitted after that finds them, wherever it runs. Anything
    that can be sent to another rank can be a constant, also functions, lambdas and methods. A
    constant is a copy of what it was when it was set; nobody should change it.

    To set one again to the same value is no error, and does nothing. The same are values that are
    pickled to the same bytes; their ``==`` is not asked, as for arrays, say, it gives no answer.

    All numpy arrays in constants are read-only. Those in constants of 1 MiB and more are in each
    node's memory once, shared by its ranks.

    Args:
        kwargs: the constants by name.

    Raises:
        NotStartedProperly: the program was not started with ``-m scoop_mpi``.
        TypeError: a constant of that name exists already, set by whichever rank to another value;
            none is set then.
        SerializationError: a value can't be sent to other ranks.
    """
    hub = _hub()
    if kwargs:
        _set(hub, kwargs, None)


def _set(hub: Hub, constants: dict[str, Any], hold: Hold | None) -> None:
    values = {}
    for name, value in constants.items():
        try:
            values[name] = seal(value)
        except SerializationError as error:
            raise SerializationError(f"the constant {name}: {error}") from error
    waiter = hub.waiter()
    proposal = Proposal(waiter.notify, hold)
    hub.runtime.propose_constants(values, proposal)
    while not proposal.is_answered:
        hub.runtime.step()
        if not proposal.is_answered:
            waiter.wait(None)
    if proposal.refused is not None:
        name = proposal.refused
        raise TypeError(
            f"This constant already exists: {name}, with another value. To give it this one, "
            f"delete it first: shared.delConst({name!r})"
        )


def getConst(name: str, timeout: float | None = 0.1) -> Any:
    """Return the constant `name`, waiting for it if need be.

    A constant that was set before this task was submitted is always found, however long it takes
    to get here; one that was deleted before is not.

    Args:
        name: the name that `setConst` got.
        timeout: seconds to wait for one that nobody is known to have set; None or infinity: no
            limit.

    Returns:
        The constant, the same object for all tasks on this rank; None if there was none in time.
        Its numpy arrays are read-only, and other ranks may share their memory: make a ``copy`` to
        change one.

    Raises:
        NotStartedProperly: the program was not started with ``-m scoop_mpi``.
        SerializationError: the constant can't be unpickled on this rank.
        ValueError: `timeout` is nan.
    """
    check_timeout(timeout)
    hub = _hub()
    constants = hub.runtime.constants
    constant = constants.find(name)
    if constant is None:
        hub.runtime.step()
        constant = constants.find(name) or _wait_for(hub, name, timeout)
    return None if constant is None else constant.open()


def delConst(*names: str) -> None:
    """Delete constants on every rank, and free their memory.

    Returns once they are deleted: a task submitted after that doesn't find them, wherever it runs.
    The names can be used again. What a rank has got by `getConst` stays as it is.

    Args:
        names: of the constants.

    Raises:
        NotStartedProperly: the program was not started with ``-m scoop_mpi``.
        KeyError: there is no constant of that name; none is deleted then.
    """
    hub = _hub()
    constants = hub.runtime.constants
    _catch_up(hub)
    versions = {}
    for name in names:
        constant = constants.find(name)
        if constant is None:
            raise KeyError(name)
        versions[name] = constant.version
    _delete(hub, versions)


def _delete(hub: Hub, versions: Mapping[str, int]) -> None:
    """Have rank 0 remove these constants, unless it has; return once this rank knows of it."""
    constants = hub.runtime.constants
    hub.runtime.post(REGISTRAR_RANK, ConstantsDeleted(dict(versions)))
    hub.runtime.step()

    def is_held(name: str) -> bool:
        constant = constants.find_of_unique_name(name)
        return constant is not None and constant.version == versions[name]

    _wait_until(hub, lambda: not any(map(is_held, versions)), None)


def _wait_for(hub: Hub, name: str, timeout: float | None) -> Constant | None:
    constants = hub.runtime.constants
    _wait_until(hub, lambda: constants.find(name) is not None or not constants.is_behind, None)
    deadline = hub.time_limits.deadline(timeout)
    _wait_until(hub, lambda: constants.find(name) is not None, deadline)
    return constants.find(name)


def _catch_up(hub: Hub) -> None:
    """Wait for the constants that this rank has heard of."""
    _wait_until(hub, lambda: not hub.runtime.constants.is_behind, None)


def _wait_until(hub: Hub, is_true: Callable[[], bool], deadline: float | None) -> None:
    """Wait, while constants come and go, until something holds, or `deadline` is over."""
    if is_true():
        return
    constants = hub.runtime.constants
    waiter = hub.waiter()
    constants.on_change.append(waiter.notify)
    try:
        while not is_true() and waiter.wait(deadline):
            pass
    finally:
        constants.on_change.remove(waiter.notify)


def _hub() -> Hub:
    hub = running()
    if isinstance(hub.queue, ImportGuard):
        raise NotStartedProperly(f"shared: {UNGUARDED}")
    return hub


class SharedElementEncapsulation:
    """A function, method or other callable that is a constant, and thus sent to each rank once.

    An instance is small however much the callable refers to, and calling it calls the callable;
    so it can be handed to `futures.map` again and again. The callable's memory is freed on every
    rank some time after the last instance, and the last call that got one, are gone.

    Args:
        element: what to share: of a bound method that includes the object. Or the name of a
            callable constant that has been set: that stays until it is deleted.

    Raises:
        NotStartedProperly: the program was not started with ``-m scoop_mpi``.
        TypeError: `element` is not callable.
        KeyError: there is no constant of that name.
        SerializationError: `element` can't be sent to other ranks.
    """

    def __init__(self, element: Callable[..., Any] | str) -> None:
        hub = _hub()
        constants = hub.runtime.constants
        if isinstance(element, str):
            _catch_up(hub)
            if constants.find(element) is None:
                raise KeyError(element)
            self._shared: Hold | str = element
            return
        if not callable(element):
            raise TypeError(f"SharedElementEncapsulation() needs a callable, not {element!r}")
        name = constants.new_name(describe_callable(element))
        self._shared = hold = constants.holds.made(name)
        _set(hub, {name: _parts(element)}, hold)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the shared callable.

        Raises:
            LookupError: it has been deleted.
        """
        shared = self._shared
        if isinstance(shared, str):
            function = getConst(shared, timeout=0)
            if function is None:
                raise LookupError(f"the constant {shared} has been deleted")
            return function(*args, **kwargs)
        return _element(shared)(*args, **kwargs)

    def __repr__(self) -> str:
        name = self._shared if isinstance(self._shared, str) else self._shared.name
        return f"<SharedElementEncapsulation {name}>"


class _Method(NamedTuple):
    """A bound method as a constant: by name it may be another one, or none (``__private``)."""

    function: Callable[..., Any]
    instance: object


def _parts(element: Callable[..., Any]) -> Callable[..., Any] | _Method:
    if isinstance(element, MethodType):
        return _Method(element.__func__, element.__self__)
    return element


def _element(hold: Hold) -> Any:
    """Return the callable that `hold` is on.

    Raises:
        LookupError: the program has deleted it.
    """
    hub = _hub()
    constants = hub.runtime.constants
    name = hold.name
    constant = constants.find_of_unique_name(name)
    if constant is None:
        _wait_until(hub, lambda: constants.version >= hold.version, None)
        constant = constants.find_of_unique_name(name)
        if constant is None:
            raise LookupError(f"the shared element {name} has been deleted")
    value = constant.open()
    return MethodType(*value) if type(value) is _Method else value


class _Elements(Mapping[RankInfo, MutableMapping[str, Any]]):
    """All constants that there are, by the rank that has set them, and by name.

    A rank is told as `scoop_mpi.worker` does, or by its number. ``del`` of a name deletes that
    constant, as `delConst` does.
    """

    def __getitem__(self, worker: RankInfo | int) -> _ElementsOfRank:
        hub = _hub()
        _catch_up(hub)
        rank = worker if isinstance(worker, int) else worker[0]
        found = {
            name: constant
            for name, constant in hub.runtime.constants.held()
            if constant.origin == rank
        }
        if not found:
            raise KeyError(worker)
        return _ElementsOfRank(hub, found)

    def __iter__(self) -> Iterator[RankInfo]:
        hub = _hub()
        _catch_up(hub)
        transport = hub.runtime.transport
        origins = {constant.origin for _, constant in hub.runtime.constants.held()}
        for rank in sorted(origins):
            yield RankInfo(rank, transport.host if rank == transport.rank else "")

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<shared.elements of {', '.join(map(repr, self))}>" if current.hub else "{}"


class _ElementsOfRank(MutableMapping[str, Any]):
    """The constants that one rank has set, as this rank held them a moment ago.

    They stay as they were: who looks whether there is one, and then deletes it, may find that
    another rank has done so meanwhile, which is just as well.
    """

    def __init__(self, hub: Hub, constants: dict[str, Constant]) -> None:
        self._hub = hub
        self._constants = constants

    def __getitem__(self, name: str) -> Any:
        return self._constants[name].open()

    def __setitem__(self, name: str, value: object) -> None:
        raise TypeError(f"a constant is set by setConst({name}=...)")

    def __delitem__(self, name: str) -> None:
        constant = self._constants.pop(name)
        _delete(self._hub, {name: constant.version})

    def clear(self) -> None:
        """Delete all of them."""
        versions = {name: constant.version for name, constant in self._constants.items()}
        self._constants.clear()
        _delete(self._hub, versions)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._constants))

    def __len__(self) -> int:
        return len(self._constants)

    def __repr__(self) -> str:
        return f"<constants {', '.join(self._constants)}>"


elements = _Elements()
