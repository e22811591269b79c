"""What Python keeps for each thread or context belongs to a task, whoever shares its thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 60.0

CONTEXTS = """
    import contextvars, decimal, time
    from scoop_mpi import futures

    decimal.getcontext().prec = 50
    VAR = contextvars.ContextVar("VAR", default="nothing")
    VAR.set("import")

    def look(_):
        time.sleep(0.001)
        return len(str(decimal.Decimal(1) / 3)), VAR.get()

    def change(_):
        VAR.set("task")
        decimal.setcontext(decimal.Context(prec=5))
        return 1

    def look_below(_):
        return sorted(set(futures.map(look, range(4))))

"""

LOOPS = """
    import asyncio
    from scoop_mpi import futures

    async def later(x):
        await asyncio.sleep(0.001)
        return x

    def run_loop(x):
        return asyncio.run(later(x))

    def wait_and_run_loop(x):
        assert sum(futures.map(run_loop, range(3))) == 3
        return asyncio.run(later(x))

    async def wait_within(x):
        loop = asyncio.get_running_loop()
        assert list(futures.map(run_loop, range(4))) == [0, 1, 2, 3]
        assert list(futures.map_as_completed(run_loop, [5])) == [5]
        assert futures.mapReduce(run_loop, max, range(4)) == 3
        for future in futures.as_completed([futures.submit(run_loop, n) for n in range(3)]):
            future.result()
        assert asyncio.get_running_loop() is loop
        return await later(x)

    def wait_in_loop(x):
        return asyncio.run(wait_within(x))

"""


@on_ranks(1, 2, 3)
@pytest.mark.parametrize(
    "use",
    [
        "found = list(futures.map(look, range(40)))",
        "found = [f.result() for f in [futures.submit(look, n) for n in range(40)]]",
        "found = list(futures.map_as_completed(look, range(40)))",
        "found = sum(futures.map(look_below, range(12)), [])",
    ],
    ids=["map", "submit", "map_as_completed", "nested"],
)
def test_tasks_see_the_context_variables_of_the_import(
    use: str, ranks: int, write_program: WriteProgram
) -> None:
    main = f"""
    if __name__ == "__main__":
        {use}
        print(sorted(set(found)))
    """
    run = launch(write_program(CONTEXTS + main), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "[(52, 'import')]\n"


@on_ranks(1, 2)
def test_tasks_of_the_root_see_what_the_program_has_set_since(
    ranks: int, write_program: WriteProgram
) -> None:
    main = """
    if __name__ == "__main__":
        VAR.set("main")
        found = set(futures.map(look, range(60)))
        found |= {f.result() for f in [futures.submit(look, n) for n in range(60)]}
        assert found <= {(52, "main"), (52, "import")}, found
        assert (52, "main") in found
    """
    launch(write_program(CONTEXTS + main), ranks=ranks, timeout=LIMIT).check()


@on_ranks(1, 2)
def test_what_a_map_sets_does_not_reach_the_program(
    ranks: int, write_program: WriteProgram
) -> None:
    main = """
    if __name__ == "__main__":
        assert sum(futures.map(change, range(50))) == 50
        assert futures.mapReduce(change, max, range(50)) == 1
        print(VAR.get(), decimal.getcontext().prec)
    """
    run = launch(write_program(CONTEXTS + main), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "import 50\n"


COUNTS = """
    import contextvars, operator, time
    from scoop_mpi import MPIPoolExecutor, futures

    COUNT = contextvars.ContextVar("COUNT", default=0)
    COUNT.set(10)

    def count(_=None, pause=0.0):
        COUNT.set(COUNT.get() + 1)
        time.sleep(pause)
        return COUNT.get()

    def count_pairs(_, __):
        return count()

    def count_below(_):
        count()
        below = {futures.submit(count).result(), *futures.map(count, range(3))}
        assert COUNT.get() == 11 and below <= {11, 12}, (COUNT.get(), below)
        return COUNT.get()

    def count_and_combine(left, right):
        count()
        return max(left, right)

    def start(step):
        COUNT.set(COUNT.get() + step)

    class Odd:
        "Such as an array: what it is compared to gives no truth value."

        def __init__(self, number):
            self.number = number

        def __eq__(self, other):
            raise IndexError("these can't be compared")

    ODD = contextvars.ContextVar("ODD")
    ODD.set(Odd(10))

    def count_odd(_):
        ODD.set(Odd(ODD.get().number + 1))
        return ODD.get().number

    def fail_on_odd(x):
        count()
        if x % 2:
            raise KeyError(x)
        return COUNT.get()

