"""The functions that are the tasks. Every contestant runs these same ones."""

from __future__ import annotations

import itertools
import os
import random
import time
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def noop(item: T) -> T:
    """Return the argument: a task that is nothing but its overhead."""
    return item


def process_id(item: object) -> int:
    """Return where this ran, which tells whether a task has travelled."""
    return os.getpid()


def busy(iterations: int) -> int:
    """Compute in plain Python, which holds the GIL, for so many steps of a random generator.

    All its numbers are small ones, of which Python has each once. The same steps with numbers that
    are made and dropped take up to a tenth longer in one place than in another, depending on where
    in memory they come to lie.
    """
    state = 1
    for _ in itertools.repeat(None, iterations):
        state = (state * 5 + 3) & 31
    return state


def timed_busy(iterations: int) -> tuple[int, float]:
    """Compute as `busy` does; return what it returns, and the seconds that it took where it ran."""
    begin = time.perf_counter()
    state = busy(iterations)
    return state, time.perf_counter() - begin


def fib(n: int) -> int:
    """Return the n-th Fibonacci number by the plain recursion."""
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


def received(array: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Return an array's size, its last byte and the process that has received it."""
    return array.nbytes, int(array[-1]), os.getpid()


def new_array(size: int) -> NDArray[np.uint8]:
    """Return `size` bytes, all of them written to."""
    return np.full(size, 7, np.uint8)


def new_array_from(size: int) -> tuple[int, NDArray[np.uint8]]:
    """Return the process that this runs in, and a new array of `size` bytes."""
    return os.getpid(), new_array(size)


def slept(seconds: float) -> int:
    """Sleep, and return where."""
    time.sleep(seconds)
    return os.getpid()


def uneven_lengths(count: int, shortest: float, longest: float) -> list[float]:
    """Return evenly spread lengths of tasks in a random order, the same at each call.

    Args:
        count: how many.
        shortest: in seconds.
        longest: in seconds.
    """
    step = (longest - shortest) / (count - 1)
    lengths = [shortest + step * index for index in range(count)]
    random.Random(20).shuffle(lengths)
    return lengths
