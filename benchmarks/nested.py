"""Tasks that use scoop_mpi themselves."""

from __future__ import annotations

import time

from scoop_mpi import futures, shared


def fib(n: int) -> int:
    """Return the n-th Fibonacci number, with a task for each call of the plain recursion."""
    if n < 2:
        return n
    left, right = futures.submit(fib, n - 1), futures.submit(fib, n - 2)
    total: int = left.result() + right.result()
    return total


def seconds_to_set_constants(prefix: str, count: int) -> list[float]:
    """Set constants, one each 5 ms; return how long each took.

    Args:
        prefix: what their names begin with. A constant can be set once only.
        count: how many.
    """
    seconds = []
    for index in range(count):
        begin = time.perf_counter()
        shared.setConst(**{f"{prefix}_{index}": index})
        seconds.append(time.perf_counter() - begin)
        time.sleep(0.005)  # so that they spread over what else happens
    return seconds
