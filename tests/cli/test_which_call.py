"""The error of a call tells which call it was, with what arguments, and where it ran."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 60.0

needs_notes = pytest.mark.skipif(sys.version_info < (3, 11), reason="notes are new in Python 3.11")

CALLS = """
    import functools, time
    import numpy as np
    from scoop_mpi import MPIPoolExecutor, futures

    def simulate(rate, steps=2.5, *, name="x"):
        time.sleep(0.001)
        if rate == 17:
            raise ValueError(f"no {rate}")
        return rate

    def simulate_below(rate):
        return futures.submit(simulate, rate).result()

    def always_fails(*_):
        raise KeyError("always")

    class Rude:
        def __repr__(self):
            raise RuntimeError("no words")

    SAME = OSError("the same object each time")

    def fail_the_same(_):
        raise SAME

    def fall(depth):
        return fall_below(depth - 1) if depth else 1 / 0

    def fall_below(depth):
        return futures.submit(fall, depth).result()

    def notes_of(work):
        try:
            work()
        except Exception as error:
            return error.__notes__

"""
ARGUMENTS = "call 17 of map simulate, arguments (17, 1.2), rank N on HOST"
ALONE = "call of simulate, arguments (17), rank N on HOST"


def without_places(text: str) -> str:
    return re.sub(r"rank \d+ on [-\w.]+", "rank N on HOST", text)


@needs_notes
@on_ranks(1, 2, 3)
@pytest.mark.parametrize(
    ("work", "expected"),
    [
        ("list(futures.map(simulate, range(30), [1.2] * 30))", [ARGUMENTS]),
        ("list(futures.map(simulate, range(30), [1.2] * 30, buffersize=4))", [ARGUMENTS]),
        ("list(futures.map_as_completed(simulate, range(30), [1.2] * 30))", [ARGUMENTS]),
        ("futures.mapReduce(simulate, max, range(30), [1.2] * 30)", [ARGUMENTS]),
        ("futures.mapScan(simulate, max, range(30), [1.2] * 30)", [ARGUMENTS]),
        ("futures.submit(simulate, 17).result()", [ALONE]),
        ("[f.result() for f in [futures.submit(simulate, n) for n in range(30)]]", [ALONE]),
        (
            "futures.submit(simulate, 17, name='gas', steps=4).result()",
            ["call of simulate, arguments (17, name='gas', steps=4), rank N on HOST"],
        ),
        (
            "futures.submit(functools.partial(simulate, name='gas'), 17).result()",
            ["call of simulate, arguments (17, name='gas'), rank N on HOST"],
        ),
        (
            "list(futures.map(simulate_below, range(30)))",
            [ALONE, "call 17 of map simulate_below, arguments (17), rank N on HOST"],
        ),
        ("MPIPoolExecutor().submit(simulate, 17).result()", [ALONE]),
    ],
)
def test_which_call_it_was(
    work: str, expected: list[str], ranks: int, write_program: WriteProgram
) -> None:
    main = f"""
    if __name__ == "__main__":
        print(notes_of(lambda: {work}))
    """
    run = launch(write_program(CALLS + main), ranks=ranks, timeout=LIMIT).check()
    assert without_places(run.stdout) == f"{expected}\n"


@needs_notes
@on_ranks(1, 2)
def test_arguments_are_shortened(ranks: int, write_program: WriteProgram) -> None:
    main = """
    if __name__ == "__main__":
        arguments = np.zeros((300, 4)), "a" * 500, list(range(1000)), Rude()
        (note,) = notes_of(lambda: futures.submit(always_fails, *arguments).result())
        assert "arguments (<ndarray of shape (300, 4), float64>, 'aaaaaaa" in note, note
        assert "[0, 1, 2, 3, 4, 5, ...], <Rude" in note, note
        assert len(note) < 300, note
    """
    launch(write_program(CALLS + main), ranks=ranks, timeout=LIMIT).check()


@needs_notes
@on_ranks(1)
def test_an_error_that_many_calls_raise_tells_each_once(
    ranks: int, write_program: WriteProgram
) -> None:
    main = """
    if __name__ == "__main__":
        for number in [3, 3, 3, *range(20)]:
            futures.submit(fail_the_same, number).exception()
        assert len(SAME.__notes__) == 8 == len(set(SAME.__notes__)), SAME.__notes__
    """
    launch(write_program(CALLS + main), ranks=ranks, timeout=LIMIT).check()


@needs_notes
@on_ranks(1, 3)
def test_the_programs_end_tells_it(ranks: int, write_program: WriteProgram) -> None:
    main = """
    if __name__ == "__main__":
        list(futures.map(simulate, range(30), [1.2] * 30))
    """
    run = launch(write_program(CALLS + main), ranks=ranks, timeout=LIMIT).check(1)
    # Open MPI's mpiexec has words of its own for the end.
    assert f"\nValueError: no 17\n{ARGUMENTS}\n" in without_places(run.stderr)
    assert run.stderr.count(f"\n{ARGUMENTS.split(', rank')[0]}") == 1


@needs_notes
@on_ranks(1, 2)
def test_calls_within_calls_say_so_a_few_times_only(
    ranks: int, write_program: WriteProgram
) -> None:
    main = """
    if __name__ == "__main__":
        notes = notes_of(lambda: fall_below(50))
        print(len(notes), notes[0].split(", rank")[0])
    """
    run = launch(write_program(CALLS + main), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "8 call of fall, arguments (0)\n"


@on_ranks(2)
def test_a_future_names_its_call(ranks: int, write_program: WriteProgram) -> None:
    main = """
    if __name__ == "__main__":
        print(futures.submit(simulate, 4, steps=5))
    """
    run = launch(write_program(CALLS + main), ranks=ranks, timeout=LIMIT).check()
    assert run.stdout == "<Future simulate(4, steps=5) not done>\n"


@on_ranks(2)
@pytest.mark.skipif(sys.version_info >= (3, 11), reason="there are notes")
def test_without_notes_the_other_ranks_traceback_tells_it(
    ranks: int, write_program: WriteProgram
) -> None:
    main = """
    if __name__ == "__main__":
        list(futures.map(simulate, [17] * 30, [1.2] * 30))
    """
    run = launch(write_program(CALLS + main), "--root", "serves", ranks=ranks, timeout=LIMIT).check(
        1
    )
    assert "\ncall 0 of map simulate, arguments (17, 1.2), rank 1 on " in run.stderr