"""


@on_ranks(1, 2, 3)
@pytest.mark.parametrize(
    "use",
    [
        "list(futures.map(count, range(100)))",
        "list(futures.map(count_pairs, range(100), range(100)))",
        "list(futures.map(count, range(30), [0.001] * 30))",
        "list(futures.map_as_completed(count, range(100)))",
        "[futures.submit(count).result() for _ in range(20)]",
        "[futures.submit(count, None, 0.0).result() for _ in range(20)]",
        "[f.result() for f in [futures.submit(count, n, 0.001) for n in range(40)]]",
        "[futures.submit(count).result(timeout=30) for _ in range(20)]",
        "list(futures.map(count_below, range(20)))",
        "[futures.mapReduce(count, count_and_combine, range(50))]",
        "[futures.mapReduce(count_pairs, count_and_combine, range(50), range(50))]",
        "list(futures.map(count_odd, range(100)))",
        "[f.result() for f in [futures.submit(fail_on_odd, n) for n in range(40)]"
        " if f.exception() is None]",
    ],
)
def test_what_a_call_sets_is_its_own(use: str, ranks: int, write_program: WriteProgram) -> None:
    main = f"""
    if __name__ == "__main__":
        found = {use}
        print(sorted(set(found)), COUNT.get())
    """
    run = launch(write_program(COUNTS + main), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "[11] 10\n"


@on_ranks(1, 2)
def test_what_a_callback_sets_is_its_own(ranks: int, write_program: WriteProgram) -> None:
    main = """
    if __name__ == "__main__":
        seen = []
        submitted = [futures.submit(count, n, 0.001) for n in range(10)]
        for future in submitted:
            future.add_done_callback(lambda future: seen.append(count()))
        futures.wait(submitted)
        print(sorted(set(seen)), len(seen), COUNT.get())
    """
    run = launch(write_program(COUNTS + main), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "[11] 10 10\n"


@on_ranks(1, 2, 3)
def test_a_call_has_the_context_of_when_it_was_submitted(
    ranks: int, write_program: WriteProgram
) -> None:
    main = """
    def submit_and_set(step):
        COUNT.set(100 + step)
        first = futures.submit(count)
        COUNT.set(200 + step)
        # Or as the rank that has stolen it sees them: a worker's import, the root's program.
        return first.result() in (101 + step, 11, 41)

    if __name__ == "__main__":
        COUNT.set(20)
        first, rest = futures.submit(count), futures.map(count, range(50))
        COUNT.set(30)
        assert {first.result(), *rest} <= {11, 21}
        second = futures.submit(count)
        COUNT.set(40)
        assert second.result() in (11, 31)
        assert all(futures.map(submit_and_set, range(20)))
        print(COUNT.get())
    """
    run = launch(write_program(COUNTS + main), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "40\n"


@on_ranks(2, 3, 4)
def test_calls_that_come_home_have_the_context_that_each_was_submitted_in(
    ranks: int, write_program: WriteProgram
) -> None:
    main = """
    if __name__ == "__main__":
        for _ in range(5):
            submitted = []
            for step in range(100, 400, 2):
                COUNT.set(step // 40)  # the same for some of them
                submitted.append((step // 40 + 1, futures.submit(count, None, 0.0003)))
            COUNT.set(1000)
            for expected, future in submitted:
                assert future.result() in (11, expected), (future.result(), expected)
        print(COUNT.get())
    """
    run = launch(write_program(COUNTS + main), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "1000\n"


@on_ranks(1, 2, 3)
def test_what_an_initializer_sets_holds_for_the_calls(
    ranks: int, write_program: WriteProgram
) -> None:
    main = """
    if __name__ == "__main__":
        with MPIPoolExecutor(initializer=start, initargs=(5,)) as executor:
            found = set(executor.map(count, range(60), [0.001] * 60))
            found |= {f.result() for f in [executor.submit(count) for n in range(20)]}
        print(found, COUNT.get())
    """
    run = launch(write_program(COUNTS + main), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "{16} 10\n"


@on_ranks(1, 2, 3)
@pytest.mark.parametrize(
    "use",
    [
        "print(list(futures.map(run_loop, range(20))) == list(range(20)))",
        "print(list(futures.map(wait_and_run_loop, range(12))) == list(range(12)))",
        "print(list(futures.map(wait_in_loop, range(12))) == list(range(12)))",
        "print(asyncio.run(wait_within(True)))",
    ],
    ids=["run in tasks", "wait, then run", "wait within", "wait within the program's"],
)
def test_each_task_has_its_own_event_loop(
    use: str, ranks: int, write_program: WriteProgram
) -> None:
    main = f"""
    if __name__ == "__main__":
        {use}
    """
    run = launch(write_program(LOOPS + main), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "True\n"
