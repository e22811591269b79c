"""`hash()` of texts and bytes agrees on all ranks of a job, however it was started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

# What each rank's hashes are, and what depends on them; and what the ranks' children have.
HASHES = """
    import os, subprocess, sys
    import scoop_mpi
    from scoop_mpi import futures

    WORDS = [f"word {number}" for number in range(50)]

    def probe(_):
        child = [sys.executable, "-c", "print(hash('text'))"]
        seen = int(subprocess.run(child, capture_output=True, check=True).stdout)
        order = tuple(set(WORDS))
        return scoop_mpi.worker.rank, (hash("text"), hash(b"bytes"), seen, order)

    if __name__ == "__main__":
        found = {}
        while len(found) < scoop_mpi.SIZE:
            found.update(futures.map(probe, range(4)))
        alike = {facts for facts in found.values()}
        print(len(alike), min(alike)[0], min(alike)[0] == min(alike)[2])
"""


def hash_with(seed: str) -> int:
    """What Python's own hash of the program's text is."""
    answer = subprocess.run(
        [sys.executable, "-c", "print(hash('text'))"],
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        timeout=60,
        check=True,
    )
    return int(answer.stdout)


@pytest.mark.parametrize("options", [(), ("-n", "3")], ids=["mpiexec", "own launcher"])
@pytest.mark.parametrize("given", [None, "", "0", "7"])
def test_hashes_agree(
    given: str | None, options: tuple[str, ...], write_program: WriteProgram
) -> None:
    run = launch(
        *options,
        write_program(HASHES),
        ranks=None if options else 3,
        env={"PYTHONHASHSEED": given},
    ).check()
    assert run.stdout == f"1 {hash_with(given or '0')} True\n"
    assert run.stderr == ""


def test_one_rank_has_the_hashes_that_many_have(write_program: WriteProgram) -> None:
    program = write_program(HASHES)
    run = launch("-n", "1", program, ranks=None, env={"PYTHONHASHSEED": None}).check()
    assert run.stdout == f"1 {hash_with('0')} True\n"


@pytest.mark.parametrize("options", [(), ("-n", "3")], ids=["mpiexec", "own launcher"])
def test_hashes_may_be_meant_to_differ(
    options: tuple[str, ...], write_program: WriteProgram
) -> None:
    ranks = None if options else 3
    env = {"PYTHONHASHSEED": "random"}
    run = launch(*options, write_program(HASHES), ranks=ranks, env=env).check()
    assert run.stdout.split()[0] == "3"
    assert run.stderr == ""


@on_ranks(3)
@pytest.mark.parametrize("ignoring", ["-R", "-RX dev"])
def test_it_is_said_once_if_python_is_told_to_ignore_the_seed(
    ignoring: str, ranks: int, write_program: WriteProgram
) -> None:
    python = (*ignoring.split(), "-W", "ignore", "-m", "scoop_mpi")
    run = launch(write_program(HASHES), ranks=ranks, python=python).check()
    assert run.stdout.split()[0] == "3"
    assert run.stderr.count("hash() of the same text differs from rank to rank") == 1


@on_ranks(2)
def test_the_information_page_tells(ranks: int) -> None:
    def line(seed: str | None) -> str:
        run = launch("--info", ranks=ranks, env={"PYTHONHASHSEED": seed}).check()
        (found,) = (line for line in run.stdout.splitlines() if line.startswith("hashes"))
        return found.split(maxsplit=1)[1]

    assert line(None) == "alike on all ranks; PYTHONHASHSEED 0"
    assert line("7") == "alike on all ranks; PYTHONHASHSEED 7"
    assert line("random") == "differ between the ranks; PYTHONHASHSEED random"


def test_what_measures_or_debugs_python_is_not_started_again(write_program: WriteProgram) -> None:
    """It would lose what it has measured, or the debugger its connection."""
    program = write_program(HASHES)
    run = launch(
        *("-c", "print('once'); import scoop_mpi.__main__ as m; m.main()", "-n", "1", program),
        ranks=None,
        python=(),
        env={"PYTHONHASHSEED": None},
    ).check()
    assert run.stdout.splitlines()[0] == "once"
    assert run.stdout.count("once") == 1
