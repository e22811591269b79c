"""A program's end: as Python has it, whatever waits there, and whatever the program has made."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks, start

WriteProgram = Callable[..., Path]

LIMIT = 60.0

TASKS = """
    import atexit, os, sys, threading, time
    import scoop_mpi
    from scoop_mpi import futures, shared

    def work(x):
        time.sleep(0.01)
        return x

    def nested(n):
        return sum(futures.map(work, range(n)))

"""


def program_of(write_program: WriteProgram, ending: str, before: str = "") -> Path:
    """Write a program that has submitted something, and whose last lines are `ending`."""
    return write_program(
        TASKS
        + before
        + """
    if __name__ == "__main__":
        assert list(futures.map(work, range(10))) == list(range(10))
        begun = futures.submit(nested, 5)
"""
        + "".join(f"        {line}\n" for line in ending.strip().splitlines())
    )


# ------------------------------------------------------------ what Python waits for


@on_ranks(1, 2)
@pytest.mark.parametrize(
    "ending",
    [
        """
import concurrent.futures
pool = concurrent.futures.ProcessPoolExecutor(2)
print(sum(pool.map(abs, range(-4, 0))))
""",
        """
import concurrent.futures
pool = concurrent.futures.ProcessPoolExecutor(2)
# Not just as Python ends: it looks for executors at work without their lock.
pool.submit(exec, "import time; time.sleep(0.5); print(10, flush=True)")
""",
        """
import multiprocessing
pool = multiprocessing.Pool(2)
print(sum(pool.map(abs, range(-4, 0))))
""",
        """
import loky
pool = loky.get_reusable_executor(2)
print(sum(pool.map(abs, range(-4, 0))))
""",
        """
def wait():
    threading.main_thread().join()
    print(nested(5))
threading.Thread(target=wait).start()
""",
        """
done = threading.Event()
threading._register_atexit(done.set)
threading.Thread(target=lambda: done.wait() and print(nested(5))).start()
""",
        "threading._register_atexit(lambda: print(nested(5)))",
        "threading.Thread(target=lambda: (time.sleep(0.3), print(nested(5)))).start()",
        "atexit.register(lambda: print(nested(5)))",
        "print(10)\nthreading.Thread(target=time.sleep, args=(300,), daemon=True).start()",
    ],
    ids=[
        "an idle ProcessPoolExecutor",
        "a ProcessPoolExecutor at work",
        "a Pool",
        "loky",
        "waits for the main thread",
        "waits for a registered function",
        "a registered function",
        "a thread",
        "an exit function",
        "a daemon",
    ],
)
def test_the_end_waits_for_what_python_waits_for(
    ending: str, ranks: int, write_program: WriteProgram
) -> None:
    run = launch(program_of(write_program, ending), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "10\n"
    assert run.stderr == ""


@on_ranks(1, 3)
def test_a_pool_of_threads_finishes_the_work_that_is_left(
    ranks: int, write_program: WriteProgram
) -> None:
    program = program_of(
        write_program,
        """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(2)
for n in range(6):
    pool.submit(lambda n=n: print(nested(n)))
""",
    )
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert sorted(map(int, run.stdout.split())) == [0, 0, 1, 3, 6, 10]
    assert run.stderr == ""


@on_ranks(1, 2)
@pytest.mark.parametrize("ending", ["pass", "sys.exit(3)", "raise KeyError('on purpose')"])
def test_registered_functions_threads_and_exit_functions_come_in_pythons_order(
    ending: str, ranks: int, write_program: WriteProgram
) -> None:
    program = program_of(
        write_program,
        f"""
go_on = threading.Event()
def finish():
    go_on.wait()
    print("thread", nested(3))
threading.Thread(target=finish).start()
for number in 1, 2:
    threading._register_atexit(lambda n=number: print("registered", n, nested(3)))
    atexit.register(lambda n=number: print("exit function", n, nested(3)))
threading._register_atexit(go_on.set)
print("last line")
{ending}
""",
    )
    run = launch(program, ranks=ranks, timeout=LIMIT).check(
        {"pass": 0, "sys.exit(3)": 3}.get(ending, 1)
    )
    lines = run.stdout.splitlines()
    assert lines.index("thread 3") < 5
    lines.remove("thread 3")
    assert lines == [
        "last line",
        "registered 2 3",
        "registered 1 3",
        "exit function 2 3",
        "exit function 1 3",
    ]


@on_ranks(1, 2)
def test_what_functions_raise_at_the_end_is_reported_and_changes_nothing(
    ranks: int, write_program: WriteProgram
) -> None:
    program = program_of(
        write_program,
        """
