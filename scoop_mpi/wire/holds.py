"""Holds: which ranks refer to a constant that is to go when nobody does any more.

A `Hold` stands for the constant on one rank. Whatever refers to it there (see
`shared.SharedElementEncapsulation`) has that hold, and so have the payloads that name the
constant, by a `Keeper` among their buffers: as long as a payload lies in a queue, so does its
keeper. When the hold ends, nothing on the rank refers to the constant. A callback then posts so to
the rank itself, and does no more: an object can end anywhere.

Between ranks it is Piquer's indirect reference counting. Each rank knows its *parent*, from which
the first of what it has came, and how many *copies* it has itself sent:

    rank 0, the registrar      has a hold, or copies > 0; else it removes the constant everywhere
       ^  HoldReleased
    rank 3, parent of 5        has a hold, or copies > 0; else it tells its parent, and forgets
       ^  HoldReleased
    rank 5                     has a hold

A copy is counted where it is sent, before it leaves. Whoever gets one, and has a parent already,
returns it at once, by the same message that goes to the parent in the end. So whatever is held or
under way is counted by a rank that is counted itself, up to rank 0, and no message has to arrive
before another one. (If all told rank 0, the news that a rank has let go could overtake the news
that another one holds; each result would have to wait for an answer from there.)

What the program itself pickles, into a file or an MPI message of its own, is out of sight: the
rank that did so keeps the constant to the end of the job.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from scoop_mpi import current


class Hold:
    """One rank's hold on a constant: one object, however many have it.

    Args:
        name: the constant's.
        holds: this rank's; None outside a job.
        version: the version of the constants that brings it; 0: it has yet to be given one.
    """

    __slots__ = ("__weakref__", "_holds", "name", "version")

    def __init__(self, name: str, holds: Holds | None, version: int = 0) -> None:
        self.name = name
        self.version = version
        self._holds = holds

    def __repr__(self) -> str:
        return f"<Hold {self.name}>"

    def __copy__(self) -> Hold:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> Hold:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled by others than `serializer`: nobody can tell for how long that is kept."""
        if self._holds is not None:
            self._holds.pin(self.name)
        return self.in_payload()

    def in_payload(self) -> tuple[Any, ...]:
        """Return how it is restored from a payload, which a `Keeper` goes with."""
        return _restore, (self.name, self.version)

    def copied(self) -> tuple[Any, ...]:
        """Count a copy that is about to be sent; return how its keeper is restored there."""
        source = None
        if self._holds is not None:
            source = self._holds.copied(self.name)
        return _arrive, (self.name, self.version, source)


class Keeper:
    """Lies among the buffers of a payload that names a constant, and keeps that.

    It is pickled and unpickled with the message that the payload is a part of: once for each rank
    that this is sent to.
    """

    __slots__ = ("_hold",)

    def __init__(self, hold: Hold) -> None:
        self._hold = hold

    def __reduce__(self) -> tuple[Any, ...]:
        return self._hold.copied()


class Holds:
    """The holds of one rank.

    Args:
        rank: this rank.
        registrar: the rank that removes what nobody refers to.
        release: has a rank, which may be this one, told by the next step that a copy of a hold on
            this constant is no more. It is called at any time, also where an object ends.
    """

    def __init__(self, rank: int, registrar: int, release: Callable[[int, str], object]) -> None:
        self._rank = rank
        self._registrar = registrar
        self._release = release
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def made(self, name: str) -> Hold:
        """Return a hold on a constant that this rank is about to set."""
        entry = self._entries[name] = _Entry(parent=self._registrar)
        return self._renewed(name, entry, version=0)

    def published(self, name: str, origin: int) -> None:
        """The registrar has published what `origin` has set: it is the one copy of it."""
        if origin != self._rank:
            self._entries[name] = _Entry(parent=self._rank, copies=1)

    def pin(self, name: str) -> None:
        """Hold this constant for ever."""
        entry = self._entries.get(name)
        if entry is not None:
            entry.is_pinned = True

    def find(self, name: str, version: int) -> Hold:
        """Return this rank's hold: something here that refers to the constant is opened."""
        entry = self._entries.get(name)
        if entry is None:
            return Hold(name, None, version)  # pickled by the program itself
        return entry.find() or self._renewed(name, entry, version)

    def copied(self, name: str) -> int | None:
        """Count a copy on its way; return this rank, or None if nothing is counted."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        entry.copies += 1
        return self._rank

    def arrived(self, name: str, version: int, source: int | None) -> Keeper:
        """Return the keeper of a payload that has come from rank `source`."""
        entry = self._entries.get(name)
        if source is None:
            return Keeper(self.find(name, version))
        if entry is None:
            entry = self._entries[name] = _Entry(parent=source)
        elif source == self._rank:
            entry.copies -= 1  # a copy that never left (see `strict`)
        else:
            self._release(source, name)
        return Keeper(entry.find() or self._renewed(name, entry, version))

    def released(self, source: int, name: str) -> int | None:
        """Something ended: a copy that rank `source` had, or if that is this rank, what it held.

        Returns:
            The rank to be told that nothing is left here: the parent, or on the registrar this
            very rank; None if something is.
        """
        entry = self._entries.get(name)
        if entry is None:
            return None  # of several holds, one after the other, this was not the last
        if source != self._rank:
            entry.copies -= 1
        if entry.copies or entry.is_pinned or entry.find() is not None:
            return None
        del self._entries[name]
        return entry.parent

    def _renewed(self, name: str, entry: _Entry, version: int) -> Hold:
        hold = Hold(name, self, version)
        release, rank = self._release, self._rank
        entry.hold = weakref.ref(hold, lambda _: release(rank, name))
        return hold


class _Entry:
    """What a rank knows of one constant."""

    __slots__ = ("copies", "hold", "is_pinned", "parent")

    def __init__(self, parent: int, copies: int = 0) -> None:
        self.parent = parent  # the registrar's is itself
        self.copies = copies  # sent, and not returned
        self.is_pinned = False
        self.hold: weakref.ref[Hold] | None = None

    def find(self) -> Hold | None:
        return None if self.hold is None else self.hold()


def _restore(name: str, version: int) -> Hold:
    """Return the hold that an unpickled object has."""
    if current.hub is None:
        return Hold(name, None, version)
    return _holds_here().find(name, version)


def _arrive(name: str, version: int, source: int | None) -> Keeper:
    """Return the keeper of a payload that has arrived."""
    return _holds_here().arrived(name, version, source)


def _holds_here() -> Holds:
    holds: Holds = current.running_hub().holds
    return holds
