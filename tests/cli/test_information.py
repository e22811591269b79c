"""What a job tells of itself: ``--info``, ``--profile``; and how many threads it runs."""

from __future__ import annotations

import ast
import os
import pstats
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scoop_mpi import __version__
from scoop_mpi.job.numerical_threads import VARIABLES
from tests.launch import launch, mpi_library, on_ranks

WriteProgram = Callable[..., Path]


def page(stdout: str) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in stdout.splitlines())


@on_ranks(1, 3)
def test_one_page_tells_about_the_job(ranks: int) -> None:
    found = page(launch("--info", ranks=ranks).check().stdout)
    assert found["scoop_mpi"].startswith(__version__)
    assert mpi_library().split()[0] in found["MPI"]
    assert "THREAD_" in found["threads"]
    assert re.match("shared on a node, by |copied to each rank: ", found["constants"])
    assert "mpiexec" in found["launcher"]
    assert found["ranks"] == str(ranks)
    cores = len(os.sched_getaffinity(0))
    assert f"ranks: {ranks}, cores: {cores}" in found["host"]
    assert f"numerical threads: {max(1, cores // ranks)}," in found["host"]


def test_without_a_launcher_the_page_names_the_one_that_would_be_used() -> None:
    found = page(launch("--info", ranks=None).check().stdout)
    assert found["ranks"] == "1"
    assert found["launcher"].startswith("none; own: /")
    assert Path(found["launcher"]).name in ("mpiexec", "mpiexec.hydra")


def test_the_page_shows_what_options_would_do() -> None:
    found = page(launch("--info", "--threads=7", ranks=None).check().stdout)
    assert "numerical threads: 7," in found["host"]


def test_a_page_about_ranks_that_it_starts() -> None:
    found = page(launch("--info", "-n", "2", ranks=None).check().stdout)
    assert found["ranks"] == "2"


# ---------------------------------------------------------------- profiles

PROFILED = """
    import sys, time
    from scoop_mpi import futures

    def nested(x):
        time.sleep(0.001)
        return x

    def outer(x):
        return sum(futures.map(nested, range(5)))

    if __name__ == "__main__":
        print(sum(futures.map(outer, range(40))))
        {ending}
"""


@on_ranks(1, 3)
@pytest.mark.parametrize(("ending", "status"), [("pass", 0), ("sys.exit(3)", 3), ("1 / 0", 1)])
def test_each_rank_writes_a_profile(
    ending: str, status: int, ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(PROFILED.format(ending=ending))
    run = launch(f"--profile={tmp_path / 'made'}", program, ranks=ranks).check(status)
    assert run.stdout == "400\n"
    files = sorted((tmp_path / "made").iterdir())
    assert [file.name for file in files] == [f"rank{rank}.prof" for rank in range(ranks)]
    total = pstats.Stats(*map(str, files))
    calls = {name: row[1] for (_, _, name), row in total.stats.items()}  # type: ignore[attr-defined]
    assert (calls["outer"], calls["nested"]) == (40, 200)


def test_a_profile_goes_to_a_folder_of_that_name_unless_told(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(PROFILED.format(ending="pass"))
    launch("-n", "1", "--profile", program, ranks=None, cwd=tmp_path).check()
    assert (tmp_path / "profile" / "rank0.prof").is_file()


def test_a_folder_for_profiles_that_can_not_be_made(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    program = write_program(PROFILED.format(ending="pass"))
    for folder in ("file", "file/in/it"):
        run = launch(f"--profile={tmp_path / folder}", program, ranks=2).check(2)
        assert run.stdout == ""
        assert run.stderr.count("can't make the folder") == 1
        assert "Traceback" not in run.stderr
        assert "MPI_Abort" not in run.stderr


# ---------------------------------------------------------------- threads

THREADS = """
    import os
    from pathlib import Path
    import numpy as np
    import scoop_mpi
    from scoop_mpi import futures

    NAMES = {names}

    def multiply(seed):
        a = np.random.default_rng(seed).random((300, 300))
        (a @ a).sum()
        threads = len(list(Path("/proc/self/task").iterdir()))
        return scoop_mpi.worker.rank, threads, tuple(os.environ.get(name) for name in NAMES)

    if __name__ == "__main__":
        found = set()
        while len({{rank for rank, *_ in found}}) < scoop_mpi.SIZE:
            found.update(futures.map(multiply, range(20)))
        print(max(threads for _, threads, _ in found))
        print({{variables for *_, variables in found}})
"""


def counted(
    write_program: WriteProgram, *options: str, ranks: int, **env: str
) -> tuple[int, set[str | None]]:
    """Run matrix products on all ranks; return the most threads of a rank, and what was set."""
    clean: dict[str, str | None] = dict.fromkeys(VARIABLES)
    program = write_program(THREADS.format(names=VARIABLES))
    run = launch(*options, program, ranks=ranks, env={**clean, **env}).check()
    threads, variables = run.stdout.splitlines()
    (values,) = ast.literal_eval(variables)
    return int(threads), set(values)


@on_ranks(4)
def test_ranks_share_the_cores_for_their_numerical_threads(
    ranks: int, write_program: WriteProgram
) -> None:
    cores = len(os.sched_getaffinity(0))
    share = max(1, cores // ranks)
    threads, values = counted(write_program, ranks=ranks)
    assert values == {str(share), None}
    # The same with one more numerical thread: so what is counted are those, beside MPI's and ours.
    more, values = counted(write_program, "--threads", str(share + 1), ranks=ranks)
    assert values == {str(share + 1)}
    assert more == threads + 1


@on_ranks(2)
def test_what_the_user_has_set_is_kept(ranks: int, write_program: WriteProgram) -> None:
    assert counted(write_program, ranks=ranks, OMP_NUM_THREADS="2")[1] == {"2", None}
    assert counted(write_program, "--threads", "keep", ranks=ranks)[1] == {None}
    assert counted(write_program, "--threads=1", ranks=ranks, OMP_NUM_THREADS="2")[1] == {"1"}


@on_ranks(1)
def test_what_the_program_sets_before_it_loads_numpy_counts(
    ranks: int, write_program: WriteProgram
) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("the library starts no more threads than there are cores")
    program = """
        import os
        os.environ["OMP_NUM_THREADS"] = "{number}"
        import numpy as np
        from pathlib import Path

        if __name__ == "__main__":
            np.ones((300, 300)) @ np.ones((300, 300))
            print(len(list(Path("/proc/self/task").iterdir())))
    """
    clean: dict[str, str | None] = dict.fromkeys(VARIABLES)
    one, two = (
        int(launch(write_program(program.format(number=number)), ranks=ranks, env=clean).stdout)
        for number in (1, 2)
    )
    assert two == one + 1