def fail(error):
    raise error
atexit.register(lambda: print("the last"))
atexit.register(fail, KeyError("in an exit function"))
atexit.register(sys.exit, 5)
threading._register_atexit(fail, KeyError("in a registered function"))
""",
    )
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "the last\n"
    for text in ("KeyError: 'in an exit function'", "KeyError: 'in a registered function'"):
        assert run.stderr.count(text) == 1


@on_ranks(1, 2)
def test_exit_functions_may_do_all_that_the_program_may(
    ranks: int, write_program: WriteProgram
) -> None:
    program = program_of(
        write_program,
        "atexit.register(at_end, begun)",
        before="""
    def at_end(begun):
        shared.setConst(late=5)
        print(list(futures.map(read, range(5))), begun.result(), shared.getConst("late"))
        (late,) = futures.as_completed([futures.submit(nested, 5)])
        print(shared.getConst("none"), late.result())

    def read(x):
        return x * shared.getConst("late", timeout=None)
""",
    )
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "[0, 5, 10, 15, 20] 10 5\nNone 10\n"
    assert run.stderr == ""


@on_ranks(2)
@pytest.mark.parametrize(
    "call",
    [
        "futures.submit(abs, -1)",
        "list(futures.map(abs, [-1]))",
        "shared.setConst(late=5)",
        "shared.getConst('none', timeout=None)",
        "list(scoop_mpi.left)",
    ],
)
def test_exit_functions_of_workers_learn_that_the_program_has_ended(
    call: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(
        TASKS
        + f"""
    def at_end():
        try:
            {call}
        except futures.CancelledError as error:
            print(repr(error), flush=True)

    def leave_one(x):
        time.sleep(0.01)
        if not scoop_mpi.IS_ORIGIN and not hasattr(scoop_mpi, "left"):
            scoop_mpi.left = futures.map(work, range(5000))
            atexit.register(at_end)
        return hasattr(scoop_mpi, "left")

    if __name__ == "__main__":
        while not any(futures.map(leave_one, range(10))):
            pass
"""
    )
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "CancelledError('the program has ended')\n"
    assert run.stderr == ""


# ------------------------------------------------------------ tasks that go on


@on_ranks(2)
@pytest.mark.parametrize(
    "asking",
    [
        """
future = futures.submit(work, 1)
while not future.done():
    pass
""",
        """
future = futures.submit(nested, 2)
while not future.done():
    pass
""",
        """
future = futures.submit(work, 1)
while not futures.wait([future], timeout=0).done:
    pass
""",
        "list(futures.map(work, range(3)))",
        "futures.submit(nested, 2).result()",
    ],
    ids=["one after the other", "a nested one", "wait", "map", "result"],
)
def test_a_task_that_goes_on_asking_finds_its_end(
    asking: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(
        TASKS
        + f"""
    def ask(_):
        while True:
{textwrap.indent(asking, " " * 12)}
    if __name__ == "__main__":
        begun = [futures.submit(ask, x) for x in range(scoop_mpi.SIZE - 1)]
        while not all(future.running() for future in begun):
            futures.wait(begun, timeout=0)
        time.sleep(0.1)
"""
    )
    for _ in range(3):
        run = launch(program, ranks=ranks, timeout=LIMIT).check()
        assert run.stderr == ""


@on_ranks(1, 2)
def test_a_callback_that_calls_sys_exit_ends_nothing(
    ranks: int, write_program: WriteProgram
) -> None:
    program = program_of(
        write_program,
        """
for _ in range(20):
    called = futures.submit(work, 1)
    called.add_done_callback(lambda _: sys.exit(4))
    while not called.done():
        list(futures.map(work, range(2)))
print("the end")
""",
    )
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "the end\n"
    assert run.stderr.count("SystemExit: 4") == 20


@on_ranks(1, 2, 3)
@pytest.mark.parametrize("how", ["map", "submit", "wait"])
def test_a_keyboard_interrupt_of_a_tasks_own_is_its_outcome(
    how: str, ranks: int, write_program: WriteProgram
) -> None:
    program = program_of(
        write_program,
        f"""
for _ in range(20):
    try:
        if {how == "map"}:
            list(futures.map(call_off, range(4)))
        elif {how == "submit"}:
            [future.result() for future in [futures.submit(call_off, x) for x in range(4)]]
        else:
            fs = [futures.submit(call_off, x) for x in range(4)]
            (odd,) = [f for f in futures.wait(fs).done if f.exception() is not None]
            raise odd.exception()
    except KeyboardInterrupt as error:
        assert error.args == ("on purpose",), error
    else:
        raise AssertionError("it was lost")
