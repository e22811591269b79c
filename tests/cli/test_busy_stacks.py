"""Calls that come to a rank whose main thread finds all its work on its own stack.

Its hub then begins none of them. Whoever else waits or polls there has to.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

# Each task goes on with calls of its own for as long as threads of it wait for others, which may
# have gone to a rank with just such a task.
BUSY = """
    import sys, threading, time
    from scoop_mpi import futures

    def leaf(n):
        return n

    def results(count):
        return [future.result() for future in [futures.submit(leaf, n) for n in range(count)]]

    def over_map(count):
        return list(futures.map(leaf, range(count)))

    def as_completed(count):
        made = [futures.submit(leaf, n) for n in range(count)]
        return sorted(future.result() for future in futures.as_completed(made))

    def polled(count):
        made = [futures.submit(leaf, n) for n in range(count)]
        while not all([future.done() for future in made]):
            pass
        return [future.result() for future in made]

    def nested(count):
        return [futures.submit(over_map, n).result()[-1] for n in range(1, count + 1)]

    WAYS = [results, over_map, as_completed, polled, nested]
    WAY = sys.argv[1]

    def go_on(number):
        if number % 3 == 0:
            futures.submit(leaf, 1).result()
        elif number % 3 == 1:
            futures.submit(leaf, 1).done()
        else:
            list(futures.map(leaf, range(5)))

    def task(number):
        found = [None] * 3

        def work(place):
            count = (number * 7 + place * 3) % 12
            way = WAYS[(number + place) % len(WAYS)] if WAY == "all" else globals()[WAY]
            found[place] = way(count) == list(range(count))

        threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            go_on(number)
        return all(found)

    if __name__ == "__main__":
        start = time.monotonic()
        for first in range(0, 400, 8):
            assert all(futures.map(task, range(first, first + 8))), first
            if time.monotonic() - start > 5:  # so that a slow machine makes fewer
                break
        print("right")
"""


@on_ranks(2)
@pytest.mark.parametrize("way", ["results", "over_map", "as_completed", "polled", "nested"])
def test_threads_of_busy_tasks(way: str, ranks: int, write_program: WriteProgram) -> None:
    run = launch(write_program(BUSY), way, ranks=ranks, timeout=120).check()
    assert run.stdout == "right\n"


@on_ranks(3)
def test_threads_of_all_kinds(ranks: int, write_program: WriteProgram) -> None:
    run = launch(write_program(BUSY), "all", ranks=ranks, timeout=120).check()
    assert run.stdout == "right\n"


@on_ranks(2, 3)
def test_tasks_that_poll_and_go_on(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures

        def leaf(n):
            return n

        def task(number):
            made = [futures.submit(leaf, n) for n in range(number % 5 + 2)]
            while not all([future.done() for future in made]):
                if number % 2:
                    futures.submit(leaf, 1).done()
                else:
                    futures.submit(leaf, 1).result()
            return [future.result() for future in made] == list(range(number % 5 + 2))

        if __name__ == "__main__":
            start = time.monotonic()
            for first in range(0, 400, 8):
                assert all(futures.map(task, range(first, first + 8))), first
                if time.monotonic() - start > 5:
                    break
            print("right")
    """)
    assert launch(program, ranks=ranks, timeout=120).check().stdout == "right\n"


# What the root's program goes on with, by itself.
ON_AND_ON = {
    "map": "list(futures.map(leaf, range(10)))",
    "submit": "futures.submit(leaf, 1).result()",
    "submits": "[future.result() for future in calls(10)]",
    "nested": "fib(8)",
    "as completed": "list(futures.as_completed(calls(5)))",
    "waits": "futures.wait(calls(5))",
    "reduction": "futures.mapReduce(leaf, max, range(10))",
    "map as completed": "list(futures.map_as_completed(leaf, range(5)))",
    "with a time limit": "list(futures.map(leaf, range(9))), futures.wait(calls(2), 9)",
}


@pytest.mark.parametrize("way", ON_AND_ON)
def test_a_program_that_goes_on_by_itself(way: str, write_program: WriteProgram) -> None:
    """The other rank takes none of its calls: it must be ready soon, each time.

    But the root has taken some of the calls for which a thread waits there.
    """
    program = write_program(f"""
        import threading, time
        from scoop_mpi import futures, shared

        def leaf(n):
            return n

        def pause(n):
            time.sleep(0.002)
            return n

        def fib(n):
            if n < 2:
                return n
            a, b = futures.submit(fib, n - 1), futures.submit(fib, n - 2)
            return a.result() + b.result()

        def calls(count):
            return [futures.submit(leaf, n) for n in range(count)]

        def with_thread(number):
            found = []
            thread = threading.Thread(
                target=lambda: found.append(sum(futures.map(pause, range(30))))
            )
            thread.start()
            while thread.is_alive():
                shared.getConst("never set", timeout=0.005)
            done.append(number)
            return found[0]

        done = []

        if __name__ == "__main__":
            waiting = [futures.submit(with_thread, number) for number in range(3)]
            for future in waiting:
                future.add_done_callback(done.append)
            time.sleep(0.2)
            while len([each for each in done if each in waiting]) < 3:
                {ON_AND_ON[way]}
            print([future.result() for future in waiting])
    """)
    run = launch("--root", "works", program, ranks=2).check()
    assert run.stdout == "[435, 435, 435]\n"
