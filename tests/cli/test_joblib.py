"""joblib's `Parallel` on real ranks: its ways of giving results, errors, nesting, large arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 60.0

HEAD = """
import multiprocessing, os, time
import joblib, numpy as np
from joblib import Parallel, delayed
import scoop_mpi
from scoop_mpi.joblib import register

register()

def square(x):
    return x * x

def rank_of(_):
    return scoop_mpi.worker[0]

def rank_after(seconds):
    time.sleep(seconds)
    return scoop_mpi.worker[0]

def fail(x):
    if x == 7:
        raise ValueError(x)
    return x

def doze(seconds):
    time.sleep(seconds)
    return seconds
"""


def run_program(write_program: WriteProgram, text: str, ranks: int) -> str:
    """Run a program that begins with `HEAD`; return what it prints."""
    lines = [line.removeprefix("        ") for line in text.splitlines()]
    program = write_program(HEAD + "\n".join(lines))
    return launch(program, ranks=ranks, timeout=LIMIT).check().stdout


@on_ranks(1, 2, 4)
def test_what_parallel_does(ranks: int, write_program: WriteProgram) -> None:
    text = """
        if __name__ == "__main__":
            with joblib.parallel_config("scoop_mpi"):
                assert joblib.effective_n_jobs() == scoop_mpi.SIZE
                for count in (0, 1, 3, 500):
                    assert Parallel()(delayed(square)(x) for x in range(count)) == [
                        x * x for x in range(count)
                    ]
                assert Parallel(n_jobs=2)(delayed(square)(x) for x in range(30)) == [
                    x * x for x in range(30)
                ]
                assert Parallel(n_jobs=1)(delayed(rank_of)(x) for x in range(3)) == [0] * 3
                assert Parallel(batch_size=5, pre_dispatch="all")(
                    delayed(pow)(x, 2) for x in range(23)
                ) == [x * x for x in range(23)]
                given = Parallel(return_as="generator")(delayed(square)(x) for x in range(50))
                assert list(given) == [x * x for x in range(50)]
                if scoop_mpi.SIZE > 1:
                    given = Parallel(return_as="generator_unordered")(
                        delayed(square)(x) for x in range(50)
                    )
                    assert sorted(given) == [x * x for x in range(50)]
                    ranks = set(Parallel()(delayed(rank_after)(0.02) for x in range(50)))
                    assert len(ranks) > 1, ranks
                    try:
                        Parallel(timeout=0.2)(delayed(doze)(2) for _ in range(3))
                    except multiprocessing.TimeoutError:
                        pass
                    else:
                        raise AssertionError
                with Parallel() as parallel:  # one pool for several
                    for _ in range(3):
                        assert parallel(delayed(square)(x) for x in range(9)) == [
                            x * x for x in range(9)
                        ]
            print("right")
    """
    assert run_program(write_program, text, ranks) == "right\n"


@on_ranks(1, 2, 4)
def test_what_fails_ends_the_call_alone(ranks: int, write_program: WriteProgram) -> None:
    text = """
        if __name__ == "__main__":
            with joblib.parallel_config("scoop_mpi"):
                for _ in range(5):
                    try:
                        Parallel()(delayed(fail)(x) for x in range(100))
                    except ValueError as error:
                        assert error.args == (7,)
                    else:
                        raise AssertionError
                    assert Parallel()(delayed(square)(x) for x in range(9)) == [
                        x * x for x in range(9)
                    ]
            print("right")
    """
    assert run_program(write_program, text, ranks) == "right\n"


@on_ranks(1, 2, 3)
def test_parallel_within_parallel(ranks: int, write_program: WriteProgram) -> None:
    text = """
        def nested(depth):
            if not depth:
                return 1
            return sum(Parallel()(delayed(nested)(depth - 1) for _ in range(2)))

        if __name__ == "__main__":
            with joblib.parallel_config("scoop_mpi"):
                assert Parallel()(delayed(nested)(3) for _ in range(3)) == [8, 8, 8]
            print("right")
    """
    assert run_program(write_program, text, ranks) == "right\n"


@on_ranks(1, 2, 4)
def test_large_arrays_go_to_each_rank_once(ranks: int, write_program: WriteProgram) -> None:
    text = """
        SEEN = {}

        def sum_of(array, number, *, other=None):
            SEEN.setdefault(id(array), array)  # kept: so each copy has an identity of its own
            return scoop_mpi.worker[0], len(SEEN), float(array[number]) + float(other[0])

        if __name__ == "__main__":
            array = np.arange(1_000_000.0)
            other = np.ones(500_000)
            with joblib.parallel_config("scoop_mpi"):
                found = Parallel(batch_size=1)(
                    delayed(sum_of)(array, x, other=other) for x in range(60)
                )
                assert [value for _, _, value in found] == [x + 1.0 for x in range(60)]
                if scoop_mpi.SIZE > 1:
                    assert {count for _, count, _ in found} == {1}, found
                array[:] = 5.0  # the next call sees it
                found = Parallel()(delayed(sum_of)(array, x, other=other) for x in range(6))
                assert [value for _, _, value in found] == [6.0] * 6
            print("right")
    """
    assert run_program(write_program, text, ranks) == "right\n"


def test_without_a_job_it_is_sequential(write_program: WriteProgram) -> None:
    program = write_program(
        HEAD
        + """
if __name__ == "__main__":
    register(make_default=True)
    assert Parallel()(delayed(square)(x) for x in range(9)) == [x * x for x in range(9)]
    print("right")
"""
    )
    assert launch(program, ranks=None, python=(), timeout=LIMIT).check().stdout == "right\n"
