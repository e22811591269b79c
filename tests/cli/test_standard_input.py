"""The root reads the standard input to its end, whatever the launcher does with it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch

WriteProgram = Callable[..., Path]

READ = """
    import os, sys
    from scoop_mpi import futures

    def child(_):
        return "SCOOP_MPI_STANDARD_INPUT" in os.environ

    if __name__ == "__main__":
        first = sys.stdin.readline()
        rest = sys.stdin.read()
        print([first[:20], len(rest), rest[-4:]], set(futures.map(child, range(20))))
"""


def by_shell(redirected: str, program: Path, *options: str) -> list[str]:
    """A shell's words that start two ranks with a standard input of the shell's."""
    command = shlex.join([sys.executable, "-m", "scoop_mpi", "-n", "2", *options, str(program)])
    return ["sh", "-c", redirected.format(command)]


@pytest.mark.parametrize(
    ("redirected", "read"),
    [
        ("{} < small", ["one\n", 4, "two\n"]),
        ("cat small | {}", ["one\n", 4, "two\n"]),
        ("{} < large", ["x" * 20, 20_000_000, "yyyy"]),
        ("cat large | {}", ["x" * 20, 20_000_000, "yyyy"]),
        ("{} < /dev/null", ["", 0, ""]),
        ("{} <&-", ["", 0, ""]),
        ("mkfifo fifo; cat small > fifo & {} < fifo", ["one\n", 4, "two\n"]),
        # From where it was left, and a file that has no name any more.
        ("exec < small; read first; {}", ["two\n", 0, ""]),
        ("exec < small; rm small; {}", ["one\n", 4, "two\n"]),
    ],
)
def test_the_program_reads_all_of_it(
    redirected: str, read: list[object], write_program: WriteProgram, tmp_path: Path
) -> None:
    (tmp_path / "small").write_bytes(b"one\ntwo\n")
    (tmp_path / "large").write_bytes(b"x" * 100 + b"\n" + b"y" * 20_000_000)
    words = by_shell(redirected, write_program(READ))
    # After these `launch` puts a Python, which is the $0 of the shell.
    run = launch(ranks=None, python=(), launcher=words, cwd=tmp_path).check()
    assert run.stdout == f"{read} {{False}}\n"
    assert run.stderr == ""


def test_a_program_need_not_read_it(write_program: WriteProgram, tmp_path: Path) -> None:
    """Who writes into the pipe ends when the job does."""
    program = write_program("""
        if __name__ == "__main__":
            print("done")
    """)
    words = by_shell("yes | {}", program)
    run = launch(ranks=None, python=(), launcher=words, cwd=tmp_path).check()
    assert run.stdout == "done\n"


def test_mpiexec_passes_it_on_where_the_root_may_be_on_another_host(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    (tmp_path / "small").write_bytes(b"one\ntwo\n")
    program = write_program("""
        import sys

        if __name__ == "__main__":
            print(repr(sys.stdin.readline()))
    """)
    words = by_shell("{} < small", program, "--host", "localhost", "localhost")
    run = launch(ranks=None, python=(), launcher=words, cwd=tmp_path).check()
    assert run.stdout == "'one\\n'\n"


def test_a_standard_input_that_is_gone_is_told_of(write_program: WriteProgram) -> None:
    gone = f"{os.getpid()} 9999 1 1 0"
    run = launch(write_program("pass"), ranks=2, env={"SCOOP_MPI_STANDARD_INPUT": gone}).check()
    assert run.stderr.count("the program's standard input is empty") == 1
