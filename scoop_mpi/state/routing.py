"""Routing: which state machine takes which message.

Each message has exactly one home on a rank; a rank for which that isn't so does not start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scoop_mpi.errors import UnexpectedMessage
from scoop_mpi.wire.messages import BY_ROOT, KINDS, TO_ROOT, Message, Send

ROOT_RANK = 0
BROKER_RANK = ROOT_RANK
# Takes in a message of a rank; returns what to send.
Home = Callable[[int, Any], list[Send]]


def homes_of_all(rank: int, *homes: Mapping[type[Message], Home]) -> dict[type[Message], Home]:
    """Return what takes each kind of message on a rank.

    What this rank is never sent, or not by that one, is refused there: it raises UnexpectedMessage.

    Args:
        rank: this rank.
        homes: what each state machine takes.

    Raises:
        ValueError: a kind of message has no home, or two.
    """
    table: dict[type[Message], Home] = {}
    for part in homes:
        if twice := table.keys() & part.keys():
            raise ValueError(f"two homes for {_names(twice)}")
        table |= part
    if missing := set(KINDS) - table.keys():
        raise ValueError(f"no home for {_names(missing)}")
    for kind in BY_ROOT:
        table[kind] = _from_root_alone(rank, table[kind])
    if rank != ROOT_RANK:
        for kind in TO_ROOT:
            table[kind] = _refuser(rank)
    return table


def _names(kinds: set[type[Message]]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))


def _from_root_alone(rank: int, home: Home) -> Home:
    def take(source: int, message: Message) -> list[Send]:
        if source != ROOT_RANK:
            raise UnexpectedMessage(rank, source, message, "rank 0 alone may say so")
        return home(source, message)

    return take


def _refuser(rank: int) -> Home:
    def refuse(source: int, message: Message) -> list[Send]:
        raise UnexpectedMessage(rank, source, message, "rank 0 alone may be told so")

    return refuse
