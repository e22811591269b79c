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
