"""Who gets how much: the few numbers that decide how work spreads, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

# Thieves that one steal serves at the most. They offer their share on, so work spreads as a tree
# of this arity, and no victim is busy for long.
THIEVES_PER_STEAL = 32
# Futures that one thief gets at the most: it takes about 10 ms to send so many.
FUTURES_PER_THIEF = 4096
# Tasks that a rank may have suspended and still ask for others' work.
MOST_SUSPENDED = 256


def shares(calls: int, thieves: int, keep: int) -> list[int]:
    """Split the calls of a span between the victim and its thieves.

    Args:
        calls: how many there are.
        thieves: how many ranks want some.
        keep: how many the victim must be left with, at least.

    Returns:
        The number of calls for each thief: as nearly the same as the victim's own as can be, and
        nothing for the last ones if there are too few.
    """
    if thieves == 1:
        return [min((calls + 1) // 2, max(calls - keep, 0))]
    own = max(calls // (thieves + 1), keep)
    rest = max(calls - own, 0)
    each, more = divmod(rest, thieves)
    return [each + (number < more) for number in range(thieves)]


def deal(tasks: Sequence[T], thieves: int, keep: int) -> list[list[T]]:
    """Split single tasks, oldest first, between the victim and its thieves.

    They are dealt out one by one, as cards are. So it comes out even both where all are alike
    and where each is a fraction of the one before, as in a recursion's tree.

    Args:
        tasks: the tasks, oldest first.
        thieves: how many ranks want some.
        keep: how many the victim must be left with, at least.
    """
    free = tasks[: max(len(tasks) - keep, 0)]
    hands = thieves + 1
    if keep and len(tasks) <= hands:
        hands = thieves  # what is kept is the victim's share
    if len(free) < hands:
        hands = max(len(free), 1)  # the last ones get nothing, before the victim gets two
    dealt = [list(free[number::hands][:FUTURES_PER_THIEF]) for number in range(thieves)]
    return dealt[:hands] + [[] for _ in dealt[hands:]]
