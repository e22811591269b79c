"""Graphs of tasks on real ranks: futures as arguments, many of them, in threads, and strictly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 90.0


@on_ranks(1, 3)
@pytest.mark.parametrize("shape", ["chain", "fan", "fan out", "tree"])
def test_100000_futures(shape: str, ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import sys
        from scoop_mpi import futures

        COUNT = 100_000

        def add_one(x):
            return x + 1

        def add(x, y):
            return x + y

        def chain():
            last = 0
            for _ in range(COUNT):
                last = futures.submit(add_one, last)
            assert last.result() == COUNT

        def fan():
            leaves = [futures.submit(add_one, x) for x in range(COUNT)]
            assert futures.submit(sum, leaves).result() == COUNT * (COUNT + 1) // 2

        def fan_out():
            first = futures.submit(add_one, 1)
            leaves = [futures.submit(add, first, x) for x in range(COUNT)]
            assert [leaf.result() for leaf in leaves] == list(range(2, COUNT + 2))

        def tree():
            level = [futures.submit(add_one, x) for x in range(COUNT)]
            while len(level) > 1:
                if len(level) % 2:
                    level.append(0)
                level = [futures.submit(add, *level[i : i + 2]) for i in range(0, len(level), 2)]
            assert level[0].result() == COUNT * (COUNT + 1) // 2

        if __name__ == "__main__":
            {"chain": chain, "fan": fan, "fan out": fan_out, "tree": tree}[sys.argv[1]]()
            print("right")
    """)
    run = launch(program, shape, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "right\n"


MIXED = """
    import threading, time
    import numpy as np
    from scoop_mpi import futures

    def load(number):
        time.sleep(0.002)
        return np.full(20_000, float(number))

    def scale(array, factor):
        return array * factor

    def total(parts, *, extra=0):
        return float(sum(part.sum() for part in parts)) + extra

    def expected(numbers, extra=0):
        return float(sum(2.0 * number for number in numbers)) * 20_000 + extra

    def of_graph(numbers, extra=0):
        parts = [futures.submit(scale, futures.submit(load, number), 2) for number in numbers]
        return futures.submit(total, parts, extra=extra)

    def fail(number):
        raise ValueError(number)

    def within_task(number):
        return of_graph(range(number))

    def in_threads():
        found = {}

        def work(number):
            found[number] = of_graph(range(number)).result()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {number: expected(range(number)) for number in range(6)}, found

    if __name__ == "__main__":
        assert of_graph(range(20), extra=3).result() == expected(range(20), 3)
        graphs = [of_graph(range(number)) for number in range(8)]
        for future in futures.as_completed(graphs):
            assert future.result() == expected(range(graphs.index(future)))
        assert list(futures.map(within_task, range(8))) == [expected(range(n)) for n in range(8)]
        assert sorted(futures.map_as_completed(within_task, range(4))) == [
            expected(range(n)) for n in range(4)
        ]
        loaded = [futures.submit(load, number) for number in range(10)]
        for doubled, number in zip(futures.map(scale, loaded, [2] * 10), range(10)):
            assert (doubled == 2.0 * number).all()
        for _ in range(20):  # threads make each other's calls ready
            in_threads()
        bad = futures.submit(total, [futures.submit(load, 1), futures.submit(fail, 2)])
        error = futures.submit(total, [bad]).exception()
        assert isinstance(error, futures.DependencyError), error
        assert isinstance(error.__cause__, ValueError), error.__cause__
        print("right")
"""


@on_ranks(1, 2, 3, 4)
@pytest.mark.parametrize("options", [(), ("--strict",)], ids=["plain", "strict"])
def test_graphs_of_all_kinds(
    options: tuple[str, ...], ranks: int, write_program: WriteProgram
) -> None:
    run = launch(*options, write_program(MIXED), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "right\n"


@on_ranks(2)
def test_a_future_in_another_place_is_an_error(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        from scoop_mpi import futures

        class Box:
            def __init__(self, future):
                self.future = future

        def use(box):
            return box.future.result()

        def nothing():
            return None

        if __name__ == "__main__":
            future = futures.submit(nothing)
            later = futures.submit(use, Box(future))
            while not later.done():
                pass
            print(later.exception())
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert "a future can't be sent to another rank. Where it is an argument itself" in run.stdout


@on_ranks(1, 2)
def test_a_job_with_a_graph_left_over_ends(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures

        def slow(x):
            time.sleep(0.2)
            return x

        if __name__ == "__main__":
            last = futures.submit(slow, 0)
            for _ in range(1000):
                last = futures.submit(slow, last)
            futures.wait([last], timeout=0.5)
            print("right")
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "right\n"
