"""A long chain of tasks, each of which waits for the next: the factorial of 500.

    python -m scoop_mpi -n 4 examples/recursion.py [number]

There is nothing to gain here from several ranks, as only one task at a time has work. It shows that
tasks can be recursive as functions can, here with 500 of them waiting at the same time.
"""

import math
import sys

from scoop_mpi import futures


def factorial(number):
    if number == 0:
        return 1
    # submit() starts one call and returns at once, with a future. result() waits for its result.
    return number * futures.submit(factorial, number - 1).result()


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    result = factorial(number)

    print(f"{number}! has {len(str(result))} digits")
    if result != math.factorial(number):
        raise SystemExit("and they are wrong")
