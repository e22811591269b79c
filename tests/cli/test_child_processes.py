"""Processes that tasks start, of all kinds, on the root and on workers: they find the program.

Each job runs its task on a worker, which the root leaves it to, and on the root as well.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

# Seconds in which a job must have ended; one that hangs runs into it.
LIMIT = 60.0

PROGRAM = """
    import concurrent.futures
    import functools
    import multiprocessing
    import sys
    import time
    {import_futures}

    class Outer:
        class Inner:
            def __init__(self, value):
                self.value = value

        @staticmethod
        def double(x):
            return 2 * x

    class Failure(Exception):
        pass

    def make(value):
        return Outer.Inner(value)

    def square(x):
        return x * x

    def fail(x):
        raise Failure(x)

    def put(queue, x):
        queue.put((square(x), __name__))

    def use(executor):
        squares = list(executor.map(square, range(5)))
        doubles = list(executor.map(Outer.double, range(3)))
        inner = executor.submit(make, 3).result()
        try:
            executor.submit(fail, 1).result()
        except Failure as failure:
            failed = failure.args
        return squares, doubles, type(inner) is Outer.Inner, failed

    def task(kind):
        what, _, method = kind.partition(" ")
        context = multiprocessing.get_context(method or None)
        if what == "process":
            queue = context.Queue()
            process = context.Process(target=put, args=(queue, 7))
            process.start()
            found = queue.get(timeout=30)
            process.join()
            return found
        if what == "pool":
            with context.Pool(2) as pool:
                return pool.map(square, range(5)), pool.map(functools.partial(square), [3])
        if what == "executor":
            with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
                return use(executor)
        import loky

        def nested(x):
            return square(x) + 1

        with loky.ProcessPoolExecutor(2) as executor:
            return *use(executor), list(executor.map(nested, range(3)))

    if __name__ == "__main__":
        future = futures.submit(task, sys.argv[1])
        limit = time.monotonic() + 50
        while not future.done() and time.monotonic() < limit:
            time.sleep(0.01)  # another rank takes it
        elsewhere, here = future.result(), task(sys.argv[1])
        assert elsewhere == here or "process" in sys.argv[1], (elsewhere, here)
        print(elsewhere)
"""
USED = "([0, 1, 4, 9, 16], [0, 2, 4], True, (1,))\n"
KINDS = {
    "process spawn": "(49, '__mp_main__')\n",
    "process forkserver": "(49, '__mp_main__')\n",
    "process fork": "(49, '__mp_main__')\n",
    "pool spawn": "([0, 1, 4, 9, 16], [9])\n",
    "executor spawn": USED,
    "executor forkserver": USED,
    "loky": f"{USED[:-2]}, [1, 2, 5])\n",
}


def source(import_futures: str) -> str:
    return PROGRAM.replace("{import_futures}", import_futures)


@on_ranks(2)
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_a_task_starts(kind: str, ranks: int, write_program: WriteProgram) -> None:
    name = "scoop_mpi" if kind == "executor spawn" else "scoop"
    program = write_program(source(f"from {name} import futures"))
    run = launch(program, kind, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == KINDS[kind]
    assert "Traceback" not in run.stderr


@on_ranks(2)
@pytest.mark.parametrize("kind", ["executor spawn", "process forkserver", "loky"])
def test_processes_of_a_module_in_a_package(
    kind: str, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    (tmp_path / "package").mkdir()
    write_program("", "package/__init__.py")
    write_program(source("from scoop import futures"), "package/program.py")
    run = launch("-p", tmp_path, "-m", "package.program", kind, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == KINDS[kind]


@on_ranks(2)
@pytest.mark.parametrize("way", ["script", "code", "folder"])
def test_lokys_processes_know_each_kind_of_program(
    way: str, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    script = write_program(source("from scoop import futures"), "__main__.py")
    words: dict[str, list[str | Path]] = {
        "script": [script],
        "code": ["-c", script.read_text()],
        "folder": [tmp_path],
    }
    run = launch(*words[way], "loky", ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == KINDS["loky"]
