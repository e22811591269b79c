"""The fabric: a transport within one process, which needs no MPI.

It joins any number of ranks. Tests give it a seeded source of randomness, with which it picks the
order of deliveries, lets large messages be overtaken, and keeps some sends pending until they are
taken.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from scoop_mpi.transport.frames import Frames, bytes_of

LARGE_BYTES = 4096  # from here on a message may be overtaken, as by MPI's rendezvous protocol


class Fabric:
    """Joins `size` ranks in one process.

    Args:
        size: the number of ranks.
        rng: decides the order of deliveries; None: first come, first served.
        ranks_per_node: of how many ranks in a row a node consists.
    """

    def __init__(
        self, size: int, rng: random.Random | None = None, ranks_per_node: int = 1
    ) -> None:
        self._rng = rng
        self._numbers = itertools.count()
        # For each receiver, by sender: what is under way.
        self._links: list[list[deque[_Letter]]] = [
            [deque() for _ in range(size)] for _ in range(size)
        ]
        self._facts: list[Any] = [None] * size
        self._meeting = threading.Barrier(size)
        leaders = [rank - rank % ranks_per_node for rank in range(size)]
        self.endpoints = [Endpoint(self, rank, leaders) for rank in range(size)]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is under way."""
        return not any(any(links) for links in self._links)

    def has_mail(self, destination: int) -> bool:
        """Say whether anything is under way to `destination`."""
        return any(self._links[destination])

    def meet(self, rank: int, fact: Any) -> list[Any]:
        """Return what each rank has given, once all have: each in a thread of its own."""
        self._facts[rank] = fact
        self._meeting.wait()
        facts = list(self._facts)
        self._meeting.wait()
        return facts

    def put(self, source: int, destination: int, letter: _Letter) -> None:
        """Send `letter` on its way."""
        letter.number = next(self._numbers)
        self._links[destination][source].append(letter)

    def take(self, destination: int) -> tuple[int, _Letter] | None:
        """Deliver one message to `destination`, if there is any."""
        links = self._links[destination]
        sources = [source for source, queue in enumerate(links) if queue]
        if not sources:
            return None
        if self._rng is None:
            source = min(sources, key=lambda sender: links[sender][0].number)
            return source, links[source].popleft()
        source = self._rng.choice(sources)
        queue = links[source]
        place = 0
        while place + 1 < len(queue) and queue[place].is_large and self._rng.random() < 0.5:
            place += 1
        letter = queue[place]
        del queue[place]
        return source, letter


class _Letter:
    """A message under way. A large one is copied only when it is taken, as MPI would."""

    __slots__ = ("frames", "is_large", "number", "was_taken")

    def __init__(self, frames: Frames) -> None:
        views = [bytes_of(frame) for frame in frames]
        self.is_large = len(views) > 1 or views[0].nbytes >= LARGE_BYTES
        self.frames: Frames = views if self.is_large else [bytes(views[0])]
        self.was_taken = not self.is_large
        self.number = 0  # in the order of sending


class Endpoint:
    """One rank's end of a `Fabric`: a `Transport`."""

    ranks_per_core = 1.0
    hashes_agree = True
    is_thread_safe = True

    def __init__(self, fabric: Fabric, rank: int, leaders: Sequence[int]) -> None:
        self.rank = rank
        self.size = len(leaders)
        self.leaders = leaders
        self.host = "localhost"
        self._fabric = fabric
        self._pending: list[_Letter] = []

    def barrier(self) -> None:
        """See `Transport`."""
        self._fabric.meet(self.rank, None)

    def gather(self, fact: object) -> list[Any]:
        """See `Transport`."""
        facts = self._fabric.meet(self.rank, fact)
        return [] if self.rank else facts

    def share(self, thing: Any) -> Any:
        """See `Transport`."""
        return self._fabric.meet(self.rank, thing)[0]

    def send(self, destination: int, frames: Frames) -> None:
        """See `Transport`."""
        letter = _Letter(frames)
        if letter.is_large:
            self._pending.append(letter)
        self._fabric.put(self.rank, destination, letter)

    @property
    def has_mail(self) -> bool:
        """Whether anything is under way to this rank."""
        return self._fabric.has_mail(self.rank)

    def receive(self) -> tuple[int, Frames] | None:
        """See `Transport`."""
        taken = self._fabric.take(self.rank)
        if taken is None:
            return None
        source, letter = taken
        if letter.is_large:
            letter.frames = [bytearray(frame) for frame in letter.frames]
            letter.was_taken = True
        return source, letter.frames

    @property
    def is_sending(self) -> bool:
        """See `Transport`."""
        return bool(self._pending)

    @property
    def is_receiving(self) -> bool:
        """See `Transport`. What comes, comes whole."""
        return False

    @property
    def bytes_pending(self) -> int:
        """See `Transport`."""
        return sum(bytes_of(frame).nbytes for letter in self._pending for frame in letter.frames)

    def progress(self) -> None:
        """See `Transport`."""
        self._pending = [letter for letter in self._pending if not letter.was_taken]

    def abort(self, status: int) -> None:
        """End this process, which is the whole job."""
        raise SystemExit(status)
