"""Results as they come: map_as_completed gives each as soon as its task is done.

    python -m scoop_mpi -n 4 examples/map_as_completed.py

Good for showing progress, and for stopping early. The order is not known before, so a task returns
what its result belongs to as well.
"""

import random
import time

from scoop_mpi import futures


def simulate(number):
    """Stands for a computation whose length nobody knows beforehand."""
    duration = random.Random(number).uniform(0.0, 0.1)
    time.sleep(duration)
    return number, duration


if __name__ == "__main__":
    began = time.perf_counter()
    results = {}
    for number, duration in futures.map_as_completed(simulate, range(16)):
        elapsed = time.perf_counter() - began
        print(f"{elapsed:.3f} s: task {number} is done, it took {duration:.3f} s")
        results[number] = duration

    print(f"{sum(results.values()):.3f} s of tasks in {time.perf_counter() - began:.3f} s")
    if sorted(results) != list(range(16)):
        raise SystemExit("not every task gave one result")
