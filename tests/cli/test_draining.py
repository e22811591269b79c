"""Jobs that drain, among real ranks."""

from __future__ import annotations

import re
import signal
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_journal import calls_in, noting
from tests.launch import launch, on_ranks, start

WriteProgram = Callable[..., Path]


WAYS = {
    "map": "print(sum(futures.map(work, range(120))))",
    "as completed": "print(sum(futures.map_as_completed(work, range(120))))",
    "reduction": "print(futures.mapReduce(work, int.__add__, range(120)))",
    "submits": "print(sum(f.result() for f in [futures.submit(work, x) for x in range(120)]))",
    "waiting": "print(len(futures.wait([futures.submit(work, x) for x in range(120)]).done))",
    "polling": """
        fs = [futures.submit(work, x) for x in range(120)]
        while not all(f.done() for f in fs):
            pass
        print(len(fs))
    """,
    "executor": """
        with scoop_mpi.MPIPoolExecutor() as executor:
            print(sum(executor.map(work, range(120))))
    """,
    "two maps": """
        first, second = futures.map(work, range(60)), futures.map(work, range(60, 120))
        print(sum(second) + sum(first))
    """,
}


def program_of(way: str) -> str:
    """Return a program of calls of which most go on until a file is there."""
    body = textwrap.indent(textwrap.dedent(WAYS[way]).strip(), " " * 8)
    return noting(f"""
import scoop_mpi

def work(x):
    note("begin", x)
    while x % 5 and not os.path.exists(sys.argv[2]):
        time.sleep(0.005)
    note("end", x)
    return x

if __name__ == "__main__":
    try:
{body}
    finally:
        print("saved", flush=True)
""")


@on_ranks(1, 3)
@pytest.mark.parametrize("way", WAYS)
def test_a_signal_drains_the_job_and_the_next_goes_on(
    way: str, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(program_of(way))
    notes, go = tmp_path / "notes", tmp_path / "go"
    job_line: list[str | Path] = ["--journal", tmp_path / "journal", program, notes, go]
    with start(*job_line, ranks=None, python=["-m", "scoop_mpi", "-n", str(ranks)]) as job:
        while job.is_running and not any(int(line.split()[1]) % 5 for line in _noted(notes)):
            time.sleep(0.01)
        job.send_signal(signal.SIGUSR1)
        job.wait_for("No further call of the program's is begun")
        go.touch()
        run = job.finish().check(75)
    assert run.stdout == "saved\n"
    (left,) = re.findall(r"the job has drained: (\d+) calls", run.stderr)
    made = calls_in(notes)
    begun = {line.split()[1] for line in made if line.startswith("begin")}
    ended = {line.split()[1] for line in made if line.startswith("end")}
    assert begun == ended
    assert len(begun) + int(left) == 120
    second = launch(*job_line, ranks=ranks).check()
    assert second.stdout in ("7140\nsaved\n", "120\nsaved\n")
    again = {line.split()[1] for line in calls_in(notes)}
    assert not again & begun
    assert len(again | begun) == 120


def _noted(notes: Path) -> list[str]:
    """Return the whole lines that were noted so far."""
    return (
        [line for line in notes.read_text().splitlines(True) if "\n" in line]
        if notes.exists()
        else []
    )


@on_ranks(1, 3)
def test_by_itself_before_the_allocation_ends(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        from scoop_mpi import futures

        if __name__ == "__main__":
            try:
                print(len(list(futures.map(time.sleep, [0.02] * 10_000))))
            finally:
                print("saved")
    """)
    end = {"SLURM_JOB_END_TIME": str(int(time.time()) + 62)}
    run = launch("--stop-before", "60", program, ranks=ranks, env=end).check(75)
    assert run.stdout == "saved\n"
    assert "the job has drained" in run.stderr


@on_ranks(2)
def test_one_whose_program_is_done_ends_as_ever(
    ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program("""
        import os, signal
        from scoop_mpi import futures
        if __name__ == "__main__":
            print(sum(futures.map(abs, range(100))))
            os.kill(os.getpid(), signal.SIGUSR1)
            print("end")
    """)
    run = launch("--drain-signal", "USR1", program, ranks=ranks).check()
    assert run.stdout == "4950\nend\n"


@on_ranks(2)
def test_who_catches_it_and_ends_still_has_the_status(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import os, signal, time
        from scoop_mpi import Draining, futures
        def work(x):
            time.sleep(0.01)
            return x
        if __name__ == "__main__":
            try:
                for x in futures.map(work, range(1000)):
                    if x == 10:
                        os.kill(os.getpid(), signal.SIGUSR2)
            except Draining as error:
                print(repr(error), error)
            try:
                futures.submit(work, 1).result()
            except Draining:
                print("again")
    """)
    run = launch("--drain-signal", "USR2", program, ranks=ranks).check(75)
    assert run.stdout == "Draining(75) the job is to be started again, and goes on then\nagain\n"


@on_ranks(2)
def test_calls_that_go_on_beyond_the_grace(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import os, signal, time
        from scoop_mpi import futures
        def work(x):
            time.sleep(1.5 if x else 0)
            return x
        if __name__ == "__main__":
            for x in futures.map(work, range(6)):
                os.kill(os.getpid(), signal.SIGUSR1)
    """)
    run = launch("--drain-signal", "USR1", "--grace", "0.1", program, ranks=ranks).check(75)
    assert "may go on for 0.1 s" in run.stderr


def test_without_the_option_the_signal_is_what_it_was(write_program: WriteProgram) -> None:
    program = write_program("""
        import os, signal
        from scoop_mpi import futures
        if __name__ == "__main__":
            os.kill(os.getpid(), signal.SIGUSR1)
            list(futures.map(abs, range(10)))
    """)
    assert "ends by SIGUSR1" in launch(program, ranks=2).check(138).stderr
    journal = write_program("", "journal")
    options: list[str | Path] = ["--journal", journal, "--drain-signal", "none"]
    assert "ends by SIGUSR1" in launch(*options, program, ranks=2).check(138).stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stop-before", "60"], "no variable tells when this allocation ends"),
        (["--stop-before", "-1"], "invalid number of seconds (0 or more) value: '-1'"),
        (["--stop-before", "5", "--drain-signal", "none"], "--stop-before needs a signal"),
        (["--drain-signal", "KILL"], "invalid choice: 'KILL'"),
    ],
)
def test_bad_input(options: list[str], message: str, write_program: WriteProgram) -> None:
    nowhere = {"SLURM_JOB_END_TIME": None, "SCOOP_MPI_END_TIME": None}
    run = launch(
        *map(str, options),
        write_program("if __name__ == '__main__': print('never')"),
        ranks=2,
        env=nowhere,
    ).check(2)
    assert message in run.stderr
    assert "never" not in run.stdout
