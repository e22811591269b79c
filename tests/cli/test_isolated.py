"""Calls in processes of their own, and calls that must end within some time, among real ranks."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.launch import is_alive, launch, on_ranks, start

WriteProgram = Callable[..., Path]

# By what a process ends, and what its error tells of it.
DEATHS = {
    "ctypes.string_at(0)": "was ended by SIGSEGV",
    "os.kill(os.getpid(), signal.SIGKILL)": "was ended by SIGKILL",
    "os.abort()": "was ended by SIGABRT",
    "os._exit(0)": "has left Python with the status 0",
    "os._exit(3)": "has left Python with the status 3",
    "ctypes.CDLL(None).exit(5)": "has left Python with the status 5",
}


@on_ranks(2)
@pytest.mark.parametrize("death", DEATHS)
def test_a_crash_is_the_failure_of_that_call_alone(
    death: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import ctypes, os, signal
        from scoop_mpi import TaskCrashed, futures

        def work(x):
            if x % 10 == 7:
                {death}
            return x

        if __name__ == "__main__":
            isolated = futures.options(isolated=True)
            results = isolated.map_as_completed(work, range(30))
            found, crashes = [], []
            while True:
                try:
                    found.append(next(results))
                except TaskCrashed as error:
                    crashes.append(error)
                except StopIteration:
                    break
            print(sorted(found) == [x for x in range(30) if x % 10 != 7], len(crashes))
            error = isolated.submit(work, 17).exception()
            print(error.args[0], error.status)
            print(error.stack)
            print(sum(futures.map(abs, range(10))))
    """)
    run = launch(program, ranks=ranks).check()
    assert run.stdout.startswith("True 3\nthe process of work ")
    assert DEATHS[death] in run.stdout
    assert run.stdout.endswith("45\n")
    if "SIGSEGV" in DEATHS[death]:
        assert "program.py" in run.stdout  # where it was in Python
        assert "in work" in run.stdout


@on_ranks(1, 2)
def test_what_an_isolated_call_can_do(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import os, sys
        import numpy as np
        import scoop_mpi
        from scoop_mpi import futures, shared

        class Point:
            def __init__(self, x):
                self.x = x

        class Failure(Exception):
            pass

        CALLS = []

        def process(x):
            CALLS.append(x)
            return os.getpid(), scoop_mpi.worker.rank, scoop_mpi.SIZE, len(CALLS)

        def fail(x):
            raise Failure(x)

        if __name__ == "__main__":
            isolated = futures.options(isolated=True, name="apart")
            found = [isolated.submit(process, x).result() for x in range(4)]
            print(len({pid for pid, *_ in found}), os.getpid() in {pid for pid, *_ in found})
            print([calls for *_, calls in found], {size for _, _, size, _ in found})
            offset = 10
            print(list(isolated.map(lambda x, y: x + y + offset, range(3), range(3))))
            print(isolated.submit(np.multiply, np.arange(1000), 2).result().sum())
            point = isolated.submit(Point, x=4).result()
            print(type(point) is Point, point.x)
            print(repr(isolated.submit(fail, 5).exception()))
            print(repr(isolated.submit(sys.exit, 6).exception()))
            print(isolated.mapReduce(abs, max, [-3, 2]), isolated.mapScan(abs, max, [-1, 2]))
            shared.setConst(table=[3, 5, 8])
            print(list(isolated.map(lambda x: shared.getConst("table")[x], range(3))))
            print(repr(isolated.submit(lambda: shared.getConst("none", timeout=0.01)).result()))
            isolated.submit(print, "told").result()
    """)
    run = launch(program, ranks=ranks).check()
    assert run.stdout.splitlines() == [
        "1 False",
        f"[1, 2, 3, 4] {{{ranks}}}",
        "[10, 12, 14]",
        "999000",
        "True 4",
        "Failure(5)",
        "SystemExit(6)",
        "3 [1, 2]",
        "[3, 5, 8]",
        "None",
        "told",
    ]


@on_ranks(1, 2)
def test_what_it_can_t_do_is_said(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import threading
        from scoop_mpi import futures, shared

        def submit(x):
            return futures.submit(abs, x).result()

        def map_(x):
            return list(futures.map(abs, [x]))

        def set_(x):
            shared.setConst(new=x)

        if __name__ == "__main__":
            isolated = futures.options(isolated=True)
            for function in (submit, map_, set_):
                print(type(isolated.submit(function, 1).exception()).__name__)
            print(isolated.submit(submit, 1).exception())
            print(isolated.submit(abs, threading.Lock()).exception())
            print(isolated.submit(threading.Lock).exception())
            print(isolated.submit(abs, -1).result())
    """)
    run = launch(program, ranks=ranks).check()
    lines = run.stdout.splitlines()
    assert lines[:3] == ["NotStartedProperly"] * 3
    assert lines[3].startswith("an isolated call is made in a process of its own")
    assert "lock" in run.stdout
    assert lines[-1] == "1"