print("went on", begun.result())
""",
        before="""
    def call_off(x):
        time.sleep(0.002)
        if x == 2:
            raise KeyboardInterrupt("on purpose")
""",
    )
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "went on 10\n"
    assert run.stderr == ""


# ------------------------------------------------------------ what the end waits for


@on_ranks(3)
def test_a_rank_that_still_imports_says_where(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import threading
        import scoop_mpi

        never = threading.Event()
        if scoop_mpi.worker.rank == 1:
            never.wait()
        if __name__ == "__main__":
            print("the end", flush=True)
    """)
    with start(program, ranks=ranks, timeout=LIMIT) as job:
        job.wait_for("still imports")
        stderr = job.stderr
    assert stderr.count("still imports") == 1
    assert "rank 1 (" in stderr
    assert "program.py, line 7: never.wait()" in stderr
    assert "threading.py, line" in stderr


# ------------------------------------------------------------ standard output and error


@on_ranks(1, 2)
@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("sys.stdout.close()", 0),
        ("sys.stderr.close()", 0),
        ("sys.stdout = sys.stderr = None", 0),
        ("sys.stdout = None\nsys.exit(3)", 3),
        ("sys.stderr = None\nraise KeyError", 1),
        ("sys.stderr.close()\nsys.exit(3)", 3),
        ("sys.stdout.close()\nraise KeyError", 1),
        ("sys.stdout = object()", 120),
        ("sys.stdout = Odd()", 120),
        ("sys.stdout = Odd()\nsys.exit(3)", 120),
        ("os.close(1)\nprint('lost')", 120),
    ],
)
def test_whatever_has_become_of_the_output_the_job_ends(
    ending: str, status: int, ranks: int, write_program: WriteProgram
) -> None:
    program = program_of(
        write_program,
        ending,
        before="""
    class Odd:
        def write(self, text):
            raise SystemExit(9)

        flush = None
""",
    )
    launch(program, ranks=ranks, timeout=LIMIT).check(status)


@on_ranks(2)
@pytest.mark.parametrize("stream", ["sys.stdout", "sys.stderr"])
@pytest.mark.parametrize("state", ["close()", "detach()", "flush = None"])
def test_whatever_has_become_of_the_output_the_job_is_aborted(
    stream: str, state: str, ranks: int, write_program: WriteProgram
) -> None:
    program = program_of(
        write_program,
        f"""
forever = futures.submit(time.sleep, 300)
while not forever.running():
    futures.wait([forever], timeout=0)
time.sleep(0.2)
{stream}.{state}
sys.exit(7)
""",
    )
    launch(program, ranks=ranks, timeout=LIMIT).check(7)


@on_ranks(1, 2)
@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["", "unbuffered"])
def test_lines_come_as_they_are_written(
    variables: dict[str, str], ranks: int, write_program: WriteProgram
) -> None:
    program = program_of(
        write_program,
        """
print("one", end=" ")
print("line")
time.sleep(300)
""",
    )
    with start(program, ranks=ranks, env=variables, timeout=LIMIT) as job:
        job.wait_for("one line\n")


@on_ranks(3)
def test_nothing_that_was_printed_is_lost_in_a_crash(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import os, time
        import scoop_mpi
        from scoop_mpi import futures

        def crash(x):
            print("task", x)
            time.sleep(0.05)
            if x == 20:
                time.sleep(0.5)  # MPICH's mpiexec doesn't read on
                os.kill(os.getpid(), 11)

        if __name__ == "__main__":
            print("begins")
            list(futures.map(crash, range(21)))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check(None)
    lines = run.stdout.splitlines()
    assert "begins" in lines
    assert {f"task {x}" for x in range(21)} <= set(lines)


@on_ranks(3)
@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["", "unbuffered"])
def test_a_line_is_written_in_one_piece(
    variables: dict[str, str], ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        from scoop_mpi import futures

        def talk(x):
            for _ in range(50):
                print("a", "line", "of", "many", "words", x)

        if __name__ == "__main__":
            list(futures.map(talk, range(30)))
    """)
    run = launch(program, ranks=ranks, env=variables, timeout=LIMIT).check()
    lines = run.stdout.splitlines()
    assert len(lines) == 1500
    assert {line.rsplit(maxsplit=1)[0] for line in lines} == {"a line of many words"}
