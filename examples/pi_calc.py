"""Pi by throwing darts: the share of random points in a square that lie in the circle.

python -m scoop_mpi -n 4 examples/pi_calc.py [tries]
"""

import math
import random
import sys

from scoop_mpi import futures

TASKS = 256


def count_hits(seed, tries):
    """Throw that many darts at a unit square; count those within a radius of 1 of its corner."""
    # Each task has random numbers of its own. So the result is the same on any number of ranks.
    source = random.Random(seed)
    return sum(math.hypot(source.random(), source.random()) <= 1 for _ in range(tries))


def estimate_pi(tries):
    """Throw at least that many darts, as tasks. Return the estimate and its standard error."""
    tries_each = math.ceil(tries / TASKS)
    hits = sum(futures.map(count_hits, range(TASKS), [tries_each] * TASKS))
    thrown = tries_each * TASKS
    return 4 * hits / thrown, math.sqrt(math.pi * (4 - math.pi) / thrown)


if __name__ == "__main__":
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    pi, error = estimate_pi(tries)

    print(f"pi = {pi:.6f} +- {error:.6f}")
    if abs(pi - math.pi) > 5 * error:
        raise SystemExit(f"that is too far from {math.pi}")
