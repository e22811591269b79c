"""The prompt of ``-i``: what is typed on the root runs on all ranks."""

from __future__ import annotations

import importlib.util
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks, uses_open_mpi

WriteProgram = Callable[..., Path]


# These tests are about Python's own prompt, which is used where IPython is not installed.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("IPython") is not None, reason="IPython is installed"
)


def session(text: str) -> str:
    return textwrap.dedent(text).lstrip()


def printed(stdout: str) -> list[str]:
    """What was printed, without the prompts before it."""
    lines = (line.lstrip(">. ") for line in stdout.splitlines())
    return [line for line in lines if line]


@on_ranks(1, 2, 3)
def test_a_session_without_a_program(ranks: int) -> None:
    typed = session("""
        import scoop_mpi
        print(scoop_mpi.SIZE)
        def add_100(x):
            return x + 100

        print(sum(futures.map(add_100, range(3000))))
        print(sorted(futures.map(lambda x: 2 * x, range(3))))
        class Box:
            def __init__(self, value):
                self.value = value

        boxes = list(futures.map(Box, range(500)))
        print({type(box) is Box for box in boxes}, boxes[-1].value)
        1 / 0
        shared.setConst(answer=42)
        print(set(futures.map(lambda x: shared.getConst("answer"), range(500))))
        exit(5)
    """)
    run = launch("-i", ranks=ranks, typed=typed).check(5)
    expected = [str(ranks), "4798500", "[0, 2, 4]", "{True} 499", "{42}"]
    assert [line for line in printed(run.stdout) if line in expected] == expected
    assert run.stderr.count("ZeroDivisionError") == 1


@on_ranks(2)
def test_a_session_after_a_program(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import sys

        def scale(x):
            return 2 * x

        if __name__ == "__main__":
            found = scale(21)
            sys.exit("the program ends so")
    """)
    typed = session("""
        from scoop_mpi import futures
        print("found", found)
        print(set(futures.map(scale, [3] * 2000)))
        def scale(x):
            return 7 * x

        print(set(futures.map(scale, [3] * 2000)))
        exit()
    """)
    run = launch("-i", program, ranks=ranks, typed=typed).check()
    assert "SystemExit: the program ends so" in run.stderr
    lines = printed(run.stdout)
    # The scale that was typed, not the one of the program, which the worker has.
    assert [line for line in lines if line[0] in "f{"] == ["found 42", "{6}", "{21}"]


def test_a_session_starts_its_own_ranks() -> None:
    typed = "print(sum(futures.map(abs, [-3, 4])))\nexit()\n"
    run = launch("-i", "-n", "2", ranks=None, typed=typed).check()
    assert "7" in printed(run.stdout)


@on_ranks(1, 2)
def test_a_session_ends_with_its_input(ranks: int) -> None:
    if ranks > 1 and uses_open_mpi():
        pytest.skip("Open MPI 5's mpiexec doesn't pass on the end of its input, to cat neither")
    run = launch("-i", "-n", str(ranks), ranks=None, typed="print(scoop_mpi)\nimport sys\n")
    assert "NameError" in run.check().stderr
