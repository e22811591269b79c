"""A job started from within a job, by the program or by a task, runs as one from a shell does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import find_mpiexec, launch, on_ranks

WriteProgram = Callable[..., Path]

INNER = """
    import scoop_mpi
    from scoop_mpi import futures

    if __name__ == "__main__":
        print("inner", scoop_mpi.SIZE, list(futures.map(abs, range(-2, 1))))
"""

# Its arguments are a command, which it runs itself and has each rank run.
OUTER = """
    import os, subprocess, sys
    import scoop_mpi
    from scoop_mpi import futures

    def run(_):
        done = subprocess.run(sys.argv[1:], capture_output=True, text=True, timeout=50)
        return scoop_mpi.worker.rank, (done.returncode, done.stdout, done.stderr)

    if __name__ == "__main__":
        found = {run(0)[1]}
        ranks = set()
        while len(ranks) < scoop_mpi.SIZE:
            for rank, facts in futures.map(run, range(scoop_mpi.SIZE)):
                ranks.add(rank)
                found.add(facts)
        print(scoop_mpi.SIZE, *found)
"""

OURS = ("{python}", "-m", "scoop_mpi")


def words(command: tuple[str, ...]) -> list[str]:
    return [word.format(python=sys.executable, mpiexec=find_mpiexec()) for word in command]


@on_ranks(2)
@pytest.mark.parametrize(
    ("command", "size"),
    [
        ((*OURS, "-n", "1"), 1),
        ((*OURS, "-n", "2"), 2),
        (("sh", "-c", 'exec 9< /dev/null; "$@"', "sh", *OURS, "-n", "2"), 2),
        (("{mpiexec}", "-n", "2", *OURS), 2),
    ],
    ids=["one rank", "two ranks", "by a script", "by mpiexec"],
)
def test_a_job_within_a_job(
    command: tuple[str, ...], size: int, ranks: int, write_program: WriteProgram
) -> None:
    inner = write_program(INNER, "inner.py")
    run = launch(write_program(OUTER), *words(command), inner, ranks=ranks, timeout=100).check()
    assert run.stdout == f"{ranks} {(0, f'inner {size} [2, 1, 0]' + chr(10), '')}\n"


def test_a_job_within_a_job_within_a_job(write_program: WriteProgram) -> None:
    inner, outer = write_program(INNER, "inner.py"), write_program(OUTER)
    middle = [*words(OURS), "-n", "1", str(outer), *words(OURS), "-n", "2", str(inner)]
    run = launch("-n", "2", outer, *middle, ranks=None, timeout=100).check()
    innermost = (0, "inner 2 [2, 1, 0]\n", "")
    assert run.stdout == f"2 {(0, f'1 {innermost}' + chr(10), '')}\n"


@on_ranks(2)
def test_a_job_started_without_subprocess(ranks: int, write_program: WriteProgram) -> None:
    """`os.system` leaves the launcher's sockets open in what it starts."""
    inner = write_program(INNER, "inner.py")
    program = write_program("""
        import os, shlex, sys
        from scoop_mpi import futures

        def run(_):
            return os.system(shlex.join(sys.argv[1:]))

        if __name__ == "__main__":
            print(list(futures.map(run, range(2))))
    """)
    run = launch(program, *words(OURS), "-n", "2", inner, ranks=ranks).check()
    assert sorted(run.stdout.splitlines()) == ["[0, 0]", *["inner 2 [2, 1, 0]"] * 2]


@on_ranks(2)
def test_what_is_no_job_of_ours_still_sees_the_launchers_variables(
    ranks: int, write_program: WriteProgram
) -> None:
    """Programs choose a GPU by them."""
    program = write_program("""
        import subprocess, sys

        if __name__ == "__main__":
            show = "import os; print(*(os.environ.get(n) for n in sys.argv[1:]))"
            subprocess.run([sys.executable, "-c", "import sys;" + show, *sys.argv[1:]], check=True)
    """)
    names = ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")
    assert "0" in launch(program, *names, ranks=ranks).check().stdout.split()
