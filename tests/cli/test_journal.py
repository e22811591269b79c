"""Jobs with a journal, among real ranks: what is finished is never made again."""

from __future__ import annotations

import random
import re
import signal
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scoop_mpi.journal.identity import of_arguments, of_call
from scoop_mpi.journal.records import Contents
from tests.launch import launch, on_ranks, start

WriteProgram = Callable[..., Path]


def noting(program: str) -> str:
    """Return a program whose calls can note that they are made."""
    before = """
        import os, sys, time
        from scoop_mpi import futures

        def note(*words):
            with open(sys.argv[1], "a") as file:
                file.write(" ".join(map(str, words)) + "\\n")
    """
    return textwrap.dedent(before) + textwrap.dedent(program)


def calls_in(notes: Path) -> list[str]:
    """Return the calls that were noted, and forget them."""
    calls = notes.read_text().splitlines() if notes.exists() else []
    notes.unlink(missing_ok=True)
    return sorted(calls)


EACH_WAY = noting("""
    def square(x):
        note("square", x)
        return x * x

    def pair(x, y=0):
        note("pair", x, y)
        return [x, y]

    def add(x, y):
        return x + y

    def fib(n):
        note("fib", n)
        if n < 2:
            return n
        a, b = futures.submit(fib, n - 1), futures.submit(fib, n - 2)
        return a.result() + b.result()

    if __name__ == "__main__":
        print(list(futures.map(square, range(20))))
        print(sorted(futures.map_as_completed(pair, range(5), range(5))))
        print(futures.mapReduce(square, add, range(100, 117)))
        print(futures.mapScan(square, add, range(200, 205)))
        print(list(futures.map(pair, range(10, 19), buffersize=4)))
        submitted = [futures.submit(pair, number, y=2) for number in range(6)]
        submitted.append(futures.submit(pair, submitted[0], y=3))
        print([future.result() for future in futures.as_completed(submitted)].__len__())
        print([future.result() for future in submitted])
        print(futures.submit(fib, 6).result())
        print(list(futures.options(name="said").map(square, [1000, 1001])))
""")


