"""Callbacks: a function that is called as soon as a task is done, here to show progress.

    python -m scoop_mpi -n 4 examples/callbacks.py

A callback gets the future. It runs where the task was submitted, here on rank 0 while that waits,
so that it can use the program's own variables.
"""

from scoop_mpi import futures

TASKS = 20


def count_primes(limit):
    """Count the primes below the limit, the slow way."""
    return sum(all(n % divisor for divisor in range(2, int(n**0.5) + 1)) for n in range(2, limit))


if __name__ == "__main__":
    done = []

    def show_progress(future):
        done.append(future)
        if len(done) % 5 == 0:
            print(f"{len(done)} of {TASKS} done")

    limits = [1000 * (number + 1) for number in range(TASKS)]
    tasks = [futures.submit(count_primes, limit) for limit in limits]
    for task in tasks:
        task.add_done_callback(show_progress)
    counts = [task.result() for task in tasks]

    print(f"primes below {limits[-1]}: {counts[-1]}")
    if len(done) != TASKS or set(done) != set(tasks):
        raise SystemExit("not every callback was called once")
    if counts[-1] != 2262:
        raise SystemExit("there are 2262")
