"""Exceptions: what a task raises is raised again where its result is asked for.

python -m scoop_mpi -n 4 examples/exceptions.py
"""

import traceback

from scoop_mpi import futures


def reciprocal(number):
    return 1 / number


if __name__ == "__main__":
    numbers = [-2, -1, 0, 1, 2]
    tasks = [futures.submit(reciprocal, number) for number in numbers]

    # One that fails doesn't disturb the others.
    failed = 0
    for number, task in zip(numbers, tasks, strict=True):
        try:
            print(f"1 / {number} = {task.result()}")
        except ZeroDivisionError as error:
            failed += 1
            print(f"1 / {number}: {error}")
            # The traceback tells where the task ran and what it was doing there.
            traceback.print_exception(error)
    if failed != 1:
        raise SystemExit(f"{failed} tasks failed, not 1")

    # exception() returns what result() would raise, or None.
    if [task.exception() is None for task in tasks] != [True, True, False, True, True]:
        raise SystemExit("exception() does not agree with result()")

    # map raises when the loop gets to the result in question.
    results = futures.map(reciprocal, numbers)
    before = [next(results), next(results)]
    try:
        next(results)
    except ZeroDivisionError:
        print("map:", *before, "and then the exception")
    else:
        raise SystemExit("map did not raise")
