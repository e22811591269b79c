"""Programs under the tools of everyday, and jobs in poor surroundings: all the same as anywhere."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, mpi_library, on_ranks, start

WriteProgram = Callable[..., Path]

# Seconds in which a job must have ended; one that hangs runs into it.
LIMIT = 90.0

PROGRAM = """
    import scoop_mpi
    from scoop_mpi import futures

    class Box:
        def __init__(self, value):
            self.value = value

    def square(x):
        return x * x

    def main():
        boxes = list(futures.map(Box, range(300)))
        assert all(type(box) is Box for box in boxes)
        future = futures.submit(square, 3)
        while not future.done():
            pass
        print(sum(futures.map(square, range(300))), future.result(), scoop_mpi.SIZE)

    if __name__ == "__main__":
        main()
"""


def prints(ranks: int) -> str:
    return f"8955050 9 {ranks}\n"


# ------------------------------------------------------------ other programs that run it

TESTS = """
    import unittest
    from functions import square
    from scoop_mpi import futures

    def cube(x):
        return x**3

    class Tests(unittest.TestCase):
        def test_a_function_of_a_module(self):
            self.assertEqual(sum(futures.map(square, range(300))), 8955050)

        def test_a_function_of_its_own(self):
            self.assertEqual(sum(futures.map(cube, range(300))), 2011522500)
"""


@on_ranks(2)
@pytest.mark.parametrize(
    "words",
    [
        ("pytest", "-q", "-p", "no:cacheprovider", "test_squares.py"),
        ("unittest", "-q", "test_squares"),
        ("unittest", "discover", "-q"),
    ],
    ids=" ".join,
)
def test_tests_that_use_futures(
    words: tuple[str, ...], ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    write_program("def square(x):\n    return x * x\n", "functions.py")
    write_program(TESTS, "test_squares.py")
    run = launch("-m", *words, ranks=ranks, cwd=tmp_path, timeout=LIMIT).check()
    report = "2 passed" if words[0] == "pytest" else "Ran 2 tests"
    assert (run.stdout + run.stderr).count(report) == 1  # the workers don't run the tests as well


@on_ranks(2)
@pytest.mark.parametrize(
    "words",
    [
        ("cProfile", "-o", "profile"),
        ("trace", "--count", "--missing", "-C", "counts"),
        ("pdb", "-c", "continue", "-c", "quit"),
        ("coverage", "run"),
        ("IPython", "--no-banner"),
        ("runpy",),
    ],
    ids=lambda words: words[0],
)
def test_a_program_under_a_tool(
    words: tuple[str, ...], ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    if importlib.util.find_spec(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    program = write_program(PROGRAM)
    target = program.stem if words == ("runpy",) else program
    environment = {"HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path)}
    run = launch(
        "-m", *words, target, ranks=ranks, cwd=tmp_path, env=environment, typed="", timeout=LIMIT
    )
    assert prints(ranks) in run.check().stdout


@on_ranks(2)
def test_what_timeit_times(ranks: int, write_program: WriteProgram, tmp_path: Path) -> None:
    write_program("def square(x):\n    return x * x\n", "functions.py")
    setup = "from scoop_mpi import futures; from functions import square"
    words = ("-n", "3", "-r", "1", "-s", setup, "sum(futures.map(square, range(99)))")
    run = launch("-m", "timeit", *words, ranks=ranks, cwd=tmp_path, timeout=LIMIT).check()
    assert run.stdout.startswith("3 loops, best of 1")


# ------------------------------------------------------------ Python's options


@on_ranks(2)
@pytest.mark.parametrize("option", ["-Werror", "-Xdev", "-OO", "-bb", "-u"])
def test_an_option_of_pythons(option: str, ranks: int, write_program: WriteProgram) -> None:
    python = (option, "-m", "scoop_mpi")
    for started in ([], ["-n", str(ranks)]):
        run = launch(
            *started,
            write_program(PROGRAM),
            ranks=None if started else ranks,
            python=python,
            timeout=LIMIT,
        ).check()
        assert (run.stdout, run.stderr) == (prints(ranks), "")


# ------------------------------------------------------------ limits and the environment


@pytest.mark.parametrize("limit", ["-v", "-s 1024", "-n 64", "-l 64", "-c 0"])
def test_a_low_limit(limit: str, write_program: WriteProgram) -> None:
    if limit == "-v":
        # In KiB. Intel MPI itself does not start with 2 GB.
        limit += " 3000000" if mpi_library().startswith("Intel") else " 1000000"
    shell = ("sh", "-c", f'ulimit {limit}; exec "$@"', "sh")
    run = launch("-n", "2", write_program(PROGRAM), launcher=shell, timeout=LIMIT).check()
    assert run.stdout == prints(2)


@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": "/there/is/none"},
        {"LANG": None, "LC_ALL": "C"},
        {"SLURM_JOB_ID": "7"},
        {"SLURM_JOB_ID": "some", "SLURM_NTASKS": "words", "SLURM_NNODES": "here"},
        {"SLURM_PROCID": "0"},
        {"SLURM_NTASKS": "4"},
        {"PBS_JOBID": "1"},
        {"LSB_JOBID": "1", "LSB_HOSTS": ""},
        {"NSLOTS": "3"},
        {"PMI_SIZE": "1"},
        {"PMI_RANK": "0"},
        {"OMPI_COMM_WORLD_RANK": "0"},
        {"MPI_LOCALNRANKS": "2"},
        {"FLUX_JOB_SIZE": "1"},
    ],
    ids=lambda variables: " ".join(variables),
)
def test_an_environment_that_says_half(
    variables: dict[str, str | None], write_program: WriteProgram
) -> None:
    program = write_program(PROGRAM)
    run = launch("-n", "2", program, ranks=None, env=variables, timeout=LIMIT).check()
    assert run.stdout == prints(2)


@on_ranks(1, 2)
def test_other_letters_in_a_plain_locale(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import sys
        from scoop_mpi import futures

        def shout(number):
            return "Grüße \\u2603" * number

        if __name__ == "__main__":
            print(len("".join(futures.map(shout, range(100)))), shout(1))
            sys.exit(shout(1))
    """)
    environment = {"LANG": None, "LC_ALL": "C", "PYTHONUTF8": None}
    run = launch(program, ranks=ranks, env=environment, timeout=LIMIT).check(1)
    assert run.stdout == "34650 Grüße \u2603\n"
    assert run.stderr.startswith("Grüße \u2603\n")