@on_ranks(1, 3)
@pytest.mark.parametrize("option", ["--", "--strict"])
def test_a_second_run_makes_no_call(
    option: str, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(EACH_WAY)
    options: list[str | Path] = ["--journal", tmp_path / "journal"]
    options += [] if option == "--" else [option]
    first = launch(*options, program, tmp_path / "notes", ranks=ranks).check()
    made = calls_in(tmp_path / "notes")
    assert len(made) > 20 + 5 + 17 + 5 + 9 + 7 + 25
    plain = launch(program, tmp_path / "notes", ranks=1).check()
    assert first.stdout == plain.stdout
    assert calls_in(tmp_path / "notes") == made
    assert "0 results were taken from the journal" in first.stderr
    second = launch(*options, program, tmp_path / "notes", ranks=4 - ranks).check()
    assert second.stdout == first.stdout
    assert calls_in(tmp_path / "notes") == []
    (kept,) = re.findall(r"and (\d+) were added", first.stderr)
    assert f"{kept} results were taken from the journal" in second.stderr
    assert int(kept) == 20 + 5 + 17 + 5 + 9 + 7 + 1 + 2  # of fib the program's own call


@on_ranks(1, 3)
def test_calls_that_fail_are_made_again_and_others_not(
    ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(
        noting("""
        def half(x):
            note(x)
            if x % 2 and not os.path.exists(sys.argv[2]):
                raise ValueError(x)
            return x // 2

        if __name__ == "__main__":
            fs = [futures.submit(half, x) for x in range(6)]
            print([f.result() if f.exception() is None else repr(f.exception()) for f in fs])
            results = futures.map_as_completed(half, range(10, 16))
            found = []
            while True:
                try:
                    found.append(next(results))
                except ValueError:
                    found.append("failed")
                except StopIteration:
                    break
            print(sorted(map(str, found)))
    """)
    )
    job: list[str | Path] = [
        "--journal",
        tmp_path / "journal",
        program,
        tmp_path / "notes",
        tmp_path / "right",
    ]
    launch(*job, ranks=ranks).check()
    assert len(calls_in(tmp_path / "notes")) == 12
    (tmp_path / "right").touch()
    run = launch(*job, ranks=ranks).check()
    assert run.stdout == "[0, 0, 1, 1, 2, 2]\n['5', '5', '6', '6', '7', '7']\n"
    assert calls_in(tmp_path / "notes") == ["1", "11", "13", "15", "3", "5"]


@on_ranks(3)
def test_killed_again_and_again(ranks: int, write_program: WriteProgram, tmp_path: Path) -> None:
    """What the journal has when a job is killed is never made again."""
    program = write_program(
        noting("""
        def work(x):
            note(x)
            time.sleep(0.002)
            return x * 3

        if __name__ == "__main__":
            print("begun", flush=True)
            results = list(futures.map(work, range(1200)))
            results += [f.result() for f in [futures.submit(work, x) for x in range(1200, 2000)]]
            print(results == [x * 3 for x in range(2000)])
    """)
    )
    seed = random.randrange(1 << 30)
    print("seed", seed)
    numbers = random.Random(seed)
    journal, notes = tmp_path / "journal", tmp_path / "notes"
    finished: set[str] = set()
    for _ in range(5):
        with start("--journal", journal, program, notes, ranks=ranks) as job:
            job.wait_for("begun")
            wanted = len(finished) + numbers.randrange(1, 250)
            while job.is_running and len(made_before := _noted(notes)) < wanted - len(finished):
                pass
            job.rank_process(numbers.randrange(ranks)).kill()
            job.finish().check(status=None)
        made = set(calls_in(notes))
        assert not made & finished, made_before
        finished = _finished(journal, program, ranks)
    run = launch("--journal", journal, program, notes, ranks=ranks).check()
    assert run.stdout == "begun\nTrue\n"
    assert not set(calls_in(notes)) & finished


def _results_in(journal: Path) -> int:
    if not journal.exists():
        return 0
    with journal.open("rb") as file:
        contents = Contents(file, str(journal))
    return sum(len(results.places) for results in contents.results)


def _noted(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


def _finished(journal: Path, program: Path, ranks: int) -> set[str]:
    """Return the calls of `work` that the journal has."""
    with journal.open("rb") as file:
        contents = Contents(file, str(journal))
    known = {call for results in contents.results for call, _ in results.places}
    (function,) = contents.functions
    digest = bytes.fromhex(function.digest)
    return {
        str(number)
        for number in range(2000)
        if of_call(digest, of_arguments(len, (number,))) + bytes(4) in known
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_by_a_signal(number: int, write_program: WriteProgram, tmp_path: Path) -> None:
    program = write_program(
        noting("""
        def work(x):
            note(x)
            if x == 0 and not os.path.exists(sys.argv[2]):
                time.sleep(60)
            return x

        if __name__ == "__main__":
            print(sum(futures.map(work, range(50))))
    """)
    )
    job_line: list[str | Path] = [
        "--journal",
        tmp_path / "journal",
        program,
        tmp_path / "notes",
        tmp_path / "go",
    ]
    with start("--grace", "1", *job_line, ranks=2) as job:
        # The root is within a call of a minute: others are kept all the same.
        while job.is_running and _results_in(tmp_path / "journal") < 49:
            time.sleep(0.01)
        job.send_signal(number)
        job.finish().check(status=None)
    assert len(calls_in(tmp_path / "notes")) == 50
    (tmp_path / "go").touch()
    run = launch(*job_line, ranks=2).check()
    assert run.stdout == "1225\n"
    assert calls_in(tmp_path / "notes") == ["0"]


@on_ranks(1, 2)
def test_a_changed_function_is_called_again(
    ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    text = noting("""
        STEPS = 3
        def helper(x):
            return x * STEPS
        def work(x):
            note("work", x)
            return helper(x)
        def other(x):
            note("other", x)
            return -x
        if __name__ == "__main__":
            print(list(futures.map(work, range(4))), list(futures.map(other, range(2))))
    """)
    job: list[str | Path] = [
        "--journal",
        tmp_path / "journal",
        tmp_path / "program.py",
        tmp_path / "notes",
    ]
    write_program(text, "program.py")
    launch(*job, ranks=ranks).check()
    calls_in(tmp_path / "notes")
    write_program(text.replace("STEPS = 3", "STEPS = 4"), "program.py")
    run = launch(*job, ranks=ranks).check()
    assert run.stdout == "[0, 4, 8, 12] [0, -1]\n"
    assert calls_in(tmp_path / "notes") == [f"work {x}" for x in range(4)]
    assert run.stderr.count("results of __main__.work as it was before") == 1


@on_ranks(1, 2)
def test_left_out_and_named_by_the_program(
    ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(
        noting("""
        def work(x):
            note("work", x, sys.argv[2])
            return x

        if __name__ == "__main__":
            version = float(sys.argv[2])
            print(list(futures.options(journal=False).map(work, range(2))))
            stable = futures.options(journal="stable")
            print(list(stable.map(lambda x: work(x) + version, range(2))))
            print(stable.submit(work, 7).result())
    """)
    )
    job: list[str | Path] = ["--journal", tmp_path / "journal", program, tmp_path / "notes"]
    launch(*job, "1", ranks=ranks).check()
    calls_in(tmp_path / "notes")
    run = launch(*job, "2", ranks=ranks).check()
    assert run.stdout == "[0, 1]\n[1.0, 2.0]\n7\n"
    assert calls_in(tmp_path / "notes") == ["work 0 2", "work 1 2"]


@on_ranks(2)
def test_an_executor_and_threads(ranks: int, write_program: WriteProgram, tmp_path: Path) -> None:
    program = write_program(
        noting("""
        import threading
        from concurrent.futures import ThreadPoolExecutor
        from scoop_mpi import MPIPoolExecutor

        def work(x):
            note(x)
            return x + 1

        def in_thread(x):
            return futures.submit(work, x).result() + sum(futures.map(work, range(x, x + 3)))

        if __name__ == "__main__":
            with MPIPoolExecutor() as executor:
                print(list(executor.map(work, range(30))), executor.submit(work, 50).result())
            with ThreadPoolExecutor(3) as threads:
                print(list(threads.map(in_thread, range(100, 200, 10))))
    """)
    )
    job: list[str | Path] = ["--journal", tmp_path / "journal", program, tmp_path / "notes"]
    first = launch(*job, ranks=ranks).check()
    assert len(calls_in(tmp_path / "notes")) == 31 + 40
    second = launch(*job, ranks=ranks).check()
    assert second.stdout == first.stdout
    assert calls_in(tmp_path / "notes") == []


@on_ranks(1, 2)
def test_large_and_odd_results(ranks: int, write_program: WriteProgram, tmp_path: Path) -> None:
    program = write_program(
        noting("""
        import numpy as np
        from collections import namedtuple
        Point = namedtuple("Point", "x y")

        class Model:
            def __init__(self, x):
                self.x = x

        def array(x):
            note("array")
            return np.full((500, 1000), x)

        def odd(x):
            note("odd")
            return [Point(x, x), Model(x), lambda y: x + y, None, {x: "text"}][x]

        if __name__ == "__main__":
            print([float(a.sum()) for a in futures.map(array, range(5))])
            point, model, function, none, table = futures.map(odd, range(5))
            print(isinstance(point, Point), isinstance(model, Model), function(3), none, table)
    """)
    )
    job: list[str | Path] = ["--journal", tmp_path / "journal", program, tmp_path / "notes"]
    first = launch(*job, ranks=ranks).check()
    assert first.stdout.endswith("True True 5 None {4: 'text'}\n")
    assert len(calls_in(tmp_path / "notes")) == 10
    second = launch(*job, ranks=ranks).check()
    assert second.stdout == first.stdout
    assert calls_in(tmp_path / "notes") == []


@on_ranks(1, 2)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"my notes, years of them", "is no journal of scoop_mpi's, and is left as it is"),
        (b"scoop_mpi journal 9\n", "is of version 9"),
    ],
)
def test_what_can_t_be_used_is_left_alone(
    ranks: int, text: bytes, message: str, write_program: WriteProgram, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    journal.write_bytes(text)
    program = write_program("if __name__ == '__main__': print('never')")
    run = launch("--journal", journal, program, ranks=ranks).check(2)
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert "never" not in run.stdout
    assert journal.read_bytes() == text


def test_two_jobs_can_t_have_one(write_program: WriteProgram, tmp_path: Path) -> None:
    program = write_program("""
        import time
        if __name__ == "__main__":
            print("begun", flush=True)
            time.sleep(60)
    """)
    with start("--journal", tmp_path / "journal", program, ranks=2) as job:
        job.wait_for("begun")
        run = launch("--journal", tmp_path / "journal", program, ranks=2).check(2)
        assert re.search(r"is in use: process \d+ on \S+ writes it", run.stderr)
        job.send_signal(signal.SIGTERM)
        job.finish().check(status=None)


# ---------------------------------------------------------------- started again

OWN = ["-m", "scoop_mpi", "-n"]  # and the number of ranks: this process is mpiexec's parent


@on_ranks(1, 3)
@pytest.mark.parametrize("victim", ["root", "worker", "task"])
def test_a_job_that_is_lost_is_started_again(
    victim: str, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(
        noting("""
        import contextlib, scoop_mpi, signal
        from pathlib import Path

        def work(x):
            note(x)
            time.sleep(0.002)
            crashed = Path(sys.argv[2], str(x))
            if x % 70 == 69 and not crashed.exists():
                crashed.touch()
                if sys.argv[3] == "task":
                    os.kill(os.getpid(), signal.SIGKILL)
                rank = 0 if sys.argv[3] == "root" else scoop_mpi.SIZE - 1
                with contextlib.suppress(ProcessLookupError):  # it has been killed just now
                    os.kill(int(Path(sys.argv[2], f"rank{rank}").read_text()), signal.SIGKILL)
            return x

        def tell():
            Path(sys.argv[2], f"rank{scoop_mpi.worker.rank}").write_text(str(os.getpid()))

        if __name__ == "__main__":
            futures.on_every_rank(tell)
            print(sum(futures.map(work, range(250))))
        """)
    )
    (tmp_path / "crashes").mkdir()
    job: list[str | Path] = [
        "--restarts",
        "4",
        "--journal",
        tmp_path / "journal",
        program,
        tmp_path / "notes",
    ]
    run = launch(*job, tmp_path / "crashes", victim, ranks=None, python=[*OWN, str(ranks)]).check()
    assert run.stdout.endswith("31125\n")  # MPICH's mpiexec writes there, too
    # Open MPI lets others go on for a moment, so two of the three may crash in one job.
    assert 1 <= run.stderr.count("the job was lost before the program's end. It is started") <= 3
    assert "started again (1 of 4): goes on with" in run.stderr
    made = calls_in(tmp_path / "notes")
    assert len(set(made)) == 250
    assert len(made) < 450  # of each time what had ended is not made again


@on_ranks(2)
def test_as_often_as_was_said_and_no_more(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import os, signal
        from scoop_mpi import futures
        if __name__ == "__main__":
            print("begun", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    run = launch("--restarts", "2", program, ranks=None, python=[*OWN, str(ranks)]).check(None)
    assert run.stdout.count("begun") == 3
    assert "(2 of 2): without --journal all is made again" in run.stderr


@on_ranks(1, 2)
@pytest.mark.parametrize(
    ("ending", "status"),
    [("sys.exit(5)", 5), ("1 / 0", 1), ("os.kill(os.getpid(), 2)", 130), ("pass", 0)],
)
def test_what_the_program_ends_with_is_its_end(
    ending: str, status: int, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program(f"""
        import os, sys, time
        from scoop_mpi import futures
        if __name__ == "__main__":
            print("begun", flush=True)
            running = [futures.submit(time.sleep, 30) for _ in range({ranks - 1})]
            {ending}
    """)
    if ending == "pass":
        program.write_text(program.read_text().replace("time.sleep, 30", "time.sleep, 0.1"))
    run = launch("--restarts", "3", program, ranks=None, python=[*OWN, str(ranks)]).check(status)
    assert run.stdout == "begun\n"


def test_restarts_come_too_late_under_a_launcher(write_program: WriteProgram) -> None:
    run = launch("--restarts", "3", write_program("print('one')"), ranks=2).check()
    assert "No effect: --restarts" in run.stderr
    run = launch("--restarts", "-1", write_program("print('one')"), ranks=None).check(2)
    assert "invalid number (0 or more) value: '-1'" in run.stderr


@on_ranks(1, 2)
def test_who_is_asked_to_end_is_not_started_again(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        if __name__ == "__main__":
            print("begun", flush=True)
            time.sleep(60)
    """)
    own = [*OWN, str(ranks)]
    with start("--restarts", "3", program, ranks=None, python=own) as job:
        job.wait_for("begun")
        job.send_signal(signal.SIGTERM)
        run = job.finish().check(143)
    assert run.stdout == "begun\n"
