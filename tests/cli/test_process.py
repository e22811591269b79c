"""What a program may do to the process of a rank: fork it, and leave it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import Run, launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 60.0

FORKING = """
    import atexit, os, sys, time
    import scoop_mpi
    from scoop_mpi import futures, shared

    def status_of(child):
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def fork(x, ending):
        time.sleep(0.005)
        child = os.fork()
        if child == 0:
            print("child", end=" ")
            exec(ending)
            return x
        return status_of(child)

    def by_map(ending):
        return list(futures.map(fork, range(8), [ending] * 8))

    def by_map_of_tasks(ending):
        return [statuses[0] for statuses in futures.map(lambda _: by_map(ending), range(3))]

    def by_submit(ending):
        return [f.result() for f in [futures.submit(fork, x, ending) for x in range(8)]]

    def by_lone_calls(ending):
        found = []
        for x in range(8):
            future = futures.submit(fork, x, ending)
            while not future.done():
                pass
            found.append(future.result())
        return found

    def by_reduction(ending):
        return futures.mapReduce(lambda x: [fork(x, ending)], list.__add__, range(8))

    def in_the_program(ending):
        return [fork(x, ending) for x in range(2)]

    def in_a_thread(ending):
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(2) as pool:
            return [pool.submit(by_submit, ending).result() for _ in range(2)][0]
"""

WAYS = (
    "by_map",
    "by_map_of_tasks",
    "by_submit",
    "by_lone_calls",
    "by_reduction",
    "in_the_program",
    "in_a_thread",
)


def statuses(
    write_program: WriteProgram, way: str, ending: str, ranks: int
) -> tuple[set[int], Run]:
    """Fork in tasks, each child ending so; return the children's exit statuses."""
    program = write_program(
        FORKING
        + f"""
    if __name__ == "__main__":
        found = {way}({ending!r})
        assert sum(futures.map(abs, range(-100, 0))) == 5050
        print(f"statuses {{set(found)}}")
"""
    )
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    found = re.search(r"statuses (\{.*?\})", run.stdout)
    assert found, run
    return ast.literal_eval(found[1]), run


@on_ranks(2)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("ending", "status"), [("sys.exit(3)", 3), ("", 0)])
def test_a_forked_child_ends_when_it_leaves_the_task(
    ending: str, status: int, way: str, ranks: int, write_program: WriteProgram
) -> None:
    if way == "in_the_program" and not ending:
        pytest.skip("the child goes on in the program, as it should")
    found, run = statuses(write_program, way, ending, ranks)
    assert found == {status}
    assert run.stderr == ""
    assert "child" in run.stdout  # though it had not been flushed


@on_ranks(1)
@pytest.mark.parametrize(
    ("ending", "status", "text"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit('so be it')", 1, "so be it"),
        ("raise KeyError('on purpose')", 1, "KeyError: 'on purpose'"),
        ("os._exit(4)", 4, ""),
        ("atexit.register(os._exit, 5)", 5, ""),
        ("futures.submit(abs, -1)", 1, "this process was forked from a rank"),
    ],
)
def test_a_forked_child_ends_as_python_would(
    ending: str, status: int, text: str, ranks: int, write_program: WriteProgram
) -> None:
    for way in ("by_map", "by_submit"):
        found, run = statuses(write_program, way, ending, ranks)
        assert found == {status}
        assert text in run.stderr
        assert bool(text) == bool(run.stderr)
        assert ("child" in run.stdout) == ("_exit" not in ending)


@on_ranks(2)
@pytest.mark.parametrize(
    "call",
    [
        "futures.submit(abs, -1)",
        "futures.map(abs, [-1])",
        "futures.mapReduce(abs, max, [-1])",
        "futures.wait([before])",
        "before.result()",
        "before.done()",
        "next(results)",
        "shared.setConst(a=1)",
        "shared.getConst('a')",
    ],
)
def test_futures_in_a_forked_child_are_an_error(
    call: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(
        FORKING
        + f"""
    def work(x):
        time.sleep(0.02)
        return x

    if __name__ == "__main__":
        before = futures.submit(work, 1)
        results = futures.map(work, range(100))
        child = os.fork()
        if child == 0:
            {call}
        assert status_of(child) == 1
        assert list(results) == list(range(100))
        print(before.result())
"""
    )
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "1\n"
    assert run.stderr.count("this process was forked from a rank, and is none itself") == 1


@on_ranks(1, 2)
def test_a_child_that_is_forked_while_the_program_is_imported(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import os, sys
        from scoop_mpi import futures

        child = os.fork()
        if child == 0:
            sys.exit(6)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
        if __name__ == "__main__":
            print(sum(futures.map(abs, range(-10, 0))))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "55\n"
    assert run.stderr == ""


@on_ranks(1, 2)
def test_a_child_knows_which_rank_it_was_forked_from(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import multiprocessing, time
        import scoop_mpi
        from scoop_mpi import futures

        def tell(queue):
            queue.put((scoop_mpi.worker.rank, scoop_mpi.IS_ORIGIN, scoop_mpi.SIZE))

        def ask(x):
            time.sleep(0.01)
            context = multiprocessing.get_context("fork")
            queue = context.SimpleQueue()
            child = context.Process(target=tell, args=(queue,))
            child.start()
            child.join()
            rank = scoop_mpi.worker.rank
            assert queue.get() == (rank, rank == 0, scoop_mpi.SIZE)
            return child.exitcode

        if __name__ == "__main__":
            print(set(futures.map(ask, range(10))))
    """)
    assert launch(program, ranks=ranks, timeout=LIMIT).check().stdout == "{0}\n"


# ------------------------------------------------------------ os._exit


@on_ranks(2, 3)
@pytest.mark.parametrize("status", [0, 3, 256])
@pytest.mark.parametrize("who", ["a task", "the program", "an exit function"])
def test_a_rank_that_is_left_by_exit_ends_the_job_as_a_failure(
    who: str, status: int, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import atexit, os, time
        import scoop_mpi
        from scoop_mpi import futures

        def leave(x):
            time.sleep(0.02)
            if {who == "a task"} and not scoop_mpi.IS_ORIGIN:
                os._exit({status})

        if __name__ == "__main__":
            list(futures.map(leave, range(100)))
            if {who == "an exit function"}:
                atexit.register(os._exit, {status})
            else:
                os._exit({status})
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(status & 0xFF or 1)
    assert f"was left by os._exit({status}), in " in run.stderr
    assert ("in leave (" in run.stderr) == (who == "a task")


def test_a_rank_on_its_own_may_be_left_by_exit(write_program: WriteProgram) -> None:
    program = write_program("import os\nos._exit(3)")
    run = launch("-n", "1", program, ranks=None, timeout=LIMIT).check(3)
    assert run.stderr == ""


# ------------------------------------------------------------ no thread


@on_ranks(1, 3)
def test_a_rank_that_can_have_no_thread_ends_the_job(
    ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    write_program(
        """
        import os, threading

        if os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK")) == "0":
            def start(self):
                raise RuntimeError("can't start new thread")
            threading.Thread.start = start
        """,
        "site/sitecustomize.py",
    )
    program = write_program("print('ran')")
    run = launch(program, ranks=ranks, env={"PYTHONPATH": f"{Path.cwd()}:{folder}"}, timeout=LIMIT)
    run.check(2)
    assert "(ulimit -u)" in run.stderr
    assert "Traceback" not in run.stderr
