"""A task that starts tasks, as a user of scoop_mpi writes it."""

from __future__ import annotations

from scoop_mpi import futures


def fib(n: int) -> int:
    """Return the n-th Fibonacci number, with a task for each call of the plain recursion."""
    if n < 2:
        return n
    left, right = futures.submit(fib, n - 1), futures.submit(fib, n - 2)
    total: int = left.result() + right.result()
    return total
