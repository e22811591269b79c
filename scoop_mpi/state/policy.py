"""Who gets how much: the few numbers that decide how work spreads, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice, zip_longest
from typing import Literal, TypeVar

T = TypeVar("T")
RootsPart = Literal["auto", "works", "serves"]

# Ranks that a victim sends work to itself. If there are more thieves, these share it with the
# others, so work spreads as a tree of this arity, and no victim is busy for long.
MOST_TEAMS = 32
# Thieves that one `StealFailed` hands back. It withdraws the victim's offer, so it must be a small
# message, which the next offer does not overtake.
MOST_HANDED_BACK = 512
# Futures that one message carries at the most: it takes about 10 ms to send so many.
FUTURES_PER_THIEF = 4096
# Calls that a rank seals ahead, where sealing takes code of the user's, for the time in which its
# own code runs. What thieves ask for beyond that waits until the program next calls scoop_mpi.
SEALED_AHEAD = 64
# A rank that works off a span gives nothing of it away once the rest takes it less than so many
# seconds by experience: to send half of that and to take it in would take both ranks longer.
WORTH_GIVING = 1e-3
# Experience does not hold if the next window is not over after so many seconds.
IN_HAND = 2e-3
# Tasks that the pump looks at, for some that it can give.
MOST_LOOKED_AT = 2 * SEALED_AHEAD
# Results wait on the rank that has them for so many seconds, times the number of ranks, as long as
# it has more to do of what they belong to. So if all ranks work for one owner, it gets no more than
# a message each 25 us, and can take them in.
RESULTS_INTERVAL = 25e-6
# The broker hears everybody who has something to say before it matches victims and thieves, but for
# no longer than so many seconds, times the number of ranks.
MATCHING_PATIENCE = 5e-6
# From so many ranks on the root runs no tasks: it would keep thieves waiting while it does.
ROOT_SERVES_FROM = 512
# Tasks that a rank may have suspended and still ask for others' work.
MOST_SUSPENDED = 256
# Seconds within which a task ends for which it isn't worth while to ask ahead.
BRISK = 20e-6
# Seconds within which a call ends that holds nobody up who waits for another.
SHORT = 10e-3
# Bytes of results and arguments that may wait to be sent while new tasks are begun.
MOST_BYTES_PENDING = 64 << 20


def teams(thieves: Sequence[T]) -> list[Sequence[T]]:
    """Group thieves, or what each of them gets, by whom the victim sends it to.

    The first of each team is sent the work of all of it, to share it on. They are dealt to the
    teams in turn. So where there is not enough for all, and the last ones get nothing, each team
    gets its part nevertheless.
    """
    return [thieves[number::MOST_TEAMS] for number in range(min(MOST_TEAMS, len(thieves)))]


def only_serves(rank: int, size: int, root: RootsPart = "auto") -> bool:
    """Say whether a rank of a job of `size` ranks is to run no tasks.

    Among many ranks the root has its hands full, as broker and as owner of most results.

    Args:
        rank: the rank.
        size: the number of ranks.
        root: what the root is to do: "works", it runs tasks too; "serves", it does not, if there
            are others; "auto", it depends on their number.
    """
    if rank != 0 or root == "works":
        return False
    return size > 1 if root == "serves" else size >= ROOT_SERVES_FROM


def shares(calls: int, thieves: int, keep: int, takes_part: bool = True) -> list[int]:
    """Split the calls of a span between the victim and its thieves.

    Args:
        calls: how many there are.
        thieves: how many ranks want some.
        keep: how many the victim must be left with, at least.
        takes_part: whether the victim gets a share as well.

    Returns:
        The number of calls for each thief: as nearly the same as the victim's own as can be, and
        nothing for the last ones if there are too few.
    """
    own = max(calls // (thieves + 1) if takes_part else 0, keep)
    rest = max(calls - own, 0)
    each, more = divmod(rest, thieves)
    return [each + (number < more) for number in range(thieves)]


def deal(tasks: Sequence[T], thieves: int, keep: int, takes_part: bool = True) -> list[list[T]]:
    """Split single tasks, oldest first, between the victim and its thieves.

    They are dealt out one by one, as cards are. So it comes out even both where all are alike
    and where each is a fraction of the one before, as in a recursion's tree.

    Args:
        tasks: the tasks, oldest first.
        thieves: how many ranks want some.
        keep: how many the victim must be left with, at least.
        takes_part: whether the victim gets a hand as well.
    """
    free = tasks[: max(len(tasks) - keep, 0)]
    hands = thieves + takes_part
    if keep and len(tasks) <= hands:
        hands = thieves  # what is kept is the victim's share
    if len(free) < hands:
        hands = max(len(free), 1)  # the last ones get nothing, before the victim gets two
    dealt = [list(free[number::hands][:FUTURES_PER_THIEF]) for number in range(thieves)]
    return dealt[:hands] + [[] for _ in dealt[hands:]]


def merged(hands: Sequence[Sequence[T]]) -> list[T]:
    """Put the hands of a team together, oldest first, as far as one message carries them."""
    if len(hands) == 1:
        return list(hands[0])
    nothing = object()
    cards = chain.from_iterable(zip_longest(*hands, fillvalue=nothing))
    dealt = (card for card in cards if card is not nothing)
    return list(islice(dealt, FUTURES_PER_THIEF))  # type: ignore[arg-type]