@on_ranks(1, 3)
def test_retries_and_poison(ranks: int, write_program: WriteProgram, tmp_path: Path) -> None:
    program = write_program("""
        import os, sys
        from pathlib import Path
        from scoop_mpi import TaskCrashed, futures

        def crash(x, times):
            made = Path(sys.argv[1], str(x))
            with made.open("a") as file:
                file.write(".")
            if made.stat().st_size <= times:
                os._exit(1)
            return made.stat().st_size

        if __name__ == "__main__":
            isolated = futures.options(isolated=True, retries=9)
            print(list(isolated.map(crash, range(5), range(0, 3))))
            print(repr(isolated.submit(crash, "poison", 99).exception().status))
            print(Path(sys.argv[1], "poison").stat().st_size)
            patient = futures.options(isolated=True, retries=9, max_deaths=6)
            print(patient.submit(crash, "patient", 5).result())
    """)
    run = launch(program, tmp_path, ranks=ranks).check()
    assert run.stdout == "[1, 2, 3]\n1\n3\n6\n"


@on_ranks(1, 2)
@pytest.mark.parametrize("option", [["--isolate"], ["--isolate", "--journal", "journal"]])
def test_all_calls_of_the_program(
    option: list[str], ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program("""
        import os
        from scoop_mpi import TaskCrashed, futures

        def work(x):
            if x == 3:
                os._exit(9)
            return x

        if __name__ == "__main__":
            results = [futures.submit(work, x=x) for x in range(6)]
            results.append(futures.submit(work, results[1]))
            assert futures.submit(work, x=results[2]).result() == 2
            assert futures.submit(sum, [results[1], results[4]]).result() == 5
            assert isinstance(futures.submit(work, x=results[3]).exception().__cause__, TaskCrashed)
            print([f.result() if not f.exception() else f.exception().status for f in results])
            print(list(futures.map(work, range(4, 9))))
            try:
                list(futures.map(work, range(9)))
            except TaskCrashed as error:
                print(error.status)
    """)
    run = launch(*option, program, ranks=ranks, cwd=tmp_path).check()
    assert run.stdout == "[0, 1, 2, 9, 4, 5, 1]\n[4, 5, 6, 7, 8]\n9\n"


@on_ranks(1, 2)
def test_the_processes_end_with_the_job(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import os, time
        from scoop_mpi import futures

        def spin(x):
            print("spinning", os.getpid(), flush=True)
            while True:
                pass

        if __name__ == "__main__":
            futures.options(isolated=True).submit(spin, 1).result()
    """)
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with start(program, ranks=None, python=["-m", "scoop_mpi", "-n", str(ranks)]) as job:
            job.wait_for("spinning")
            pid = int(job.stdout.split()[1])
            job.send_signal(number)
            job.finish().check(status)
        assert not (psutil.pid_exists(pid) and is_alive(psutil.Process(pid)))
    with start(program, ranks=ranks) as job:
        job.wait_for("spinning")
        job.rank_process(0).kill()
        job.finish().check(status=None)


@on_ranks(1, 2)
@pytest.mark.parametrize("isolated", [True, False])
def test_a_time_limit(isolated: bool, ranks: int, write_program: WriteProgram) -> None:
    program = write_program(f"""
        import time
        from scoop_mpi import TaskTimeLimit, futures

        def spin(seconds):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                pass
            return seconds

        if __name__ == "__main__":
            limited = futures.options(time_limit=0.4, isolated={isolated})
            for function in (spin, time.sleep):
                begun = time.monotonic()
                error = limited.submit(function, 60).exception()
                print(repr(error), time.monotonic() - begun < 30)
            results = limited.map_as_completed(spin, [0, 60, 0.01, 0.02])
            found = []
            while len(found) < 4:
                try:
                    found.append(next(results))
                except TaskTimeLimit:
                    found.append(-1)
            print(sorted(found))
            print(list(limited.map(spin, [0] * 30)) == [0] * 30)
    """)
    run = launch(program, ranks=ranks).check()
    assert run.stdout.splitlines() == [
        "TaskTimeLimit('spin has not ended within 0.4 s') True",
        "TaskTimeLimit('sleep has not ended within 0.4 s') True",
        "[-1, 0, 0.01, 0.02]",
        "True",
    ]


@on_ranks(1, 2, 3)
def test_a_time_limit_of_who_has_tasks(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import TaskTimeLimit, futures

        def spin(seconds):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                pass
            return seconds

        def parent(seconds):
            return sum(futures.submit(spin, s).result() for s in seconds)

        def quick(x):
            return sum(f.result() for f in [futures.submit(abs, y) for y in range(x)])

        if __name__ == "__main__":
            limited = futures.options(time_limit=0.5)
            print(repr(limited.submit(parent, [0.1] * 50).exception()))
            print(limited.submit(parent, [0.01] * 3).result())
            print([limited.submit(quick, 10).result() for _ in range(20)] == [45] * 20)
            print(sum(futures.map(spin, [0.001] * 50)) > 0)
    """)
    lines = launch(program, ranks=ranks).check().stdout.splitlines()
    assert lines[0] in (
        "TaskTimeLimit('parent has not ended within 0.5 s')",
        "TaskTimeLimit('spin has not ended within 0.5 s')",
    )
    assert lines[1:] == ["0.03", "True", "True"]


@on_ranks(2, 3)
def test_a_time_limit_strikes_who_waits(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures, shared

        def waits(seconds):
            try:
                return shared.getConst("never set", timeout=seconds)
            finally:
                stopped.append(seconds)

        def parent(_):
            return [f.result() for f in [futures.submit(time.sleep, 0.2) for _ in range(200)]]

        stopped = []

        if __name__ == "__main__":
            begun = time.monotonic()
            limited = futures.options(time_limit=0.5)
            results = [limited.submit(function, 50) for function in (waits, waits, parent)]
            print([repr(result.exception()) for result in results])
            print(time.monotonic() - begun < 30, limited.submit(abs, -3).result())
            raise SystemExit(0)
    """)
    lines = launch("--root", "works", program, ranks=ranks).check(0).stdout.splitlines()
    assert lines[0].count("TaskTimeLimit('waits has not ended within 0.5 s')") == 2
    assert "TaskTimeLimit('parent has not ended within 0.5 s')" in lines[0]
    assert lines[1] == "True 3"


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ("isolated=1", "TypeError: isolated must be True or False, not 1"),
        ("time_limit=-1", "ValueError: time_limit must be a number of seconds from 0 on, not -1"),
        ("time_limit=0", "ValueError: time_limit must be more than 0 seconds"),
        ("time_limit='5'", "TypeError: time_limit must be a number of seconds, not '5'"),
        ("max_deaths=0", "ValueError: max_deaths must be a number from 1 on, not 0"),
        ("journal=3", "TypeError: journal must be True, False, or a text to know calls by, not 3"),
    ],
)
def test_bad_terms(terms: str, message: str, write_program: WriteProgram) -> None:
    program = write_program(f"""
        from scoop_mpi import futures
        if __name__ == "__main__":
            futures.options({terms})
    """)
    assert message in launch(program, ranks=1).check(1).stderr


def test_without_a_job_it_is_a_plain_call(write_program: WriteProgram) -> None:
    program = write_program("""
        from scoop_mpi.tasks.terms import Termed, Terms
        print(Termed(abs, Terms(isolated=True, time_limit=3.0))(-2))
    """)
    assert launch(program, ranks=None, python=[]).check().stdout == "2\n"


@on_ranks(2)
def test_threads_of_the_program_s_make_isolated_calls_at_a_time(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import os, time
        from concurrent.futures import ThreadPoolExecutor
        from scoop_mpi import futures

        def work(x):
            time.sleep(0.01)
            if x == 5:
                os._exit(2)
            return x

        def call(x):
            return futures.options(isolated=True, retries=1).submit(work, x)

        def outcome(x):
            future = call(x)
            error = future.exception()
            return future.result() if error is None else error.status

        if __name__ == "__main__":
            with ThreadPoolExecutor(4) as threads:
                print(list(threads.map(outcome, range(10))))
    """)
    run = launch(program, ranks=ranks).check()
    assert run.stdout == "[0, 1, 2, 3, 4, 2, 6, 7, 8, 9]\n"


@on_ranks(1, 2)
def test_a_thread_that_ends_takes_no_process_along(ranks: int, write_program: WriteProgram) -> None:
    """The process that it has started may be making another thread's call by then."""
    program = write_program("""
        import os, threading, time
        from scoop_mpi import futures

        def work(seconds):
            time.sleep(seconds)
            return os.getpid()

        def call(seconds):
            found.append(isolated.submit(work, seconds).result())

        def starts_it():
            call(0)
            is_there.set()
            is_used.wait()

        isolated = futures.options(isolated=True)
        found = []
        is_there, is_used = threading.Event(), threading.Event()

        if __name__ == "__main__":
            first = threading.Thread(target=starts_it)
            second = threading.Thread(target=call, args=(1,))
            first.start()
            is_there.wait()
            second.start()
            time.sleep(0.4)
            is_used.set()
            first.join()
            second.join()
            print(len(found))
    """)
    run = launch("--root", "works", program, ranks=ranks).check()
    assert run.stdout == "2\n"


@on_ranks(1, 2)
@pytest.mark.parametrize("waits", [True, False])
def test_what_a_time_limit_has_struck_may_clean_up(
    waits: bool, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import sys, time
        from pathlib import Path
        from scoop_mpi import futures, shared

        def work(path):
            try:
                if {waits}:
                    shared.getConst("never set", timeout=50)
                while True:
                    pass
            finally:
                shared.getConst("never set", timeout=0.4)  # the strikes would come every 50 ms
                time.sleep(0.2)
                Path(path).write_text("clean")

        if __name__ == "__main__":
            print(repr(futures.options(time_limit=0.3).submit(work, sys.argv[1]).exception()))
            print(Path(sys.argv[1]).read_text())
    """)
    run = launch(program, program.parent / "note", ranks=ranks).check()
    assert run.stdout == "TaskTimeLimit('work has not ended within 0.3 s')\nclean\n"