def test_two_jobs_in_one_folder(write_program: WriteProgram, tmp_path: Path) -> None:
    program = write_program(PROGRAM)
    with (
        start("-n", "2", program, ranks=None, cwd=tmp_path, timeout=LIMIT) as one,
        start("-n", "2", program, ranks=None, cwd=tmp_path, timeout=LIMIT) as other,
    ):
        assert one.finish().check().stdout == other.finish().check().stdout == prints(2)


# ------------------------------------------------------------ forks and idleness


@on_ranks(1, 2)
def test_forks_before_the_first_map_and_after(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import multiprocessing, os, subprocess
        from scoop_mpi import futures

        def square(x):
            return x * x

        def fork():
            if (child := os.fork()) == 0:
                os._exit(0)
            os.waitpid(child, 0)
            echo = subprocess.run(["echo", "echo"], capture_output=True, text=True)
            with multiprocessing.get_context("fork").Pool(2) as pool:
                print(echo.stdout.strip(), sum(pool.map(square, range(300))))

        if __name__ == "__main__":
            fork()
            print(sum(futures.map(square, range(300))))
            fork()
            print(sum(futures.map(square, range(300))))
    """)
    run = launch(program, ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "echo 8955050\n8955050\n" * 2


@on_ranks(2)
def test_work_after_a_while_without_any(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import time
        import scoop_mpi
        from scoop_mpi import futures

        def work(x):
            time.sleep(0.05)
            return scoop_mpi.worker.rank

        if __name__ == "__main__":
            before = set(futures.map(work, range(10)))
            time.sleep(10)
            print(before, set(futures.map(work, range(10))))
    """)
    assert launch(program, ranks=ranks, timeout=LIMIT).check().stdout == "{0, 1} {0, 1}\n"
